"""Who hears what a running program says: the router, on behalf of the client, or a task.

To add a kind of news: a method here, a default in ``Deaf``, a row in ``output``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ploinky.base.jsontypes import JsonObject
from ploinky.toolhost.said import LogMessage, Progress, Question


class Listener(Protocol):
    """One call's. No method but ``ask`` waits for a client; an error that ``ask`` raises ends the call."""

    @property
    def capabilities(self) -> frozenset[str]:
        """What the client can be asked for: ``elicitation``, ``sampling``, ``roots``."""
        ...

    def progress(self, progress: Progress) -> None: ...

    def log(self, message: LogMessage) -> None: ...

    def updated(self, uri: str) -> None: ...

    def printed(self, data: bytes) -> None: ...

    async def ask(self, questions: Mapping[str, Question]) -> Mapping[str, JsonObject]:
        """The client's results by key, one for each question; waits as long as the client takes."""
        ...


class Deaf:
    """Hears nothing and answers no question."""

    capabilities: frozenset[str] = frozenset()

    def progress(self, progress: Progress) -> None:
        pass

    def log(self, message: LogMessage) -> None:
        pass

    def updated(self, uri: str) -> None:
        pass

    def printed(self, data: bytes) -> None:
        pass

    async def ask(self, questions: Mapping[str, Question]) -> Mapping[str, JsonObject]:
        return {}


DEAF: Listener = Deaf()
