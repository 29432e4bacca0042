"""Stages: an empty folder, a workspace with agents, and one whose gateway runs."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.stage import Stage, give_back, make_stage


@pytest.fixture
def bare(tmp_path: Path, short_folder: Path) -> Stage:
    """A folder that is no workspace."""
    root = tmp_path / "somewhere"
    root.mkdir()
    return Stage(root, short_folder)


@pytest.fixture
def stage(tmp_path: Path, short_folder: Path) -> Iterator[Stage]:
    """A workspace of its own; whatever the test left running is ended."""
    made = make_stage(tmp_path, short_folder)
    yield made
    give_back(made)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A workspace with ``echo`` and ``worker`` running behind a gateway, shared by the tests of a module;
    they leave it as it was."""
    runtime = Path(tempfile.mkdtemp(prefix="pt-", dir="/tmp"))
    made = make_stage(tmp_path_factory.mktemp("town"), runtime)
    made.run("enable", "agent", "echo")
    made.run("start", "worker")
    made.run("start")
    yield made
    give_back(made)
    shutil.rmtree(runtime)
