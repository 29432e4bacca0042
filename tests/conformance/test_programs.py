"""The official conformance suite against an agent made of programs, in both eras, on both endpoints."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from tests.conformance.stage import SUITE, program_gateway, run_suite
from tests.router.stand import Stand

UNSERVED = {"tasks-mrtr-composition"}
"""A tool that asks before it becomes a task: programs ask in the middle of one."""


@pytest.fixture(scope="module")
async def stand() -> AsyncIterator[Stand]:
    async with program_gateway() as each:
        yield each


def required(revision: str) -> set[str]:
    """The scenarios that a revision requires of servers."""
    file = SUITE.parents[1] / "requirements" / f"{revision}.yaml"
    listed: list[str] = yaml.safe_load(file.read_text("utf-8"))["server"]
    return set(listed)


@pytest.mark.parametrize("agent", ["conform", None])
@pytest.mark.parametrize(("revision", "count"), [("2025-11-25", 30), ("2026-07-28", 37)])
async def test_every_required_scenario_passes(
    stand: Stand, tmp_path: Path, agent: str | None, revision: str, count: int
) -> None:
    report = await run_suite(stand.url(agent), revision, tmp_path)
    scenarios = required(revision)
    assert len(scenarios) == count
    assert set(report.failures) >= scenarios, report.text[-3000:]
    failed = {name: found for name, found in report.failures.items() if found and name not in UNSERVED}
    assert not {name: found for name, found in failed.items() if name in scenarios}
    assert not failed, "what the suite does not score, this agent passes too"
