"""What a command loads: most of the time of a command is imports, so what it does not need stays out.

A row says what a command never loads. Time is not measured here, because a busy machine would decide.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.stage import Stage

MODELS = ("pydantic", "ploinky.manifest.model", "ploinky.workspace.settings", "ploinky.workspace.registry")
LOOPS = ("asyncio", "anyio")
SERVERS = ("aiohttp", "uvicorn", "ploinky.gateway", "ploinky.router.service", "mcp", "jsonschema", "uvloop")
ENGINES = ("aiodocker", "ploinky.runtimes.engine")
MINDS = ("ploinky.assistants", "ploinky.providers", "ploinky.skills", "cryptography", "keyring", "numpy")
NOT_FOR_ASKING = (*MODELS, *SERVERS, *ENGINES, *MINDS, "ploinky.lifecycle.planner", "ploinky.toolhost")
STARTING = ("ploinky.lifecycle.starting", "ploinky.lifecycle.planner", "ploinky.channel")
ENABLING = ("ploinky.lifecycle.enabling", "ploinky.lifecycle.disabling")
NOT_FOR_STOPPING = (
    *ENABLING,
    "ploinky.lifecycle.starting",
    "ploinky.lifecycle.planner",
    "ploinky.manifest.values",
    "ploinky.manifest.model",
    "ploinky.workspace.settings",
    "ploinky.toolhost",
)
NOT_FOR_AGENTS = (*SERVERS, *ENGINES, *MINDS)

PROGRAM = """
import atexit, pathlib, sys
def report():
    pathlib.Path(sys.argv[1]).write_text("\\n".join(sys.modules))
atexit.register(report)
from ploinky.cli.main import main
main(sys.argv[2:])
"""


def loaded(stage: Stage, report: Path, *words: str) -> set[str]:
    """The modules that a command had loaded in the end."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(report), *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=stage.root,
        env=stage.environ,
    )
    assert done.returncode == 0, done.stderr
    return set(report.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize(
    ("words", "never"),
    [
        ("token", (*NOT_FOR_ASKING, *LOOPS)),
        ("status", (*NOT_FOR_ASKING, *LOOPS)),
        ("tools echo", NOT_FOR_ASKING),
        ("call echo.mood", NOT_FOR_ASKING),
        ("logs router", NOT_FOR_ASKING),
        ("mcp approvals", NOT_FOR_ASKING),
        ("mcp config claude", NOT_FOR_ASKING),
        ("approvals", NOT_FOR_ASKING),
        ("cron list", NOT_FOR_ASKING),
        ("vars", NOT_FOR_ASKING),
        ("var LEVEL high", NOT_FOR_ASKING),
        ("list repos", NOT_FOR_ASKING),
        ("list agents", NOT_FOR_AGENTS),
        ("enable agent moody", (*NOT_FOR_AGENTS, *STARTING)),
        ("disable agent moody", NOT_FOR_AGENTS),
        ("profile list", (*NOT_FOR_AGENTS, "ploinky.lifecycle.planner", "ploinky.toolhost")),
        ("logs worker", NOT_FOR_AGENTS),
        ("exec worker -- true", NOT_FOR_AGENTS),
        ("start worker", (*NOT_FOR_AGENTS, *ENABLING)),
        ("stop worker", (*NOT_FOR_AGENTS, *NOT_FOR_STOPPING)),
    ],
)
def test_a_command_does_not_load_what_it_does_not_need(
    words: str, never: tuple[str, ...], town: Stage, tmp_path: Path
) -> None:
    modules = loaded(town, tmp_path / "modules", *words.split())
    assert modules.isdisjoint(never), sorted(modules.intersection(never))
