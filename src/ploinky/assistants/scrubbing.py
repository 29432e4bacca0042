"""Known secrets, kept out of what models, threads, events and logs get to see."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import anyio.to_thread

from ploinky.base.redaction import Redactor

_FRESH_S = 2.0


class Scrubber:
    """Scrubs by the values that ``secrets`` gives (it may block); they are asked for again now and then."""

    def __init__(self, secrets: Callable[[], Iterable[str]]) -> None:
        self._secrets = secrets
        self._redactor = Redactor()
        self._looked_at = float("-inf")

    def scrub(self, text: str) -> str:
        """``text`` without the secrets that were known at the last ``refresh``."""
        return self._redactor.scrub(text)

    async def refresh(self, *, now: bool = False) -> None:
        """Learn of new secrets, at most every two seconds unless ``now``."""
        if now or time.monotonic() - self._looked_at > _FRESH_S:
            self._looked_at = time.monotonic()
            values = await anyio.to_thread.run_sync(lambda: list(self._secrets()))
            self._redactor = Redactor(values)
