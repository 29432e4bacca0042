"""Write ``docs/cli.md`` from the commands themselves; with ``--check`` only say whether it is true.

Everything in it (words, options, examples) comes from the command table and the commands behind it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from inspect import cleandoc
from pathlib import Path

import click

from ploinky.cli.frame import PloinkyCommand, global_options, load
from ploinky.cli.table import COMMANDS, SECTIONS, Entry

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
INTRO = """\
# Command line

Made by `make docs` from the commands themselves; `ploinky COMMAND --help` shows the same. `ploinky` alone
opens an interactive shell with these commands.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 a secret or an approval is missing,
130 interrupted.

## Options of every command

They may stand before or after the command.
"""


def page() -> str:
    """The whole reference."""
    parts = [INTRO, _options(global_options(hidden=False))]
    for section in SECTIONS:
        parts.append(f"## {section}\n")
        for entry in COMMANDS:
            if entry.section == section:
                parts += _chapter(entry, entry.name)
    return "\n".join(parts)


def _chapter(entry: Entry, words: str) -> Iterator[str]:
    """A command, or the commands of a group."""
    if not entry.children:
        yield from _command(entry, words)
    for child in entry.children:
        left_out = child.name in (entry.default, entry.bare)
        yield from _chapter(child, f"{words} [{child.name}]" if left_out else f"{words} {child.name}")


def _command(entry: Entry, words: str) -> Iterator[str]:
    command = load(entry)
    assert isinstance(command, PloinkyCommand)
    pieces = command.collect_usage_pieces(click.Context(command, info_name=words))
    usage = " ".join(["ploinky", words, *(piece for piece in pieces if piece != "[OPTIONS]")])
    shared = {option.name for option in global_options(hidden=True)}
    own = [each for each in command.params if isinstance(each, click.Option) and each.name not in shared]
    yield f"### `{usage}`\n"
    yield f"{cleandoc(command.help or '')}\n"
    if own:
        yield _options(own)
    examples = "\n".join(command.examples)
    yield f"```text\n{examples}\n```\n"


def _options(options: Iterable[click.Parameter]) -> str:
    context = click.Context(click.Command("ploinky"))
    records = [record for each in options if (record := each.get_help_record(context)) is not None]
    return "".join(f"- `{names}`: {about}\n" for names, about in records)


def main(words: list[str]) -> int:
    text = page()
    if words == ["--check"]:
        fresh = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text
        print(f"{PAGE.name} is {'as the commands are' if fresh else 'stale; write it anew: make docs'}")
        return 0 if fresh else 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
