"""Who calls, and what a caller may do.

The router knows no tokens: a ``TokenVerifier`` turns one into a ``Caller``. The default policy is one
rule: the owner may all; an agent may call what its manifest enables, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from ploinky.router.routes import AgentRoute


class CallerKind(StrEnum):
    OWNER = "owner"
    AGENT = "agent"


@dataclass(frozen=True)
class Caller:
    """A verified caller; ``name`` is the agent's route key, or ``owner``."""

    kind: CallerKind
    name: str

    def __str__(self) -> str:
        return self.name if self.kind is CallerKind.OWNER else f"agent:{self.name}"


OWNER = Caller(CallerKind.OWNER, "owner")


class TokenVerifier(Protocol):
    """Knows the owner's token and the agents' signed ones; compares in constant time."""

    def verify(self, token: str) -> Caller | None:
        """The caller that ``token`` belongs to, or None if it is wrong, expired or of another workspace."""
        ...


def reachable(caller: Caller, routes: Mapping[str, AgentRoute]) -> frozenset[str] | None:
    """The keys of the agents that ``caller`` may call; None means all, also those to come."""
    if caller.kind is CallerKind.OWNER:
        return None
    own = routes.get(caller.name)
    return frozenset() if own is None else own.may_call
