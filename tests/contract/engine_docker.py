"""Docker under the contract, where a daemon answers."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ploinky.runtimes.docker import DockerRuntime
from tests import engines
from tests.contract.engine_containers import under_test
from tests.contract.engine_under_test import EngineUnderTest


def unusable() -> str | None:
    return engines.missing_engine("docker")


@asynccontextmanager
async def engine(folder: Path) -> AsyncIterator[EngineUnderTest]:
    second = (
        "__import__('ploinky.runtimes.docker', fromlist=['docker']).DockerRuntime("
        "dict(__import__('os').environ))"
    )
    yield under_test("docker", folder, lambda: DockerRuntime(dict(os.environ)), second)
