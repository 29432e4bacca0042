"""Times as people and files want them: UTC, ISO 8601, whole milliseconds."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now_iso() -> str:
    """The present as ``2026-01-31T12:00:00.000Z``."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Stamps:
    """``now_iso`` for whoever asks often: the text of a second is made once."""

    def __init__(self) -> None:
        self._second = 0
        self._text = ""

    def now(self) -> str:
        """As ``now_iso``."""
        second, ms = divmod(time.time_ns() // 1_000_000, 1000)
        if second != self._second:
            self._second = second
            self._text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._text}.{ms:03}Z"
