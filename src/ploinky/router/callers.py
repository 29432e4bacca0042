"""Who calls, and what a caller may do.

The router knows no tokens: a ``TokenVerifier`` turns one into a ``Caller``. The default policy is one
rule: the owner may all; an agent may call what its manifest enables, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ploinky.router.routes import AgentRoute

ACT_AS_HEADER = b"x-ploinky-act-as"
"""With the owner's token: for whom it calls, so that the policy and the audit see them."""


class CallerKind(StrEnum):
    OWNER = "owner"
    AGENT = "agent"
    CLIENT = "client"
    ASSISTANT = "assistant"


@dataclass(frozen=True)
class Caller:
    """A verified caller; ``name`` is an agent's route key, a token's name, an assistant's id, or ``owner``.

    ``scopes`` and ``agents`` (globs) are what a client's token gives it.
    """

    kind: CallerKind
    name: str
    scopes: frozenset[str] = frozenset()
    agents: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name if self.kind is CallerKind.OWNER else f"{self.kind}:{self.name}"


OWNER = Caller(CallerKind.OWNER, "owner")


class TokenVerifier(Protocol):
    """Knows the owner's token, the agents' signed ones and those made for clients."""

    def verify(self, token: str) -> Caller | None:
        """The caller that ``token`` belongs to, or None if it is wrong, expired or of another workspace."""
        ...

    def act_as(self, name: str) -> Caller | None:
        """Whom the owner means when it calls for somebody else (``client:NAME``, ``assistant:ID``); None if
        there is nobody of that name."""
        ...


def matches(name: str, globs: Iterable[str]) -> bool:
    """Whether any glob (``*``, ``?``, ``[...]``; case counts) covers ``name``."""
    return any(fnmatchcase(name, glob) for glob in globs)


def reachable(caller: Caller, routes: Mapping[str, AgentRoute]) -> frozenset[str] | None:
    """The keys of the agents that ``caller`` may call; None means all, also those to come."""
    if caller.kind in (CallerKind.OWNER, CallerKind.ASSISTANT):
        return None  # an assistant's own settings say what it is offered
    if caller.kind is CallerKind.CLIENT:
        may = "tools:call" in caller.scopes or "admin" in caller.scopes
        return frozenset(key for key in routes if may and matches(key, caller.agents))
    own = routes.get(caller.name)
    return frozenset() if own is None else own.may_call
