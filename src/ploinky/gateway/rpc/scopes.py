"""Which scopes a caller has. The owner has all, a client those of its token; an agent calls tools by MCP."""

from __future__ import annotations

from ploinky.gateway.rpc.method import Scope
from ploinky.router.callers import Caller, CallerKind


def scopes_of(caller: Caller) -> frozenset[Scope]:
    """The scopes of ``caller``."""
    if caller.kind is CallerKind.OWNER:
        return frozenset(Scope)
    known = {str(scope): scope for scope in Scope}
    return frozenset(known[name] for name in caller.scopes if name in known)


def allows(held: frozenset[Scope], wanted: Scope | None) -> bool:
    """Whether somebody who holds ``held`` may do what needs ``wanted``."""
    return wanted is None or wanted in held or Scope.ADMIN in held
