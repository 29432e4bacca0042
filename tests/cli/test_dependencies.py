"""``deps`` through the command: shown, prepared without a start, kept while the agent runs, removed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.stage import Stage
from tests.lifecycle.test_dependencies import WHEEL, write_wheel

pytestmark = pytest.mark.bubblewrap


@pytest.fixture
def stage(stage: Stage) -> Stage:
    """The workspace with two more agents: ``py`` depends on a package, ``plain`` on nothing."""
    for name in ("py", "plain"):
        folder = stage.layout.repo("crew") / name
        (folder / "code").mkdir(parents=True)
        (folder / "manifest.json").write_text(json.dumps({"container": "busybox"}))
    code = stage.layout.repo("crew") / "py" / "code"
    write_wheel(code)
    (code / "requirements.txt").write_text(f"/code/{WHEEL}\n")
    for name in ("py", "plain"):
        stage.run("enable", "agent", name)
    return stage


def states(stage: Stage) -> dict[str, str]:
    rows: list[dict[str, Any]] = stage.run("deps", "status", "--json").json
    return {row["agent"]: row["state"] for row in rows}


def test_packages_are_prepared_without_a_start_which_then_needs_nothing(stage: Stage) -> None:
    assert states(stage) == {"py": "missing", "plain": "none"}
    assert "requirements.txt" in stage.run("deps", "status", "py").out
    stage.run("deps", "prepare")
    assert states(stage) == {"py": "installed", "plain": "none"}
    agents = {row["name"]: row["state"] for row in stage.run("status", "--json").json["agents"]}
    assert agents["py"] == "ENABLED"
    assert not stage.gateway_processes
    (stage.layout.repo("crew") / "py" / "code" / WHEEL).unlink()
    stage.run("start", "py")
    said = stage.run("exec", "py", "--", "python", "-c", "import greeting; print(greeting.WORD)")
    assert said.out == "hello\n"


def test_what_a_running_agent_uses_is_neither_removed_nor_changed(stage: Stage) -> None:
    stage.run("start", "py")
    assert "its packages cannot change" in stage.run("deps", "clean", "py", code=1).err
    requirements = stage.layout.repo("crew") / "py" / "code" / "requirements.txt"
    requirements.write_text(f"# newer\n/code/{WHEEL}\n")
    assert states(stage)["py"] == "changed"
    assert "its packages cannot change" in stage.run("deps", "prepare", "py", code=1).err
    assert stage.run("exec", "py", "--", "python", "-c", "import greeting").code == 0
    stage.run("restart", "py")
    assert states(stage)["py"] == "installed"


def test_cleaning_removes_packages_and_leaves_data(stage: Stage) -> None:
    stage.run("deps", "prepare", "py")
    work = stage.layout.work_dir("py")
    (work / "data.txt").write_text("kept")
    stage.run("deps", "clean")
    assert states(stage)["py"] == "missing"
    assert not (work / "venv").exists()
    assert (work / "data.txt").read_text() == "kept"


def test_a_failing_install_is_told_and_the_agent_is_not_trusted_with_half_of_it(stage: Stage) -> None:
    (stage.layout.repo("crew") / "py" / "code" / WHEEL).unlink()
    failed = stage.run("deps", "prepare", "py", code=1)
    assert "Failed to install agent dependencies" in failed.err
    assert states(stage)["py"] == "missing"
