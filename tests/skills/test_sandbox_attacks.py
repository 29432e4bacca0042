"""Hostile programs in the sandbox, on every engine: nothing is won, and this machine is as it was."""

from __future__ import annotations

import ast
import json
import os
import secrets
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import pytest

from ploinky.runtimes.bubblewrap_host import find_tools
from tests.skills.sandboxes import ENGINES, Trial, require_engine

ATTACKS = Path(__file__).parents[1] / "data/skills/attacks.py"
KERNEL = ("kernel/core_pattern", "kernel/hostname", "vm/overcommit_memory", "net/ipv4/ip_forward")


def _names() -> list[str]:
    """The names in the table of attacks, read and not run."""
    tree = ast.parse(ATTACKS.read_text(encoding="utf-8"))
    table = next(each for each in tree.body if isinstance(each, ast.Assign) and _target(each) == "ATTEMPTS")
    return [node.id for node in ast.walk(table.value) if isinstance(node, ast.Name)]


def _target(each: ast.Assign) -> str:
    return each.targets[0].id if isinstance(each.targets[0], ast.Name) else ""


@dataclass
class Aftermath:
    """What the attacks said, and what was found outside afterwards."""

    won: dict[str, str | None] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    said: str = ""


@pytest.fixture(scope="module")
def listeners() -> Iterator[tuple[int, str]]:
    """A port of every address of this machine, and an abstract name, that somebody listens at."""
    name = f"ploinky-test-{secrets.token_hex(8)}"
    with socket.create_server(("", 0)) as tcp, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(f"\0{name}")
        abstract.listen()
        yield tcp.getsockname()[1], name


@pytest.fixture(scope="module", params=ENGINES)
def aftermath(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, listeners: tuple[int, str]
) -> Aftermath:
    require_engine(request.param)
    place = tmp_path_factory.mktemp("attacked")
    (place / "skill").mkdir()
    (place / "victim").write_text("mine")
    (place / "secret").write_text("planted-value")
    mark = f"planted-{secrets.token_hex(8)}"
    tools = (each.prefix for each in find_tools(os.environ))
    shown = [Path(sys.base_prefix).resolve(), *(each for each in tools if each is not None)]
    facts = {
        "victim": str(place / "victim"),
        "secret": str(place / "secret"),
        "home": str(Path.home()),
        "shown": [part for each in shown for part in each.parts],  # an interpreter in a home is shown, alone
        "pid": os.getpid(),
        "mark": mark,
        "port": listeners[0],
        "host": _own_address(),
        "abstract": listeners[1],
    }
    before = _outside(place)
    os.environ["PLOINKY_TEST_MARK"] = mark
    try:
        trial = Trial(request.param, place / "skill")
        ran = anyio.run(trial.python, ATTACKS.read_text(encoding="utf-8"), json.dumps(facts))
    finally:
        del os.environ["PLOINKY_TEST_MARK"]
    after = _outside(place)
    return Aftermath(
        dict(json.loads(line) for line in ran.stdout.decode().splitlines()),
        [key for key in before if before[key] != after[key]],
        ran.stderr.decode(),
    )


def _own_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def _outside(place: Path) -> dict[str, str]:
    found = {name: Path("/proc/sys", name).read_text() for name in KERNEL}
    return {**found, "victim": (place / "victim").read_text(), "folder": str(sorted(place.iterdir()))}


@pytest.mark.parametrize("name", _names())
def test_an_attack_wins_nothing(aftermath: Aftermath, name: str) -> None:
    assert name in aftermath.won, aftermath.said
    assert aftermath.won[name] is None


def test_this_machine_is_as_it_was(aftermath: Aftermath) -> None:
    assert aftermath.changed == []
