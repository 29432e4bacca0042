"""Agents under different profiles side by side: each keeps the one it was started with."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.stage import Stage, eventually


@pytest.mark.bubblewrap
def test_an_agent_keeps_the_profile_it_was_started_with(stage: Stage) -> None:
    stage.run("enable", "agent", "echo", "as", "stern")
    stage.run("enable", "agent", "echo", "as", "cheerful")
    stage.run("--profile", "prod", "start", "stern")
    stage.run("start", "cheerful")

    def mood(agent: str) -> str:
        return stage.run("exec", agent, "--", "sh", "-c", "echo $MOOD").out.strip()

    def row(agent: str) -> Any:
        rows = {row["name"]: row for row in stage.run("status", "--json").json["agents"]}
        return rows[agent]

    assert (mood("stern"), mood("cheerful")) == ("stern", "cheerful")

    before = row("stern")["started_at"]
    stage.run("exec", "stern", "--", "sh", "-c", "kill -TERM 1", code=None)
    eventually(
        lambda: row("stern")["ready"] and row("stern")["started_at"] != before, "the agent to come back"
    )
    assert mood("stern") == "stern"
