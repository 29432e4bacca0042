"""Which scopes a caller has. The owner has all; an agent calls tools by MCP and has none here but that."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ploinky.gateway.rpc.method import Scope
from ploinky.router.callers import Caller, CallerKind

_BY_KIND: Mapping[CallerKind, frozenset[Scope]] = MappingProxyType({CallerKind.OWNER: frozenset(Scope)})


def scopes_of(caller: Caller) -> frozenset[Scope]:
    """The scopes of ``caller``."""
    return _BY_KIND.get(caller.kind, frozenset())


def allows(held: frozenset[Scope], wanted: Scope | None) -> bool:
    """Whether somebody who holds ``held`` may do what needs ``wanted``."""
    return wanted is None or wanted in held or Scope.ADMIN in held
