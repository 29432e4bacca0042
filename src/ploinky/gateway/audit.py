"""The audit log: who called what, on which thing, with which outcome. Never a value.

JSON lines in ``.ploinky/logs/audit.log`` (0600), beside those that other parts append there. A full file
becomes ``audit.log.1``; what is read is the newest of both. A record that cannot be written does not stop
the call it tells of: the log of the gateway says so.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from ploinky.base.clock import Stamps
from ploinky.base.files import read_bytes
from ploinky.base.jsontypes import JsonObject
from ploinky.secrets.audit import AUDIT_FILE
from ploinky.workspace.layout import Layout

logger = logging.getLogger(__name__)
MOST_DEFERRED = 10_000
MOST_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True)
class AuditRecord:
    """One event; ``event`` says of which kind (``rpc``, ``tool``, ``login``), ``ms`` how long it took."""

    event: str
    caller: str
    what: str
    outcome: str
    audit_id: str = ""
    target: str = ""
    ms: float = 0.0
    at: str = ""


class AuditLog:
    """Appends and reads; holds nothing but the path and what was deferred."""

    def __init__(self, layout: Layout) -> None:
        self._path = layout.logs / AUDIT_FILE
        self._deferred: list[bytes] = []
        self._stamps = Stamps()

    def record(self, record: AuditRecord) -> None:
        """Append one line."""
        self._write(self._line(record))

    def _write(self, lines: bytes) -> None:
        try:
            self._append(lines)
        except OSError as error:
            logger.warning("the audit log cannot be written: %s", error.strerror)

    def defer(self, record: AuditRecord) -> None:
        """Append one line at the next ``flush``: on the path of calls, which do not wait for the disk."""
        self._deferred.append(self._line(record))
        if len(self._deferred) >= MOST_DEFERRED:
            self.flush()

    def flush(self) -> None:
        """Append what waits."""
        lines, self._deferred = self._deferred, []
        if lines:
            self._write(b"".join(lines))

    def newest_first(self, *, most_bytes: int = MOST_BYTES) -> Iterator[JsonObject]:
        """Records of every kind, the newest first; a line that is none is left out.

        Raises:
            PloinkyError: ``FILE_READ``.
        """
        self.flush()
        for path in (self._path, self._rolled):
            data = (read_bytes(path) or b"")[-most_bytes:]
            for line in reversed(data.splitlines()):
                try:
                    value = orjson.loads(line)
                except orjson.JSONDecodeError:
                    continue  # the first line of a cut, or one that a full disk tore
                if isinstance(value, dict):
                    yield value

    @property
    def _rolled(self) -> Path:
        return self._path.with_name(f"{AUDIT_FILE}.1")

    def _append(self, line: bytes) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o600)
        try:
            os.write(descriptor, line)  # one write: lines of several processes never mix
            full = os.fstat(descriptor).st_size > MOST_BYTES
        finally:
            os.close(descriptor)
        if full:
            self._path.replace(self._rolled)

    def _line(self, record: AuditRecord) -> bytes:
        facts: JsonObject = {  # by hand: once for every call
            "event": record.event,
            "caller": record.caller,
            "what": record.what,
            "outcome": record.outcome,
            "audit_id": record.audit_id,
            "target": record.target,
            "ms": round(record.ms, 3),
            "at": record.at or self._stamps.now(),
        }
        return orjson.dumps(facts) + b"\n"
