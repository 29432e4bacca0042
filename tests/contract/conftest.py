"""Every engine that can be tested here, one after the other."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import anyio
import pytest

from ploinky.runtimes.protocol import Runtime
from tests import engines
from tests.contract.engine_under_test import EngineModule, EngineUnderTest

ENGINES = {
    "fake": "tests.contract.engine_fake",
    "sandbox": "tests.contract.engine_bubblewrap",
    "podman": "tests.contract.engine_podman",
    "docker": "tests.contract.engine_docker",
}
THINGS = {"sandbox": "bubblewrap"}  # what PLOINKY_REQUIRE calls it
MARKS = {"sandbox": pytest.mark.bubblewrap, "podman": pytest.mark.podman, "docker": pytest.mark.docker}


@pytest.fixture(params=[pytest.param(kind, marks=MARKS.get(kind, ())) for kind in ENGINES])
def engine_module(request: pytest.FixtureRequest) -> EngineModule:
    """The module of an engine that can be tested here."""
    name = ENGINES[request.param]
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"no module {name}")
    module = cast("EngineModule", importlib.import_module(name))
    reason = module.unusable()
    if reason is not None:
        engines.absent(THINGS.get(request.param, request.param), reason)
    return module


@pytest.fixture
async def engine(engine_module: EngineModule, short_folder: Path) -> AsyncIterator[EngineUnderTest]:
    """An engine that is found without any sandbox of a test, and is left so."""
    async with engine_module.engine(short_folder) as under_test:
        yield under_test
        runtime = under_test.open_runtime()
        with anyio.fail_after(60):
            for each in under_test.names:
                await runtime.remove(each)
        await runtime.aclose()


@pytest.fixture
async def runtime(engine: EngineUnderTest) -> AsyncIterator[Runtime]:
    """A runtime object over the engine."""
    made = engine.open_runtime()
    yield made
    await made.aclose()


@pytest.fixture(autouse=True)
def _needed_traits(request: pytest.FixtureRequest) -> None:
    """Skip a test marked ``needs(Trait...)`` on an engine without the trait."""
    mark = request.node.get_closest_marker("needs")
    if mark is None:
        return
    under_test: EngineUnderTest = request.getfixturevalue("engine")
    missing = [trait for trait in mark.args if trait not in under_test.traits]
    if missing:
        pytest.skip(f"{under_test.kind} has no {', '.join(missing)}")
