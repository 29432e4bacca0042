"""The audit line names what was given, never a value."""

from __future__ import annotations

import json

from ploinky.secrets.audit import AUDIT_FILE, record_given
from ploinky.secrets.environment import ResolvedEnvironment
from ploinky.workspace.layout import Layout


def test_each_launch_adds_one_private_line_of_names(layout: Layout) -> None:
    environment = ResolvedEnvironment(
        {"KEY": "hunter2hunter2", "LEVEL": "debug"}, frozenset({"KEY"}), {"KEY": "environment"}
    )
    for agent in ("shell", "explorer"):
        record_given(layout, agent, environment)
    path = layout.logs / AUDIT_FILE
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["agent"], line["names"]) for line in lines] == [
        ("shell", {"KEY": "environment"}),
        ("explorer", {"KEY": "environment"}),
    ]
    assert "hunter2" not in path.read_text()
    assert oct(path.stat().st_mode & 0o777) == "0o600"
