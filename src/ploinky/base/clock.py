"""Times as people and files want them: UTC, ISO 8601, whole milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime


def now_iso() -> str:
    """The present as ``2026-01-31T12:00:00.000Z``."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
