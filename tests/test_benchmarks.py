"""The figures on record, made by ``make bench``: speed is measured there, not by tests on a busy machine."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
# of the agent model, in seconds; a start holds its sandbox's creation, for which 5 s are allowed alone
ENABLE_S, START_S, STOP_S, CALL_S = 1.0, 5.0, 5.0, 0.1


def cells(start: str) -> list[list[str]]:
    """The rows of the page's tables whose first cell starts so."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    found = [row for row in table if row[0].startswith(start)]
    assert found, f"no row of {PAGE.name} starts with {start!r}"
    return found


def test_the_figures_on_record_meet_the_targets_of_the_agent_model() -> None:
    [[_, enable]] = cells("ploinky enable agent")
    milliseconds = re.fullmatch(r"(\d+) ms wall", enable)
    assert milliseconds is not None
    assert int(milliseconds[1]) < ENABLE_S * 1000
    for runtime in ("sandbox", "podman"):
        _, agents, _, first_start, again, _, stop = cells(runtime)[0]
        assert agents == "1"
        assert max(float(first_start), float(again)) < START_S
        assert float(stop) < STOP_S
    way, clients, p50_ms, *_ = cells("through /mcp")[0]
    assert (way, clients) == ("through /mcps/<agent>/mcp", "1")
    assert float(p50_ms) < CALL_S * 1000
