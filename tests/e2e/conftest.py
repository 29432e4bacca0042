"""Workspaces driven by the real command, on each runtime that real users have."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import engines
from tests.cli.stage import Stage
from tests.e2e.held_turns import holding_workspace
from tests.models.witness import Witness

WAY = re.compile(r"(_proxy|_PROXY|_CA_CERTS|_CERT|CA_BUNDLE|CERT_FILE|^PIP_.*|^npm_config_.*)$")
RUNTIMES = [
    pytest.param("sandbox", marks=pytest.mark.bubblewrap),
    pytest.param("podman", marks=pytest.mark.podman),
]


def way_to_the_registries() -> dict[str, str]:
    """What people behind a proxy export so that package managers work; most machines have none of it."""
    return {name: value for name, value in os.environ.items() if WAY.search(name)}


@pytest.fixture(scope="module", params=RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> Iterator[str]:
    kind: str = request.param
    if kind == "sandbox":
        if shutil.which("bwrap") is None:
            engines.absent("bubblewrap", "bwrap is not installed")
    elif reason := engines.missing_engine(kind):
        engines.absent(kind, reason)
    yield kind
    engines.give_back()


@pytest.fixture(scope="module")
def workspace(runtime: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """An empty workspace on the runtime; destroyed at the end, and nothing of it may be left."""
    sockets = Path(tempfile.mkdtemp(prefix="pe-", dir="/tmp"))
    root = tmp_path_factory.mktemp("e2e") / "workspace"
    root.mkdir()
    stage = Stage(root, sockets, extra=way_to_the_registries())
    stage.run("init")
    settings = {"runtime": runtime, "gateway": {"port": 0}}
    stage.layout.config_file.write_text(json.dumps(settings), encoding="utf-8")
    yield stage
    stage.run("destroy", "--yes", "--purge")
    assert stage.leftovers() == []
    shutil.rmtree(sockets)


@pytest.fixture(scope="module")
def quay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stage, Witness]]:
    """A workspace whose assistant asks its model through a witness that can hold."""
    with holding_workspace(tmp_path_factory.mktemp("quay")) as made:
        yield made
