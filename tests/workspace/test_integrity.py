"""What is wrong with a layout is found, and repaired where nobody must decide."""

from __future__ import annotations

import os
import time

from ploinky.workspace.integrity import check_layout, repair
from ploinky.workspace.layout import Layout
from ploinky.workspace.links import make_links
from ploinky.workspace.registry import Registry, RegistryEntry

SHELL = RegistryEntry(agent_name="shell", repo_name="basic")


def enable_shell(layout: Layout) -> None:
    layout.agent_source("basic", "shell").mkdir(parents=True)
    Registry(layout).put(SHELL)
    make_links(layout, SHELL)


def test_a_fresh_workspace_and_one_with_an_agent_are_in_order(layout: Layout) -> None:
    assert check_layout(layout) == []
    enable_shell(layout)
    assert check_layout(layout) == []


def test_everything_that_can_be_repaired_is(layout: Layout) -> None:
    enable_shell(layout)
    layout.code_link("shell").unlink()
    (layout.code / "gone").symlink_to("../.ploinky/repos/basic/shell")
    (layout.control / ".gitignore").unlink()
    layout.shared.rmdir()
    layout.secrets_file.write_text("KEY=value\n")
    layout.secrets_file.chmod(0o644)
    left = layout.control / ".tmp-agents-abc"
    left.write_text("half")
    os.utime(left, (time.time() - 3600,) * 2)
    issues = check_layout(layout)
    paths = {layout.code_link("shell"), layout.code / "gone", layout.control / ".gitignore", layout.shared}
    assert {issue.path for issue in issues} == paths | {layout.secrets_file, left}
    assert len(repair(issues)) == len(issues)
    assert check_layout(layout) == []
    assert oct(layout.secrets_file.stat().st_mode & 0o777) == "0o600"


def test_what_a_person_must_decide_is_told_and_left(layout: Layout) -> None:
    enable_shell(layout)
    layout.code_link("shell").unlink()
    layout.code_link("shell").write_text("mine")
    layout.config_file.write_text("{")
    layout.logs.rmdir()
    layout.logs.write_text("a file")
    issues = check_layout(layout)
    assert {issue.path for issue in issues} == {layout.code_link("shell"), layout.config_file, layout.logs}
    assert all(issue.fix is None for issue in issues)
    assert repair(issues) == []
    assert layout.code_link("shell").read_text() == "mine"


def test_an_enabled_agent_without_source_is_told(layout: Layout) -> None:
    Registry(layout).put(SHELL)
    assert [issue.path for issue in check_layout(layout)] == [layout.agent_source("basic", "shell")]


def test_a_registry_that_cannot_be_read_is_one_issue_with_its_place(layout: Layout) -> None:
    layout.registry_file.write_text('{"shell": ')
    issues = check_layout(layout)
    assert len(issues) == 1
    assert "line 1, column 11" in issues[0].problem


def test_a_young_temporary_file_belongs_to_somebody_at_work(layout: Layout) -> None:
    (layout.control / ".tmp-agents-abc").write_text("half")
    assert check_layout(layout) == []


def test_a_folder_that_became_a_link_is_told_and_nothing_behind_it_removed(layout: Layout) -> None:
    other = layout.shared / "other"
    other.mkdir()
    left = other / ".tmp-theirs"
    left.write_text("theirs")
    os.utime(left, (time.time() - 3600,) * 2)
    layout.code.rmdir()
    layout.code.symlink_to("shared/other")
    issues = check_layout(layout)
    assert [issue.path for issue in issues] == [layout.code]
    assert repair(issues) == []
    assert left.exists()
