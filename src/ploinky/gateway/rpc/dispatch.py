"""From a message to its answer: scope, rate, parameters, the handler, the audit line, the error.

The one boundary of RPC: whatever a handler raises becomes an answer. Calls of a batch run side by side and
are answered in their order.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anyio
import orjson
from pydantic import TypeAdapter, ValidationError

from ploinky.base.errors import PloinkyError, UsageError
from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.base.names import closest
from ploinky.gateway.audit import AuditLog, AuditRecord
from ploinky.gateway.rpc.envelope import (
    BadRequest,
    Request,
    error_value,
    read_message,
    result_value,
)
from ploinky.gateway.rpc.method import Call, Method
from ploinky.gateway.rpc.rates import Rates
from ploinky.gateway.rpc.scopes import allows, scopes_of
from ploinky.gateway.rpc.services import Services
from ploinky.router.callers import Caller

logger = logging.getLogger(__name__)
_MOST_AT_ONCE = 8
_TARGET_FIELDS = ("agent", "tool", "profileId", "name", "repo", "sessionId")


@dataclass(frozen=True)
class Reply:
    """What is sent back: JSON, or None if nothing is (notifications only); and the first audit id."""

    body: bytes | None
    audit_id: str


class Dispatcher:
    """Answers messages by ``methods``; one per gateway."""

    def __init__(self, methods: Mapping[str, Method[Any]], services: Services, audit: AuditLog) -> None:
        self._methods = methods
        self._services = services
        self._audit = audit
        self._rates = Rates()
        self._results: dict[str, TypeAdapter[Any]] = {}

    async def answer(self, caller: Caller, body: bytes) -> Reply:
        """Answer one message, a batch or a single call. Never raises for what the message asks."""
        incoming = read_message(body)
        ids = [new_audit_id() for _ in incoming.requests]
        answers: list[JsonObject | None] = [None] * len(ids)
        limiter = anyio.CapacityLimiter(_MOST_AT_ONCE)

        async def one(index: int, request: Request | BadRequest) -> None:
            async with limiter:
                answers[index] = await self._one(caller, request, ids[index])

        if len(ids) == 1:
            answers[0] = await self._one(caller, incoming.requests[0], ids[0])
        else:
            async with anyio.create_task_group() as tasks:
                for index, request in enumerate(incoming.requests):
                    tasks.start_soon(one, index, request)
        given = [answer for answer in answers if answer is not None]
        if not given:
            return Reply(None, ids[0])
        return Reply(orjson.dumps(given if incoming.is_batch else given[0]), ids[0])

    async def _one(self, caller: Caller, request: Request | BadRequest, audit_id: str) -> JsonObject | None:
        if isinstance(request, BadRequest):
            return error_value(request, request.error, audit_id)
        began = time.perf_counter()
        answer, outcome = await self._outcome(caller, request, audit_id)
        method = self._methods.get(request.method)
        if method is None or not method.quiet or outcome != "ok":
            what = request.method if method is not None else "(unknown method)"
            ms = (time.perf_counter() - began) * 1000
            target = _target(request.params)
            self._audit.record(AuditRecord("rpc", str(caller), what, outcome, audit_id, target, ms))
        return answer if request.wants_answer else None

    async def _outcome(self, caller: Caller, request: Request, audit_id: str) -> tuple[JsonObject, str]:
        """The answer, and ``ok`` or the error's code."""
        try:
            result = await self._call(caller, request, audit_id)
        except PloinkyError as error:
            return error_value(request, error, audit_id), error.code
        except Exception:
            logger.exception("%s failed inside the gateway (%s)", request.method, audit_id)
            fault = PloinkyError("INTERNAL", "The gateway failed.", hint=f"Its log says more: {audit_id}")
            return error_value(request, fault, audit_id), fault.code
        return result_value(request, result, audit_id), "ok"

    async def _call(self, caller: Caller, request: Request, audit_id: str) -> JsonValue:
        method = self._require(request.method)
        if not allows(scopes_of(caller), method.scope):
            raise PloinkyError(
                "FORBIDDEN",
                f"{method.name} needs the scope {method.scope}, which this caller has not.",
                hint="Use the owner's token: ploinky token",
            )
        self._rates.take(str(caller), method.name, method.rate)
        try:
            params = method.params.model_validate_json(orjson.dumps(request.params))
        except ValidationError as error:
            raise bad_params(method.name, error) from None
        result = await method.handler(Call(caller, audit_id, self._services), params)
        if method.result is Any:
            plain: JsonValue = result  # JSON already; a walk over a long thread costs more than reading it
            return plain
        adapter = self._results.get(method.name)
        if adapter is None:
            adapter = self._results[method.name] = TypeAdapter(method.result)
        value: JsonValue = adapter.dump_python(adapter.validate_python(result), mode="json", by_alias=True)
        return value

    def _require(self, name: str) -> Method[Any]:
        method = self._methods.get(name)
        if method is None:
            near = closest(name, self._methods)
            hint = f"Did you mean '{near}'?" if near else "rpc.discover lists the methods."
            raise PloinkyError("METHOD_NOT_FOUND", "There is no such method.", hint=hint)
        return method


def bad_params(method: str, error: ValidationError) -> UsageError:
    """The error for parameters that do not fit, naming the first faulty field."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    field = ".".join(str(step) for step in first["loc"]) or "params"
    return UsageError(
        "BAD_PARAMS",
        f"{field}: {first['msg']}.",
        hint=f"rpc.discover says what {method} takes.",
        details={"field": field},
    )


def new_audit_id() -> str:
    """An id that no two answers share."""
    return secrets.token_hex(8)


def _target(params: JsonObject) -> str:
    """Which thing a call is about, for the audit log: a name, never a value."""
    found = [text for name in _TARGET_FIELDS if isinstance(text := params.get(name), str)]
    return "/".join(text[:80] for text in found)
