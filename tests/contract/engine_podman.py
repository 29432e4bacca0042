"""Podman under the contract, over a service that each test starts and ends."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ploinky.runtimes.podman import PodmanRuntime
from ploinky.runtimes.podman_service import OwnService
from tests import engines
from tests.contract.engine_containers import under_test
from tests.contract.engine_under_test import EngineUnderTest


def unusable() -> str | None:
    return engines.missing_engine("podman")


@asynccontextmanager
async def engine(folder: Path) -> AsyncIterator[EngineUnderTest]:
    service = folder / "engine"
    environ = {name: value for name, value in os.environ.items() if name != "CONTAINER_HOST"}
    second = (
        "__import__('ploinky.runtimes.podman', fromlist=['podman']).PodmanRuntime("
        f"__import__('pathlib').Path({str(service)!r}), dict(__import__('os').environ))"
    )
    try:
        yield under_test("podman", folder, lambda: PodmanRuntime(service, environ), second)
    finally:
        await OwnService(service, environ).stop()
