"""Nothing of one assistant is seen or changed through the other: every tool, every file, every method."""

from __future__ import annotations

import contextlib
import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from ploinky.assistants.reach import OWN
from ploinky.assistants.runs import Run, RunKind, RunStatus
from ploinky.assistants.sessions import Session
from ploinky.assistants.toolkit import ToolUse
from ploinky.base.errors import PloinkyError, UsageError
from ploinky.base.jsontypes import JsonObject
from ploinky.workspace.layout import Layout
from tests.assistants.home import Home, open_home

MARK = "TREASURE-OF-THE-OTHER"
PROFILES = [
    {"id": "outer", "root": "."},
    {"id": "inner", "root": "profiles/inner"},
    {"id": "beside", "root": "profiles/beside"},
]


def people(layout: Layout, **more: object) -> dict[str, Any]:
    for name in ("profiles/inner", "profiles/beside"):
        (layout.root / name).mkdir(parents=True, exist_ok=True)
    return {"profiles": PROFILES, **more}


async def fill(home: Home, name: str) -> None:
    """Put the mark into everything that an assistant has."""
    assistant = home[name]
    assistant.substrate.write("SOUL.md", f"# {MARK}\n{MARK}")
    assistant.memory.files.write("MEMORY.md", MARK)
    assistant.memory.files.append(MARK)
    (assistant.root / "workspace" / "notes.txt").write_text(MARK)
    (assistant.root / "skills" / "plan.md").write_text(MARK)
    await home.talk(f"/memory remember {MARK}", to=name)
    await home.talk(MARK, to=name)


def tree(root: Path, skip: Path | None = None) -> dict[str, bytes]:
    return {
        str(path): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
        and not path.is_symlink()
        and (skip is None or skip not in path.parents)
        and not path.name.startswith("state.db")
        and path.name != ".lock"
    }


async def test_no_path_leads_from_one_assistant_to_another(layout: Layout) -> None:
    roots = [{"path": ".", "access": "write"}, {"path": "profiles", "access": "write"}]
    async with open_home(layout, **people(layout, workspaces={"roots": roots})) as home:
        for name in ("inner", "beside"):
            await fill(home, name)
        (home["outer"].root / "workspace" / "link").symlink_to(home["inner"].root)
        kept = {name: tree(home[name].root) for name in ("inner", "beside")}
        own = {name: (layout.root / name).read_bytes() for name in ("SOUL.md", "AGENTS.md")}
        _try_every_path(home)
        assert {name: tree(home[name].root) for name in ("inner", "beside")} == kept
        assert {name: (layout.root / name).read_bytes() for name in own} == own
        assert not list((layout.root / ".ploinky").glob("overwritten*"))


def _try_every_path(home: Home) -> None:
    parts = [
        "..",
        "profiles",
        "inner",
        "workspace",
        "MEMORY.md",
        "memory",
        "SOUL.md",
        "state.db",
        "config.json",
    ]
    parts += [".ploinky", "notes.txt", "skills", "link", "beside", "profiles/inner", "../profiles/inner"]
    reach = home["outer"].reach
    areas = [area.name for area in reach.areas()]
    assert areas == [OWN, ".", "profiles"]
    for depth in (1, 2):
        for steps in product(parts, repeat=depth):
            path = "/".join(steps)
            for area in areas:
                for name in (path, f"{home.layout.root}/{path}"):
                    _try(home, area, name)


def _try(home: Home, area: str, name: str) -> None:
    reach = home["outer"].reach
    with contextlib.suppress(PloinkyError, OSError):
        assert MARK not in reach.read(area, name, max_bytes=10**7)
    if Path(name).name in ("MEMORY.md", "SOUL.md", "notes.txt", "config.json", "state.db", "plan.md"):
        with contextlib.suppress(PloinkyError, OSError):
            reach.write(area, name, "overwritten by outer")


async def test_no_tool_of_one_assistant_tells_of_another(layout: Layout) -> None:
    async with open_home(layout, **people(layout)) as home:
        await fill(home, "inner")
        before = tree(home["inner"].root)
        outer = home["outer"]

        async def on_progress(message: str, fraction: float | None) -> None:
            assert MARK not in message

        run = Run("run", Session("s"), RunKind.USER, RunStatus.RUNNING, "now")
        for spec in outer.toolbox.offered():
            if spec.name == "ask_assistant":
                continue  # made to talk to others; a person's word comes first
            for arguments in _arguments(spec.name):
                outcome = await outer.toolbox.call(spec, arguments, ToolUse(run, on_progress))
                assert MARK not in outcome.text, spec.name
        assert tree(home["inner"].root) == before
        preview = json.dumps((await outer.preview(Session("main"), "hello")).wire())
        assert MARK not in preview


def _arguments(tool: str) -> list[JsonObject]:
    paths = [
        "../profiles/inner/MEMORY.md",
        "profiles/inner/workspace/notes.txt",
        "../../profiles/inner/SOUL.md",
    ]
    table: dict[str, list[JsonObject]] = {
        "memory_search": [{"query": MARK}, {"query": "treasure other"}],
        "memory_write": [{"text": "mine"}],
        "remember": [{"text": "mine"}],
        "read_file": [{"path": path} for path in paths],
        "write_file": [{"path": path, "text": "x"} for path in paths],
        "list_files": [{}, {"path": "../profiles/inner"}, {"path": ".."}],
        "web_fetch": [{"url": "file:///etc/passwd"}, {"url": "http://127.0.0.1:1/"}],
        "schedule": [{"action": "list"}],
        "request_credential": [{"kind": "provider", "owner": "x", "name": "k", "why": "w"}],
    }
    return table.get(tool, [{}])


async def test_stores_are_apart(layout: Layout) -> None:
    async with open_home(layout, **people(layout)) as home:
        await fill(home, "inner")
        run = (await home.say("/help", to="inner")).id
        await home["inner"].wait_run(run, 20)
        for name in ("outer", "beside"):
            other = home[name]
            assert other.threads.messages("main") == []
            assert other.threads.sessions() == []
            assert other.journal.page(0) == []
            assert other.approvals.recent() == []
            assert other.cron.store.all() == []
            assert await other.memory.search(MARK) == []
            with pytest.raises(PloinkyError):
                other.runs.require(run)
            with pytest.raises(PloinkyError):
                await other.cancel_run(run)


async def test_a_link_in_the_workspace_leads_nowhere(layout: Layout) -> None:
    async with open_home(layout, **people(layout)) as home:
        await fill(home, "inner")
        own = home["beside"].root / "workspace"
        (own / "file").symlink_to(home["inner"].root / "MEMORY.md")
        (own / "folder").symlink_to(home["inner"].root)
        (own / "secret").symlink_to("/etc/passwd")
        reach = home["beside"].reach
        for name in ("file", "folder/MEMORY.md", "secret"):
            with pytest.raises(UsageError):
                reach.read(OWN, name, max_bytes=1000)
            with pytest.raises(UsageError):
                reach.write(OWN, name, "x")
        assert [name for name, _ in reach.walk(OWN, ".", most=99)] == []
