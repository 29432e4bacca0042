"""The official conformance suite against an agent made of programs, in both eras, on both endpoints."""

from __future__ import annotations

import anyio
import pytest
import yaml

from tests.conformance.stage import SUITE, Report, program_gateway, run_suite
from tests.router.stand import Stand

UNSERVED = {"tasks-mrtr-composition"}
"""A tool that asks before it becomes a task: programs ask in the middle of one."""


RUNS = [(revision, agent) for revision in ("2025-11-25", "2026-07-28") for agent in ("conform", None)]


@pytest.fixture(scope="module")
async def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str | None], Report]:
    """The suite run with each revision on each endpoint, all at once: it spends most of its time waiting."""
    found: dict[tuple[str, str | None], Report] = {}

    async def run(stand: Stand, revision: str, agent: str | None) -> None:
        folder = tmp_path_factory.mktemp("results")
        found[revision, agent] = await run_suite(stand.url(agent), revision, folder)

    async with program_gateway() as stand, anyio.create_task_group() as tasks:
        for revision, agent in RUNS:
            tasks.start_soon(run, stand, revision, agent)
    return found


def required(revision: str) -> set[str]:
    """The scenarios that a revision requires of servers."""
    file = SUITE.parents[1] / "requirements" / f"{revision}.yaml"
    listed: list[str] = yaml.safe_load(file.read_text("utf-8"))["server"]
    return set(listed)


@pytest.mark.parametrize(("revision", "agent"), RUNS)
async def test_every_required_scenario_passes(
    reports: dict[tuple[str, str | None], Report], revision: str, agent: str | None
) -> None:
    report, scenarios = reports[revision, agent], required(revision)
    assert len(scenarios) == {"2025-11-25": 30, "2026-07-28": 37}[revision]
    assert set(report.failures) >= scenarios, report.text[-3000:]
    failed = {name: found for name, found in report.failures.items() if found and name not in UNSERVED}
    assert not {name: found for name, found in failed.items() if name in scenarios}
    assert not failed, "what the suite does not score, this agent passes too"
