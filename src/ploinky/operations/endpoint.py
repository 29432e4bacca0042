"""Where the gateway of a workspace listens, and one cheap way to ask it.

The gateway writes ``.ploinky/running/gateway.json`` once it listens and removes it when it ends; after a
kill the file stays, so it counts only while the very process it names lives (and only then is the token
sent there). Imports neither pydantic nor asyncio: ``status`` stands on this.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ploinky.base.errors import PloinkyError
from ploinky.base.files import read_text, write_atomic
from ploinky.base.loopback import Exchange, Request
from ploinky.base.process_id import ProcessId
from ploinky.workspace.layout import Layout

_ASK_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Endpoint:
    """A running gateway; ``basis`` is what it stands on (see ``freshness``)."""

    process: ProcessId
    host: str
    port: int
    basis: str = ""

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


def endpoint_file(layout: Layout) -> Path:
    return layout.running / "gateway.json"


def supervisor_file(layout: Layout) -> Path:
    return layout.running / "supervisor.json"


def gateway_log(layout: Layout) -> Path:
    return layout.logs / "gateway.log"


def write_endpoint(layout: Layout, endpoint: Endpoint) -> None:
    """Say where the gateway listens; called by the gateway itself."""
    facts = {
        "pid": endpoint.process.pid,
        "started": endpoint.process.started,
        "host": endpoint.host,
        "port": endpoint.port,
        "basis": endpoint.basis,
    }
    write_atomic(endpoint_file(layout), json.dumps(facts).encode() + b"\n", mode=0o600)


def find_endpoint(layout: Layout) -> Endpoint | None:
    """The gateway that runs for this workspace, or None."""
    facts = _facts(endpoint_file(layout))
    process = _process(facts)
    if process is None or not process.alive:
        return None
    host, port = facts.get("host"), facts.get("port")
    if not isinstance(host, str) or not isinstance(port, int):
        return None
    return Endpoint(process, host, port, str(facts.get("basis", "")))


def write_supervisor(layout: Layout, process: ProcessId) -> None:
    facts = {"pid": process.pid, "started": process.started}
    write_atomic(supervisor_file(layout), json.dumps(facts).encode() + b"\n", mode=0o600)


def find_supervisor(layout: Layout) -> ProcessId | None:
    """The process that restarts the gateway, or None."""
    process = _process(_facts(supervisor_file(layout)))
    return process if process is not None and process.alive else None


def owner_token(layout: Layout) -> str | None:
    """The owner's token if one was made."""
    text = read_text(layout.owner_token_file)
    return text.strip() if text else None


def ask(layout: Layout, path: str) -> object | None:
    """What the running gateway answers to GET ``path`` (JSON), or None if none runs or it does not answer."""
    endpoint, token = find_endpoint(layout), owner_token(layout)
    if endpoint is None or token is None:
        return None
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    try:
        with Exchange(
            endpoint.host, endpoint.port, Request("GET", path, headers, timeout_s=_ASK_TIMEOUT_S)
        ) as got:
            body = got.read()
            value: object = json.loads(body) if got.status == 200 else None
    except (PloinkyError, ValueError):
        return None
    return value


def _facts(path: Path) -> dict[str, object]:
    text = read_text(path)
    try:
        facts = json.loads(text) if text else {}
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}


def _process(facts: dict[str, object]) -> ProcessId | None:
    pid, started = facts.get("pid"), facts.get("started")
    return ProcessId(pid, started) if isinstance(pid, int) and isinstance(started, int) else None
