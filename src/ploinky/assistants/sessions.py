"""A session: one conversation of an assistant, named by free text from outside that is never a path."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ploinky.base.errors import UsageError

MAX_SESSION_ID = 256


class ChannelKind(StrEnum):
    """Where the other side sits; in a group others read along."""

    DM = "dm"
    GROUP = "group"
    WEB = "web"
    MOBILE = "mobile"
    TERMINAL = "terminal"


@dataclass(frozen=True)
class Session:
    """One conversation, of one assistant."""

    id: str
    kind: ChannelKind = ChannelKind.WEB
    channel: str | None = None
    user: str | None = None

    @property
    def is_direct(self) -> bool:
        """Whether only the assistant's own person reads along."""
        return self.kind is not ChannelKind.GROUP


def require_session_id(text: str) -> str:
    """``text`` if it may name a session: 1 to 256 characters, none of them a control character.

    Raises:
        UsageError: ``BAD_SESSION``.
    """
    if not 1 <= len(text) <= MAX_SESSION_ID or any(not (c.isprintable() or c == " ") for c in text):
        raise UsageError(
            "BAD_SESSION",
            "sessionId must have 1 to 256 printable characters.",
            hint="Any text will do, such as 'main' or 'phone-2'.",
            details={"field": "sessionId"},
        )
    return text
