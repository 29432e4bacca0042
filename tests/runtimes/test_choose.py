"""Which engine is taken, and what is said when there is none."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from ploinky.base.errors import PloinkyError
from ploinky.runtimes import errors
from ploinky.runtimes.choose import RUNTIME_NAMES, choose_runtime, health_of, make_runtime
from ploinky.workspace.layout import Layout


@pytest.fixture
def bare_host(short_folder: Path) -> dict[str, str]:
    """An environment without any engine."""
    (short_folder / "bin").mkdir()
    (short_folder / "run").mkdir(mode=0o700)
    return {
        "PATH": str(short_folder / "bin"),
        "HOME": str(short_folder),
        "XDG_RUNTIME_DIR": str(short_folder / "run"),
        "CONTAINER_HOST": f"unix://{short_folder}/no-podman.sock",
        "DOCKER_HOST": f"unix://{short_folder}/no-docker.sock",
    }


async def test_an_engine_asked_for_by_name_is_taken(layout: Layout, bare_host: dict[str, str]) -> None:
    for name in RUNTIME_NAMES:
        runtime = await choose_runtime(name, layout=layout, environ=bare_host)
        assert runtime.kind == name
        await runtime.aclose()


@pytest.mark.bubblewrap
async def test_without_an_engine_the_sandbox_is_taken(layout: Layout, bare_host: dict[str, str]) -> None:
    bwrap = shutil.which("bwrap")
    if bwrap is None or not (await health_of("sandbox", os.environ)).usable:
        pytest.skip("no bubblewrap")
    (Path(bare_host["PATH"]) / "bwrap").symlink_to(bwrap)
    runtime = await choose_runtime("auto", layout=layout, environ=bare_host)
    assert runtime.kind == "sandbox"
    await runtime.aclose()


async def test_when_nothing_can_be_used_every_reason_is_given(
    layout: Layout, bare_host: dict[str, str]
) -> None:
    with pytest.raises(PloinkyError) as refused:
        await choose_runtime("auto", layout=layout, environ=bare_host)
    assert refused.value.code == errors.RUNTIME_UNAVAILABLE
    assert [name for name in RUNTIME_NAMES if f"{name}: " in refused.value.message] == list(RUNTIME_NAMES)
    assert "apt install bubblewrap" in (refused.value.hint or "")


async def test_health_says_what_is_missing(bare_host: dict[str, str]) -> None:
    health = await health_of("sandbox", bare_host)
    assert (health.usable, health.version) == (False, None)
    assert "bwrap is not installed" in health.reason


def test_an_unknown_engine_is_refused_with_the_known_ones(layout: Layout) -> None:
    with pytest.raises(PloinkyError) as refused:
        make_runtime("lxc", layout, {})
    assert refused.value.code == errors.UNKNOWN_RUNTIME
    assert refused.value.hint == "Use one of: auto, podman, docker, sandbox."
