"""Settings and fixtures of every test."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from ploinky.workspace.layout import Layout
from ploinky.workspace.structure import init_workspace
from tests import engines

# a busy machine is slow now and then; that is no failure of the code
hypothesis.settings.register_profile(
    "ploinky", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("ploinky")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Asynchronous tests and fixtures run on asyncio, as the product does."""
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def _own_data_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keys of sealed files lie outside the workspace: not among those of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data-home")))
        yield


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A fresh workspace in a temporary folder."""
    root = tmp_path / "workspace"
    root.mkdir()
    return init_workspace(root)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # the longest first: another process takes the other files meanwhile
    items.sort(key=lambda item: item.path.name != "test_demo.py")


def pytest_sessionstart() -> None:
    # a run in the background of a script inherits an ignored SIGINT, and the commands under test would too
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _images_end_with_the_run() -> Iterator[None]:
    yield
    engines.give_back()


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder with a short path, because a socket's path may be 107 bytes at most."""
    folder = Path(tempfile.mkdtemp(prefix="pc-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)
