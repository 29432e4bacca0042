"""``new agent``: a working agent from a template: manifest, one tool, its description and a test.

The templates are package data (``templates/``), copied file by file; ``@NAME@`` becomes the agent's name.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from ploinky.base.errors import NotFoundError, UsageError
from ploinky.base.files import write_atomic
from ploinky.base.jsontypes import JsonValue
from ploinky.base.names import closest, require_name
from ploinky.operations.platform import Platform
from ploinky.wire.events import Event, Notice, Result

_PLACEHOLDER = b"@NAME@"
_PROGRAMS = (".sh", ".py", ".mjs")
_TEST_COMMANDS = {
    "shell": "sh tests/test_greet.sh",
    "python": "python3 -m unittest discover tests",
    "node": "node --test tests/*.test.mjs",
}


async def new_agent(
    platform: Platform | None, name: str, template: str, *, repo: str, target: Path | None
) -> AsyncIterator[Event]:
    """Make the agent in ``target``/name, or in the workspace's repository ``repo`` (made if missing).

    Raises:
        UsageError: ``BAD_NAME``; ``AGENT_EXISTS``: nothing is overwritten.
        NotFoundError: ``NO_TEMPLATE``.
    """
    require_name(name, what="an agent")
    source = _template(template)
    if target is None:
        assert platform is not None, "a repository needs a workspace"
        target = platform.layout.repo(repo)
    folder = target / name
    if folder.exists():
        raise UsageError("AGENT_EXISTS", f"{folder} exists already.", hint="Choose another name.")
    made: list[JsonValue] = [*_copy(source, folder, name.encode())]
    start = f"ploinky start {name}" if platform is not None else f"ploinky add repo mine {target}"
    yield Notice(message=f"Made {folder}")
    yield Notice(message=f"  test it:  cd {folder} && {_TEST_COMMANDS[template]}")
    yield Notice(message=f"  start it: {start}")
    if platform is not None:
        yield Notice(message=f"  call it:  ploinky call {name}.greet -p name=Ada")
    yield Result(value={"agent": name, "folder": str(folder), "template": template, "files": made})


def _template(name: str) -> Traversable:
    if name not in _TEST_COMMANDS:
        near = closest(name, _TEST_COMMANDS)
        choices = ", ".join(_TEST_COMMANDS)
        hint = f"Did you mean '{near}'?" if near else f"There are: {choices}"
        raise NotFoundError("NO_TEMPLATE", f"There is no template {name!r}.", hint=hint)
    return files("ploinky.operations").joinpath("templates", name)


def _copy(source: Traversable, target: Path, name: bytes) -> list[str]:
    """Copy a folder; programs become executable. The relative paths of what was made."""
    made = []
    target.mkdir(parents=True)
    for child in sorted(source.iterdir(), key=lambda each: each.name):
        if child.name == "__pycache__":
            continue
        if child.is_dir():
            made += [f"{child.name}/{path}" for path in _copy(child, target / child.name, name)]
            continue
        mode = 0o755 if child.name.endswith(_PROGRAMS) else 0o644
        write_atomic(target / child.name, child.read_bytes().replace(_PLACEHOLDER, name), mode=mode)
        made.append(child.name)
    return made
