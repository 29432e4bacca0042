"""Which scopes a caller has: the owner all, a client its token's; an agent calls tools by MCP alone."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ploinky.gateway.rpc.method import Scope
from ploinky.router.callers import Caller, CallerKind

_BY_KIND: Mapping[CallerKind, frozenset[Scope]] = MappingProxyType({CallerKind.OWNER: frozenset(Scope)})


def scopes_of(caller: Caller) -> frozenset[Scope]:
    """The scopes of ``caller``."""
    own = frozenset(scope for scope in Scope if scope.value in caller.scopes)
    return _BY_KIND.get(caller.kind, frozenset()) | own


def allows(held: frozenset[Scope], wanted: Scope | None) -> bool:
    """Whether somebody who holds ``held`` may do what needs ``wanted``."""
    return wanted is None or wanted in held or Scope.ADMIN in held
