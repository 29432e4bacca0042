"""Spans of what the router does: an HTTP request, the call in it, what the agent was asked for it.

Knows no tracing library: whoever wants spans passes a ``Tracer``; without one nothing is made and what a
caller said of its trace is handed on as it came. Never an argument, a result or a URI in a span.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from types import MappingProxyType, TracebackType
from typing import Protocol

from ploinky.mcp.messages import Request
from ploinky.mcp.traces import Trace, trace_in, with_trace
from ploinky.mcp.upstream import Ask
from ploinky.router.http import Message, Send
from ploinky.router.naming import Target
from ploinky.router.served import OK, outcome_of

Facts = Mapping[str, str | int]
NO_FACTS: Facts = MappingProxyType({})
_LONGEST = 128
_NAMED = frozenset({"tools/call", "prompts/get"})


class Role(Enum):
    """What a span is to the one before it."""

    SERVER = "server"
    INTERNAL = "internal"
    CLIENT = "client"


class Span(Protocol):
    """Something that goes on until it is ended; one that never is was never told of."""

    @property
    def trace(self) -> Trace:
        """What is handed on, so that what it causes is its child."""
        ...

    def end(self, outcome: str = OK, facts: Facts = NO_FACTS) -> None:
        """It is over; any other outcome than ``OK`` is a fault."""
        ...


class Tracer(Protocol):
    """Makes spans; neither waits nor fails."""

    def begin(self, name: str, role: Role, parent: Trace | None, facts: Facts) -> Span: ...


@dataclass(frozen=True, slots=True)
class Spans:
    """The three of one call that goes the quick way."""

    http: Span
    call: Span
    agent: Span

    def end(self, outcome: str, status: int) -> None:
        self.agent.end(outcome)
        self.call.end(outcome)
        end_http(self.http, status)


def begin_http(tracer: Tracer, agent: str | None, parent: Trace | None) -> Span:
    """A POST to the endpoint of ``agent``, or (None) of all agents."""
    route = "/mcp" if agent is None else "/mcps/{agent}/mcp"
    facts = {"http.request.method": "POST", "http.route": route}
    return tracer.begin(f"POST {route}", Role.SERVER, parent, facts)


def end_http(span: Span, status: int) -> None:
    """``status`` is what was answered, 0 if nothing was."""
    span.end(OK if 0 < status < 500 else "error", {"http.response.status_code": status} if status else {})


def begin_call(tracer: Tracer, method: str, target: Target, caller: str, parent: Trace | None) -> Span:
    """A request that names something of an agent, from the policy's word to the answer."""
    facts = {**_facts(method, target), "ploinky.caller": caller}
    return tracer.begin(_title(method, target), Role.INTERNAL, parent, facts)


def begin_ask(tracer: Tracer, method: str, target: Target, parent: Trace | None) -> Span:
    """The same, as the agent is asked it."""
    facts = {**_facts(method, target), "server.address": target.agent}
    return tracer.begin(f"{target.agent}: {_title(method, target)}", Role.CLIENT, parent, facts)


def begin_all(tracer: Tracer, target: Target, agent: str | None, caller: str, parent: Trace | None) -> Spans:
    """All spans of a ``tools/call`` at once."""
    http = begin_http(tracer, agent, parent)
    call = begin_call(tracer, "tools/call", target, caller, http.trace)
    return Spans(http, call, begin_ask(tracer, "tools/call", target, call.trace))


class Asking:
    """A context around what an agent is asked; ``ask`` carries the span, if there is a tracer."""

    __slots__ = ("_span", "ask")

    def __init__(self, tracer: Tracer | None, target: Target, ask: Ask) -> None:
        self.ask = ask
        self._span = None
        if tracer is not None:
            self._span = begin_ask(tracer, ask.method, target, trace_in(ask.params))
            self.ask = replace(ask, params=with_trace(ask.params, self._span.trace))

    def __enter__(self) -> Ask:
        return self.ask

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._span is not None:
            self._span.end(outcome_of(error))


async def within_http(
    span: Span, request: Request, send: Send, work: Callable[[Request, Send], Awaitable[None]]
) -> None:
    """Do ``work`` as what ``span`` is about, and end it with the status that was answered."""
    status = 0

    async def watched(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        await send(message)

    try:
        await work(replace(request, params=with_trace(request.params, span.trace)), watched)
    finally:
        end_http(span, status)


def _title(method: str, target: Target) -> str:
    return f"{method} {target.name[:_LONGEST]}" if method in _NAMED else method


def _facts(method: str, target: Target) -> dict[str, str]:
    facts = {"mcp.method.name": method, "ploinky.agent": target.agent}
    if method in _NAMED:
        kind = "tool" if method == "tools/call" else "prompt"
        facts[f"gen_ai.{kind}.name"] = target.name[:_LONGEST]
    return facts
