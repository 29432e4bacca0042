"""Spans by OpenTelemetry (the extra ``otel``), sent by OTLP over HTTP to where the standard variables say.

Nothing is loaded unless they name an endpoint. To have one more exporter: a row in ``_EXPORTERS``.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from ploinky import __version__
from ploinky.mcp.traces import PARENT, STATE, Trace
from ploinky.router.served import OK
from ploinky.router.tracing import NO_FACTS, Facts, Role, Span

if TYPE_CHECKING:
    from opentelemetry import trace as api
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

_log = logging.getLogger(__name__)
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL = "http/protobuf"
_LAST_S = 5.0


def is_wanted(environ: Mapping[str, str]) -> bool:
    """Whether the variables ask for spans: they name an exporter, or an endpoint and not ``none``."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip()
    if exporter:
        return exporter != "none"
    return any(environ.get(name) for name in _ENDPOINTS)


@contextlib.asynccontextmanager
async def open_tracer(environ: Mapping[str, str]) -> AsyncIterator[OtelTracer | None]:
    """Who makes spans while the context is open, or None if nobody should or can; then the last are sent.

    What stands in the way is a line in the log: a gateway without spans is better than none.
    """
    provider = _provider(environ) if is_wanted(environ) else None
    if provider is None:
        yield None
        return
    try:
        yield OtelTracer(provider)
    finally:
        with anyio.move_on_after(_LAST_S, shield=True):
            await anyio.to_thread.run_sync(provider.shutdown, abandon_on_cancel=True)


class OtelTracer:
    """See ``Tracer``."""

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry import trace as api
        from opentelemetry.context import Context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._tracer = provider.get_tracer("ploinky", __version__)
        self._words = TraceContextTextMapPropagator()
        self._nothing = Context()
        self._set = api.set_span_in_context
        self._kinds = {role: api.SpanKind[role.name] for role in Role}

    def begin(self, name: str, role: Role, parent: Trace | None, facts: Facts) -> Span:
        """See ``Tracer``."""
        nothing = self._nothing  # never what else in this process may be current
        context = nothing if parent is None else self._words.extract(parent.words, nothing)
        span = self._tracer.start_span(name, context, self._kinds[role], dict(facts))
        carrier: dict[str, str] = {}
        self._words.inject(carrier, self._set(span, nothing))
        return OtelSpan(span, Trace(carrier[PARENT], carrier.get(STATE, "")))


class OtelSpan:
    """See ``Span``."""

    __slots__ = ("_span", "trace")

    def __init__(self, span: api.Span, trace: Trace) -> None:
        self._span = span
        self.trace = trace

    def end(self, outcome: str = OK, facts: Facts = NO_FACTS) -> None:
        """See ``Span``."""
        if facts:
            self._span.set_attributes(dict(facts))
        if outcome != OK:
            from opentelemetry.trace import StatusCode

            self._span.set_attribute("error.type", outcome)
            self._span.set_status(StatusCode.ERROR)
        self._span.end()


def _provider(environ: Mapping[str, str]) -> TracerProvider | None:
    names = [name.strip() for name in environ.get("OTEL_TRACES_EXPORTER", "otlp").split(",") if name.strip()]
    unknown = [name for name in names if name not in _EXPORTERS]
    protocol = next((environ[name] for name in _PROTOCOLS if environ.get(name)), _PROTOCOL)
    if unknown or protocol != _PROTOCOL:
        what = f"exporter {unknown[0]!r}" if unknown else f"protocol {protocol!r}"
        _log.warning("no spans are sent: there is no %s here; set otlp and %s", what, _PROTOCOL)
        return None
    try:
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        provider = TracerProvider(resource=_resource(environ), shutdown_on_exit=False)
        for name in names:
            provider.add_span_processor(BatchSpanProcessor(_EXPORTERS[name]()))
    except ImportError as error:
        _log.warning("no spans are sent: %s is missing; pip install 'ploinky[otel]'", error.name)
        return None
    return provider


def _resource(environ: Mapping[str, str]) -> Resource:
    """What the variables say of this process; its name is ours unless they have one."""
    from opentelemetry.sdk.resources import Resource

    given = f"{environ.get('OTEL_SERVICE_NAME', '')},{environ.get('OTEL_RESOURCE_ATTRIBUTES', '')}"
    named = environ.get("OTEL_SERVICE_NAME") or "service.name=" in given
    own = {} if named else {"service.name": "ploinky"}
    return Resource.create({**own, "service.version": __version__})


def _otlp() -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()


_EXPORTERS: Mapping[str, Callable[[], SpanExporter]] = MappingProxyType({"otlp": _otlp})
