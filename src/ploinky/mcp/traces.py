"""W3C trace context as MCP carries it: in HTTP headers and in ``_meta``, under the same two names.

Knows the words only; who makes spans of them is the router's ``Tracer``. What is no good ``traceparent`` is
as good as none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ploinky.base.jsontypes import JsonObject, JsonValue, find_object
from ploinky.mcp.messages import Headers

PARENT = "traceparent"
STATE = "tracestate"
_PARENT_HEADER, _STATE_HEADER = PARENT.encode(), STATE.encode()
_GOOD_PARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_GOOD_STATE = re.compile(r"[\x20-\x7e]{1,512}")


@dataclass(frozen=True, slots=True)
class Trace:
    """The span that caused a request (``traceparent``), and what tracers say to each other about it."""

    parent: str
    state: str = ""

    @property
    def words(self) -> dict[str, str]:
        """By their names in headers and in ``_meta``."""
        return {PARENT: self.parent, STATE: self.state} if self.state else {PARENT: self.parent}

    @property
    def variables(self) -> dict[str, str]:
        """By their names among environment variables."""
        return {name.upper(): value for name, value in self.words.items()}


def trace_in(params: JsonObject) -> Trace | None:
    """What a message's ``_meta`` says."""
    meta = find_object(params, "_meta")
    return None if meta is None or PARENT not in meta else _trace(meta[PARENT], meta.get(STATE))


def trace_of(headers: Headers) -> Trace | None:
    """What a request's headers say."""
    given = headers.get(_PARENT_HEADER)
    if given is None:
        return None
    return _trace(given.decode("latin-1").strip(), headers.get(_STATE_HEADER, b"").decode("latin-1").strip())


def with_trace(params: JsonObject, trace: Trace) -> JsonObject:
    """``params`` whose ``_meta`` says this, whatever it said before."""
    meta = find_object(params, "_meta") or {}
    kept: Mapping[str, JsonValue] = {key: each for key, each in meta.items() if key not in (PARENT, STATE)}
    return {**params, "_meta": {**kept, **trace.words}}


def _trace(parent: JsonValue, state: JsonValue) -> Trace | None:
    if not isinstance(parent, str) or not _GOOD_PARENT.fullmatch(parent):
        return None
    good = isinstance(state, str) and _GOOD_STATE.fullmatch(state)
    return Trace(parent, str(state) if good else "")
