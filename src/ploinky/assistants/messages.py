"""One message of a thread, as it is kept and as it goes over the wire.

``role`` is who speaks: ``user``, ``assistant``, ``tool`` (a result) or ``system`` (a notice of the product).
What belongs to a role only (calls of tools, which call a result answers) lies in ``data``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum

from ploinky.base.jsontypes import JsonObject


class Role(StrEnum):
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"
    SYSTEM = "system"


PRIVATE = frozenset({"thinking"})
"""Names in ``data`` that clients are not shown."""


@dataclass(frozen=True)
class ThreadMessage:
    """A message that was kept; ``position`` orders all messages of one store and never changes.

    ``data`` may hold ``toolCalls`` (a list of id, name, arguments), ``toolCallId``, ``name``, ``isError``,
    ``thinking`` (a provider's own, signed), ``tainted`` (it came from outside), ``status`` (``interrupted``),
    ``source`` (``heartbeat``, ``cron``).
    """

    id: str
    role: Role
    content: str
    at: str
    position: int = 0
    run_id: str | None = None
    data: JsonObject = field(default_factory=dict)

    def wire(self) -> JsonObject:
        """The message as clients see it."""
        shown: JsonObject = {"id": self.id, "role": self.role.value, "content": self.content, "at": self.at}
        if self.run_id is not None:
            shown["runId"] = self.run_id
        return {**shown, **{name: each for name, each in self.data.items() if name not in PRIVATE}}

    @property
    def data_text(self) -> str | None:
        """``data`` as it is stored."""
        return json.dumps(self.data, ensure_ascii=False) if self.data else None


@dataclass(frozen=True)
class NewMessage:
    """A message to be kept. ``id`` None makes one; one that the thread has already is not added again."""

    role: Role
    content: str
    id: str | None = None
    run_id: str | None = None
    data: JsonObject = field(default_factory=dict)
