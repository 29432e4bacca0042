"""A workspace over real bubblewrap sandboxes; nothing of it outlives its test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from ploinky.base.errors import PloinkyError
from ploinky.channel.binary import launcher_folder
from tests.lifecycle.stage import Stage, make_context, plain_environ, sandbox_runtime, short_folder


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """A fresh workspace over bubblewrap."""
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
