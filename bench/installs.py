"""Cold installs beside the package manager alone, and what unchanged packages cost a start."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.report import Table, median, verdict
from bench.workspace import BenchWorkspace, bench_workspace

ROUNDS = 3
STARTS = 15
PACKAGES = {"prettier": "3.10.1", "ajv": "8.17.1", "yaml": "2.6.0"}
REQUIREMENTS = "pypdf==7.1.0\njinja2==3.1.6\npyyaml==6.0.3\n"
INSTALL_STEPS = (6, 7)
Install = Callable[[Path, dict[str, str]], None]


def npm(folder: Path, environ: dict[str, str]) -> None:
    (folder / "package.json").write_text(json.dumps({"private": True, "dependencies": PACKAGES}))
    call(["npm", "install"], folder, environ)


def uv(folder: Path, environ: dict[str, str]) -> None:
    (folder / "requirements.txt").write_text(REQUIREMENTS)
    call(["uv", "venv", "--quiet", "venv"], folder, environ)
    call(["uv", "pip", "install", "--python", "venv/bin/python", "-r", "requirements.txt"], folder, environ)


def pip(folder: Path, environ: dict[str, str]) -> None:
    (folder / "requirements.txt").write_text(REQUIREMENTS)
    call(["python3", "-m", "venv", "venv"], folder, environ)
    call(["venv/bin/python", "-m", "pip", "install", "-r", "requirements.txt"], folder, environ)


def call(argv: list[str], folder: Path, environ: dict[str, str]) -> None:
    subprocess.run(argv, cwd=folder, env=environ, check=True, capture_output=True)


def alone_s(install: Install) -> float:
    """Wall seconds of an install into a new folder with empty caches."""
    with tempfile.TemporaryDirectory(prefix="ploinky-bench-") as folder:
        caches = {
            "npm_config_cache": f"{folder}/npm",
            "UV_CACHE_DIR": f"{folder}/uv",
            "PIP_NO_CACHE_DIR": "1",
        }
        target = Path(folder) / "project"
        target.mkdir()
        began = time.perf_counter()
        install(target, {**os.environ, **caches})
        return time.perf_counter() - began


def prepared_s(workspace: BenchWorkspace, name: str) -> tuple[float, float]:
    """Wall seconds of the install steps of ``deps prepare``, and of the whole command."""
    workspace.ploinky("deps", "clean", name)
    done = workspace.ploinky("--json", "deps", "prepare", name)
    events = [json.loads(line) for line in done.output.splitlines()]
    steps = [each for each in events if each["kind"] == "step_done" and each["step"] in INSTALL_STEPS]
    return sum(each["seconds"] for each in steps), done.wall_s


def start_s(workspace: BenchWorkspace, name: str) -> float:
    taken = workspace.ploinky("start", name).wall_s
    workspace.ploinky("stop", name)
    return taken


def run(_runtimes: tuple[str, ...]) -> Table:
    """In the sandbox, where the programs are the same as beside it."""
    python: tuple[str, Install] = ("uv pip install", uv) if shutil.which("uv") else ("pip install", pip)
    kinds: dict[str, tuple[str, Install]] = {"npm install": ("package.json", npm)}
    kinds[python[0]] = ("requirements.txt", python[1])
    rows, bars = [], []
    with bench_workspace("sandbox", 3) as workspace:
        plain, *names = workspace.names
        repo = workspace.root / ".ploinky" / "repos" / "bench"
        texts = [json.dumps({"private": True, "dependencies": PACKAGES}), REQUIREMENTS]
        for name, (file, _), text in zip(names, kinds.values(), texts, strict=True):
            (repo / name / "code" / file).write_text(text)
        for name in workspace.names:
            workspace.ploinky("enable", "agent", name)
        for name, (what, (_, install)) in zip(names, kinds.items(), strict=True):
            pairs = [(alone_s(install), *prepared_s(workspace, name)) for _ in range(ROUNDS)]
            alone, inside, whole = (median([pair[place] for pair in pairs]) for place in range(3))
            rows.append((f"{what}, cold", f"{alone:.2f}", f"{inside:.2f}", f"{whole:.2f}"))
            bars.append(verdict(f"{what} of an agent, times the plain one", inside / alone, 1.3, ""))
        workspace.ploinky("start")
        for name in workspace.names:  # the gateway stays, so that starts are alike
            workspace.ploinky("stop", name)
        taken: dict[str, list[float]] = {name: [] for name in workspace.names}
        for _ in range(STARTS):
            for name in workspace.names:
                taken[name].append(start_s(workspace, name))
    base = median(taken[plain])
    for name, what in ((plain, "no packages"), *zip(names, kinds, strict=True)):
        rows.append((f"start again, {what}", "-", "-", f"{median(taken[name]):.2f}"))
    most = max(median(taken[name]) for name in names) / base
    bars.append(verdict("a start with unchanged packages, times one with none", most, 1.1, ""))
    columns = ("what", "alone, s", "install steps, s", "whole command, s")
    return Table("Dependencies, sandbox", columns, tuple(rows), tuple(bars))
