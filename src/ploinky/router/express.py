"""The quick way of a ``tools/call``: decided and begun in one go, answered in a callback, without a task.

Everything that the other way checks is checked here by the same functions; whatever is not plain (another
method, progress wanted, headers that mirror arguments, a rate, an approval, a program that must be started)
is None, and the request takes the other way. Both protocol eras come this way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import orjson

from ploinky.base.jsontypes import JsonObject, find_object
from ploinky.mcp.messages import (
    AGENT_LOST,
    META_CAPABILITIES,
    SESSION_HEADER,
    VERSION_HEADER,
    Headers,
    Request,
    RpcError,
    check_envelope,
    is_stateless,
    read_message,
    result_body,
)
from ploinky.mcp.traces import trace_in, trace_of
from ploinky.router.callers import Caller
from ploinky.router.directory import Origin, server_info
from ploinky.router.dressing import for_session, for_stateless
from ploinky.router.naming import Target
from ploinky.router.programs import ProgramAgent
from ploinky.router.served import OK, TOOL_FAILED, Served
from ploinky.router.service import Service
from ploinky.router.sessions import SessionStore
from ploinky.router.tracing import Spans, begin_all
from ploinky.toolhost.express import Outcome
from ploinky.toolhost.host import CallMeta, Express
from ploinky.toolhost.offers import call_result
from ploinky.toolhost.results import Ended, ProgramError, ToolResult, failure

_CALL = "tools/call"
_ASKABLE = ("elicitation", "sampling", "roots")
_NOT_PLAIN = ("task", "inputResponses", "requestState")
Answered = Callable[[int, bytes], None]


@dataclass(slots=True, eq=False)  # not frozen: made for every call, which would cost twice as much
class Asked:
    """One POST. ``fall_back`` sends it the other way after all; ``answered`` gets status and body."""

    caller: Caller
    agent: str | None
    headers: Headers
    body: bytes
    answered: Answered
    fall_back: Callable[[], None]


class ExpressWay:
    """The quick way over the same service and sessions."""

    def __init__(self, service: Service, sessions: SessionStore) -> None:
        self._service = service
        self._sessions = sessions

    def take(self, asked: Asked) -> Callable[[], None] | None:
        """Begin the call; what cancels it, or None if it must go the other way."""
        try:
            request = read_message(asked.body)
            if not isinstance(request, Request) or request.id is None or request.method != _CALL:
                return None
            if "progressToken" in (find_object(request.params, "_meta") or {}):
                return None
            if any(key in request.params for key in _NOT_PLAIN):
                return None
            return self._begin(asked, request)
        except RpcError:
            return None

    def _begin(self, asked: Asked, request: Request) -> Callable[[], None] | None:
        origin = Origin(asked.caller, asked.agent)
        stateless = is_stateless(asked.headers, request)
        session_id: str | None = None
        if stateless:
            check_envelope(asked.headers, request)
            able = find_object(find_object(request.params, "_meta"), META_CAPABILITIES) or {}
        else:
            given = asked.headers.get(SESSION_HEADER, b"").decode("latin-1")
            session = self._sessions.find(given, asked.caller, asked.agent)
            if session is None or request.id in session.calls or VERSION_HEADER not in asked.headers:
                return None
            session_id, able = session.id, session.client.capabilities
        found = self._service.plain_target(origin, request)
        arguments = request.params.get("arguments", {})
        if found is None or not isinstance(arguments, dict):
            return None
        target, agent = found
        assert request.id is not None
        client = tuple(sorted(key for key in _ASKABLE if key in able))
        trace, spans = trace_in(request.params) or trace_of(asked.headers), None
        if self._service.tracer is not None:
            spans = begin_all(self._service.tracer, target, asked.agent, str(asked.caller), trace)
            trace = spans.agent.trace
        meta = CallMeta(request.id, session_id, str(asked.caller), None, client, trace)
        express = agent.express(target.name, arguments, meta) if isinstance(agent, ProgramAgent) else None
        if express is None:
            return None
        ending = _Ending(
            self._service, asked, request, target, express, stateless, time.perf_counter(), spans
        )
        call = express.lane.call(express.line, ending)
        return None if call is None else call.cancel


@dataclass(slots=True, eq=False)
class _Ending:
    """What happens when a call ends."""

    service: Service
    asked: Asked
    request: Request
    target: Target
    express: Express
    stateless: bool
    began: float
    spans: Spans | None

    def __call__(self, ended: Ended | Outcome) -> None:
        if ended is Outcome.NOT_BEGUN:
            self.asked.fall_back()
            return
        try:
            result = self._result(ended)
        except RpcError as error:
            assert self.request.id is not None
            self._tell("lost" if error.code == AGENT_LOST else "error")
            self.asked.answered(200, error.body(self.request.id))
            return
        self._tell(TOOL_FAILED if result.is_error else OK)
        self.asked.answered(200, self._body(call_result(result)))

    def _result(self, ended: Ended | Outcome) -> ToolResult:
        if isinstance(ended, Ended):
            try:
                return self.express.result(ended)
            except ProgramError as error:
                raise RpcError(error.rpc_code, error.message) from error
        if ended is Outcome.LOST:
            raise self.service.lost(self.target)
        if ended is Outcome.LATE:
            return failure(f"Tool {self.target.name!r} did not answer in time; it was given up.")
        return failure("The program ended without an answer.")

    def _body(self, result: JsonObject) -> bytes:
        assert self.request.id is not None
        if self.stateless:
            dressed = for_stateless(_CALL, result, server_info(self.asked.agent))
        else:
            dressed = for_session(_CALL, result)
        return result_body(self.request.id, orjson.dumps(dressed))

    def _tell(self, outcome: str) -> None:
        if self.spans is not None:
            self.spans.end(outcome, 200)
        ms = (time.perf_counter() - self.began) * 1000
        target = self.target
        self.service.tell(Served(str(self.asked.caller), _CALL, target.agent, target.name, outcome, ms))


def headers_of(pairs: list[tuple[bytes, bytes]]) -> Mapping[bytes, bytes] | None:
    """The headers by name; None if one came twice."""
    headers = dict(pairs)
    return headers if len(headers) == len(pairs) else None
