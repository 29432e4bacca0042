"""The official conformance suite with the reference server as the only agent, on both endpoints."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ploinky.router.naming import Naming
from ploinky.router.router import RouterSettings
from ploinky.router.servers.source import PortSource
from tests.conformance.stage import AsOwner, run_suite
from tests.conformance.test_programs import required
from tests.router.servers import look_until_offered, reference_server
from tests.router.stand import Stand, open_stand


@pytest.fixture(scope="module")
async def stand() -> AsyncIterator[Stand]:
    settings = RouterSettings(naming=Naming.PLAIN)
    async with reference_server() as port, open_stand("ref", settings=settings, wrap=AsOwner) as stand:
        stand.agents["ref"].server = PortSource(port)
        await look_until_offered(stand, "ref")
        yield stand


@pytest.mark.parametrize("agent", ["ref", None], ids=["one agent", "all agents"])
@pytest.mark.parametrize(("revision", "count"), [("2025-11-25", 30), ("2026-07-28", 37)])
async def test_every_scenario_that_a_revision_requires_passes(
    stand: Stand, tmp_path: Path, agent: str | None, revision: str, count: int
) -> None:
    report = await run_suite(stand.url(agent), revision, tmp_path)
    scenarios = required(revision)
    assert len(scenarios) == count
    assert set(report.failures) >= scenarios, report.text[-3000:]
    failed = {name: report.failures[name] for name in scenarios if not report.passed(name)}
    assert not failed
