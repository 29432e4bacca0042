"""One row of the RPC table: what a method takes and gives, who may call it, how often, and what does it.

Knows no transport. To add a method: a function of ``(Call, Params) -> Answer`` with a docstring that says
what it does (it becomes the reference), and a ``Method`` row in the tuple of its file.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from inspect import cleandoc
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from ploinky.base.camel import CamelModel
from ploinky.router.callers import Caller

if TYPE_CHECKING:
    from ploinky.gateway.rpc.services import Services


class Scope(StrEnum):
    """What a caller may be allowed; ``admin`` holds all others."""

    TOOLS_CALL = "tools:call"
    AGENTS_READ = "agents:read"
    AGENTS_MANAGE = "agents:manage"
    ASSISTANTS_USE = "assistants:use"
    ASSISTANTS_MANAGE = "assistants:manage"
    ADMIN = "admin"


class Params(BaseModel):
    """Parameters of a method: camelCase on the wire, nothing unknown, no silent conversions."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=False, frozen=True, strict=True, extra="forbid"
    )


class NoParams(Params):
    """A method that takes nothing."""


class Answer(CamelModel):
    """What a method gives: camelCase on the wire; made from values with names of either kind."""

    model_config = ConfigDict(extra="ignore")


@dataclass(frozen=True)
class Rate:
    """How often one caller may call one method: on average ``per_minute``, at once at most ``burst``."""

    per_minute: float
    burst: int


READ_RATE = Rate(1200, 200)
CHANGE_RATE = Rate(240, 60)
LOGIN_RATE = Rate(10, 10)


@dataclass(frozen=True)
class Call:
    """One call: who makes it, its audit id, and what the gateway can do."""

    caller: Caller
    audit_id: str
    services: Services


P = TypeVar("P", bound=Params)


@dataclass(frozen=True)
class Method(Generic[P]):
    """One row. ``result`` is any type that pydantic can describe. ``scope`` None: for every caller.

    ``quiet``: only its failures go to the audit log, for it changes nothing or keeps a record of its own.
    """

    name: str
    params: type[P]
    result: Any
    scope: Scope | None
    handler: Callable[[Call, P], Awaitable[Any]]
    rate: Rate = CHANGE_RATE
    quiet: bool = False

    @property
    def about(self) -> str:
        """What it does, in words: the handler's docstring."""
        return cleandoc(self.handler.__doc__ or "")


def reading(
    name: str, params: type[P], result: Any, scope: Scope | None, handler: Callable[[Call, P], Awaitable[Any]]
) -> Method[P]:
    """A row of a method that changes nothing."""
    return Method(name, params, result, scope, handler, READ_RATE, quiet=True)
