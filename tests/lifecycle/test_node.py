"""Which Node packages an agent gets, and when two ranges can agree."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ploinky.base.errors import PloinkyError
from ploinky.lifecycle.node import NodePackages, node_packages
from ploinky.lifecycle.ranges import can_agree


def packages(folder: Path, package: object, extra: dict[str, str] | None = None) -> NodePackages:
    (folder / "package.json").write_text(json.dumps(package))
    found = node_packages(
        "one", code=folder, folder=folder, extra=extra or {}, workspace_base=folder / "none.json"
    )
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("first", "second", "agree"),
    [
        ("^1.0.0", "^1.5.0", True),
        ("^1", "^2", False),
        ("~1.2.3", ">=1.3", False),
        ("1.x", "1.4.2", True),
        ("github:a/b", "^2.0.0", False),
        ("github:a/b", "github:a/b", True),
        (">=1 <2", "2.0.0", False),
        ("1.0.0 - 2.0.0", "2.0.0", True),
        ("^0.2.3", "0.3.0", False),
        ("^0.2.3", "0.2.9", True),
        ("^0.0.3", "0.0.4", False),
        ("^0", "0.9.1", True),
        ("1 || 3", "^3.1", True),
        ("*", "latest", True),
        ("latest", "^1", False),
        (">= 1.2", "1.3", True),
        ("=1.2.3", "v1.2.3", True),
        (">2", "2.0.5", False),
    ],
)
def test_two_ranges_agree_if_a_version_satisfies_both(first: str, second: str, agree: bool) -> None:
    assert can_agree(first, second) is agree
    assert can_agree(second, first) is agree


def test_an_agent_without_a_package_file_has_no_node_packages(tmp_path: Path) -> None:
    found = node_packages("one", code=tmp_path, folder=tmp_path, extra={"jest": "1"}, workspace_base=tmp_path)
    assert found is None


def test_core_packages_that_nobody_uses_are_not_installed(tmp_path: Path) -> None:
    (tmp_path / "main.mjs").write_text("import fs from 'fs'; import { x } from './mcp-sdk.mjs';")
    assert packages(tmp_path, {"dependencies": {"left": "^1.0.0"}}).core == {}


@pytest.mark.parametrize(
    "line",
    [
        "import { mcp } from 'mcp-sdk';",
        'import "mcp-sdk";',
        "const sdk = require('mcp-sdk');",
        "const { types } = await import('mcp-sdk/client');",
    ],
)
def test_a_core_package_that_the_code_imports_is_installed(tmp_path: Path, line: str) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "main.mjs").write_text(f"// first\n{line}\n")
    found = packages(tmp_path, {})
    assert found.core == {"mcp-sdk": "github:PloinkyRepos/MCPSDK#main"}
    assert found.needs_git


def test_a_core_package_that_the_manifest_names_is_installed_in_cores_version(tmp_path: Path) -> None:
    found = packages(tmp_path, {"dependencies": {"node-pty": "^1.1.0"}}, {"nodemon": "^3.0.0"})
    merged = json.loads(found.package_json)["dependencies"]
    assert merged == {"node-pty": "^1.0.0", "nodemon": "^3.0.0"}


def test_imports_in_installed_trees_do_not_count(tmp_path: Path) -> None:
    inner = tmp_path / "node_modules" / "other"
    inner.mkdir(parents=True)
    (inner / "index.js").write_text("require('flexsearch')")
    assert packages(tmp_path, {}).core == {}


def test_the_workspaces_core_set_replaces_the_platforms(tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text('{"dependencies": {"mcp-sdk": "^9.0.0"}}')
    base = tmp_path / "package.base.json"
    base.write_text('{"dependencies": {}}')
    found = node_packages("one", code=tmp_path, folder=tmp_path, extra={}, workspace_base=base)
    assert found is not None
    assert json.loads(found.package_json)["dependencies"] == {"mcp-sdk": "^9.0.0"}


def test_a_package_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text("{")
    with pytest.raises(PloinkyError) as caught:
        node_packages("one", code=tmp_path, folder=tmp_path, extra={}, workspace_base=tmp_path / "none")
    assert caught.value.code == "PACKAGE_FILE_INVALID"
    assert str(tmp_path / "package.json") in caught.value.message


@pytest.mark.parametrize(
    ("source", "needed"),
    [
        ("^1.0.0", False),
        ("file:../word", False),
        ("github:someone/word", True),
        ("git+ssh://example.com/word.git", True),
    ],
)
def test_git_is_asked_for_only_where_a_package_comes_from_a_repository(
    tmp_path: Path, source: str, needed: bool
) -> None:
    assert packages(tmp_path, {"dependencies": {"word": source}}).needs_git is needed
