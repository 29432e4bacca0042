"""Workspaces over real bubblewrap sandboxes and over Podman; nothing of them outlives its test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ploinky.base.errors import PloinkyError
from ploinky.channel.binary import launcher_folder
from ploinky.runtimes.podman import PodmanRuntime
from ploinky.runtimes.podman_service import OwnService
from tests import engines
from tests.lifecycle.stage import Stage, make_context, plain_environ, sandbox_runtime, short_folder


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """A fresh workspace over bubblewrap."""
    async with over_bubblewrap() as made:
        yield made


@pytest.fixture
async def pods() -> AsyncIterator[Stage]:
    """A fresh workspace over Podman."""
    async with over_podman() as made:
        yield made


@pytest.fixture(
    params=[
        pytest.param("sandbox", marks=pytest.mark.bubblewrap),
        pytest.param("podman", marks=pytest.mark.podman),
    ]
)
async def either(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    """A fresh workspace over each of the two."""
    async with over_podman() if request.param == "podman" else over_bubblewrap() as made:
        yield made


@asynccontextmanager
async def over_bubblewrap() -> AsyncIterator[Stage]:
    try:
        launcher_folder({})
    except PloinkyError as error:
        pytest.skip(error.message)
    with short_folder() as folder:
        root = folder / "workspace"
        root.mkdir()
        environ = plain_environ()
        made = Stage(make_context(root, folder / "run", sandbox_runtime(root, environ), environ))
        health = await made.ctx.runtime.check()
        if not health.usable:
            pytest.skip(health.reason)
        yield made
        for sandbox in await made.ctx.runtime.list(made.layout.id):
            await made.ctx.runtime.remove(sandbox.name)


@asynccontextmanager
async def over_podman() -> AsyncIterator[Stage]:
    reason = engines.missing_engine("podman")
    if reason is not None:
        engines.absent("podman", reason)
    with short_folder() as folder:
        root = folder / "workspace"
        root.mkdir()
        environ = plain_environ()
        runtime = PodmanRuntime(folder / "engine", environ)
        made = Stage(make_context(root, folder / "run", runtime, environ), engines.image("podman"))
        try:
            yield made
            for sandbox in await runtime.list(made.layout.id):
                await runtime.remove(sandbox.name)
        finally:
            await runtime.aclose()
            await OwnService(folder / "engine", environ).stop()
