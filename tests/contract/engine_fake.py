"""The engine in memory under the contract."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ploinky.runtimes.fake import FakeEngine, FakeRuntime
from ploinky.runtimes.spec import Mount, RunSpec
from tests.contract.engine_under_test import EngineUnderTest


def unusable() -> str | None:
    return None


@asynccontextmanager
async def engine(folder: Path) -> AsyncIterator[EngineUnderTest]:
    for each in ("sockets", "code", "launcher"):
        (folder / each).mkdir()
    base = RunSpec(
        name=folder.name,
        workspace=folder.name,
        agent="agent",
        image="debian:12",
        socket_dir=folder / "sockets" / "agent",
        launcher_dir=folder / "launcher",
        log_path=folder / "agent.log",
        mounts=(Mount(folder / "code", "/code", read_only=False),),
    )
    async with FakeEngine() as fake:
        yield EngineUnderTest(
            kind="fake",
            folder=folder,
            traits=frozenset(),
            open_runtime=lambda: FakeRuntime(fake),
            base=base,
            leftovers=lambda name: [each for each in fake.sandboxes if each == name],
        )
