"""A town whose gateway the tests of a module share."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.stage import Stage, give_back, make_stage
from tests.gateway.web import Web, web_of


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A workspace with ``echo`` running behind a gateway."""
    runtime = Path(tempfile.mkdtemp(prefix="pw-", dir="/tmp"))
    made = make_stage(tmp_path_factory.mktemp("town"), runtime)
    made.run("start", "echo")
    yield made
    give_back(made)
    shutil.rmtree(runtime)


@pytest.fixture
def stage(tmp_path: Path, short_folder: Path) -> Iterator[Stage]:
    """A workspace of its own, nothing running."""
    made = make_stage(tmp_path, short_folder)
    yield made
    give_back(made)


@pytest.fixture(scope="module")
def web(town: Stage) -> Web:
    """Its owner, by HTTP."""
    return web_of(town)
