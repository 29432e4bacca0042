"""``python -m bench [NAME...] [--write] [--runtimes sandbox,podman]``."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable
from pathlib import Path

from bench import assistants, calls, commands, installs, life, models, pages, router
from bench.report import Table
from bench.workspace import has_podman

BENCHMARKS: dict[str, Callable[[tuple[str, ...]], Table]] = {
    "commands": commands.run,
    "life": life.run,
    "calls": calls.run,
    "router": router.run,
    "installs": installs.run,
    "models": models.run,
    "assistants": assistants.run,
    "pages": pages.run,
}
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure ploinky beside its floors.")
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], help="which (default: all)")
    parser.add_argument("--write", action="store_true", help=f"keep the tables in {PAGE.name}")
    parser.add_argument("--runtimes", help="comma-separated (default: sandbox, and podman if it is here)")
    options = parser.parse_args()
    found = ("sandbox", "podman") if has_podman() else ("sandbox",)
    runtimes = tuple(options.runtimes.split(",")) if options.runtimes else found
    tables = []
    for name in options.names or BENCHMARKS:
        table = BENCHMARKS[name](runtimes)
        print(table.markdown(), flush=True)
        tables.append(table)
    if options.write:
        PAGE.write_text(page(tables), encoding="utf-8")
        print(f"written: {PAGE}")


def page(tables: list[Table]) -> str:
    """The page with these tables in the place of their former ones; those that were not measured stay."""
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    head = (
        "# Benchmarks\n\nMade by `make bench BENCH=--write` (one table: `BENCH='installs --write'`).\n"
        f"Figures are medians of one run on {machine}; the floor beside each was taken in the same run, so\n"
        "compare within a row.\n\n"
    )
    former = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else ""
    sections = {part.split("\n", 1)[0]: f"## {part.rstrip()}\n" for part in former.split("\n## ")[1:]}
    sections |= {table.title: table.markdown() for table in tables}
    return head + "\n".join(sections.values())


if __name__ == "__main__":
    main()
