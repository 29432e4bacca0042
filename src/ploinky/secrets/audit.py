"""The audit log: which names an agent was given and by whom, which were shown or changed; never a value."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence

from ploinky.base.clock import now_iso
from ploinky.secrets.environment import ResolvedEnvironment
from ploinky.workspace.layout import Layout

AUDIT_FILE = "audit.log"


def record_given(layout: Layout, agent: str, environment: ResolvedEnvironment) -> None:
    """Append one JSON line to ``logs/audit.log`` (0600): time, agent, names, and their sources."""
    given: Mapping[str, str] = {
        name: environment.origins.get(name, "") for name in sorted(environment.secret_names)
    }
    _append(layout, {"at": now_iso(), "event": "secrets_given", "agent": agent, "names": given})


def record(layout: Layout, event: str, *, names: Sequence[str], agents: Sequence[str] = ()) -> None:
    """Append one line of another kind: what was done with which names, for which agents."""
    _append(layout, {"at": now_iso(), "event": event, "names": list(names), "agents": list(agents)})


def _append(layout: Layout, entry: Mapping[str, object]) -> None:
    line = json.dumps(entry)
    layout.logs.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    descriptor = os.open(layout.logs / AUDIT_FILE, flags, 0o600)
    try:
        os.write(descriptor, line.encode() + b"\n")  # one write: lines of several processes never mix
    finally:
        os.close(descriptor)
