"""Spans of the real gateway, received by a collector that reads OTLP with the official classes."""

from __future__ import annotations

import http.server
import json
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from ploinky.gateway.otel import open_tracer
from tests.cli.stage import Stage, eventually, give_back, make_stage
from tests.gateway.test_policy import META, policy
from tests.gateway.web import Web, WebAnswer, web_of

pytestmark = pytest.mark.bubblewrap
ROOT_SPAN = "b7ad6b7169203331"
SECRET = "value-of-an-argument"
KEPT = """#!/bin/sh
while read -r line; do printf '%s\\n' "$line"; done
"""


@dataclass(frozen=True)
class Received:
    """One span, and what it says in short."""

    wire: WireSpan
    resource: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.wire.name

    @property
    def trace(self) -> str:
        return self.wire.trace_id.hex()

    @property
    def facts(self) -> dict[str, str | int]:
        return {each.key: each.value.string_value or each.value.int_value for each in self.wire.attributes}


@dataclass
class Collector:
    """A receiver of OTLP over HTTP on a port of its own."""

    port: int = 0
    spans: list[Received] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def take(self, path: str, headers: Mapping[str, str], body: bytes) -> None:
        assert path == "/v1/traces"
        asked = ExportTraceServiceRequest.FromString(body)
        self.bodies.append(body)
        self.headers.append(headers)
        for group in asked.resource_spans:
            told = {each.key: each.value.string_value for each in group.resource.attributes}
            for scope in group.scope_spans:
                self.spans.extend(Received(span, told) for span in scope.spans)

    def of(self, trace: str, number: int) -> dict[str, Received]:
        """The spans of a trace by name, when there are that many."""

        def found() -> list[Received]:
            return [span for span in tuple(self.spans) if span.trace == trace]

        eventually(lambda: len(found()) >= number, f"{number} spans of {trace}")
        assert len(found()) == number, [span.name for span in found()]
        return {span.name: span for span in found()}


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.take(self.path, {key.lower(): value for key, value in self.headers.items()}, body)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector.port = server.server_port
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join(10)


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as made:
        yield made


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Stage]:
    """A workspace whose gateway was told of the collector by the standard variables."""
    runtime = Path(tempfile.mkdtemp(prefix="po-", dir="/tmp"))
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=harbour",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
    }
    made = replace(make_stage(tmp_path_factory.mktemp("traced"), runtime), extra=variables)
    code = made.layout.repo("crew") / "echo" / "code"
    (code / "kept.sh").write_text(KEPT, encoding="utf-8")
    (code / "kept.sh").chmod(0o755)
    config = json.loads((code / "mcp-config.json").read_text(encoding="utf-8"))
    schema = {"text": {"type": "string"}}
    config["tools"].append(
        {"name": "kept", "command": "kept.sh", "mode": "persistent", "inputSchema": schema}
    )
    (code / "mcp-config.json").write_text(json.dumps(config), encoding="utf-8")
    made.run("start", "echo")
    yield made
    give_back(made)
    shutil.rmtree(runtime)


@pytest.fixture(scope="module")
def web(town: Stage) -> Web:
    return web_of(town)


def call(web: Web, trace: str, tool: str, *, flags: str = "01", **arguments: str) -> WebAnswer:
    """Call a tool within that trace."""
    params = {"name": tool, "arguments": arguments, "_meta": META}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = {
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "tools/call",
        "mcp-name": tool,
        "traceparent": f"00-{trace}-{ROOT_SPAN}-{flags}",
    }
    return web.send("POST", "/mcp", json.dumps(body).encode(), headers)


def test_a_call_is_three_spans_under_the_callers_and_the_agent_is_handed_the_last(
    web: Web, collector: Collector
) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    answer = call(web, trace, "say", text=SECRET)
    spans = collector.of(trace, 3)
    http_, call_, agent = (spans[name] for name in ("POST /mcp", "tools/call say", "echo: tools/call say"))
    assert http_.wire.parent_span_id.hex() == ROOT_SPAN
    assert call_.wire.parent_span_id == http_.wire.span_id
    assert agent.wire.parent_span_id == call_.wire.span_id
    kinds = [each.wire.kind for each in (http_, call_, agent)]
    assert kinds == [WireSpan.SPAN_KIND_SERVER, WireSpan.SPAN_KIND_INTERNAL, WireSpan.SPAN_KIND_CLIENT]
    assert http_.facts["http.response.status_code"] == 200
    assert call_.facts["ploinky.caller"] == "owner"
    assert call_.facts["gen_ai.tool.name"] == "say"
    told = json.loads(answer.json["result"]["content"][0]["text"])
    assert told["metadata"]["traceparent"] == f"00-{trace}-{agent.wire.span_id.hex()}-01"
    assert http_.wire.start_time_unix_nano <= agent.wire.start_time_unix_nano
    assert agent.wire.end_time_unix_nano <= http_.wire.end_time_unix_nano


def test_calls_of_kept_programs_have_the_same_spans_each_its_own(web: Web, collector: Collector) -> None:
    for number in range(1, 6):
        trace = f"{number:032x}"
        answer = call(web, trace, "kept", text=SECRET)
        spans = collector.of(trace, 3)
        told = json.loads(answer.json["result"]["content"][0]["text"])
        last = spans["echo: tools/call kept"].wire
        assert told["metadata"]["traceparent"] == f"00-{trace}-{last.span_id.hex()}-01"
        assert spans["tools/call kept"].wire.parent_span_id == spans["POST /mcp"].wire.span_id
        assert last.parent_span_id == spans["tools/call kept"].wire.span_id


def test_what_fails_is_a_fault_in_its_span(town: Stage, web: Web, collector: Collector) -> None:
    trace = "f" * 31 + "1"
    call(web, trace, "fail")
    spans = collector.of(trace, 3)
    assert spans["tools/call fail"].facts["error.type"] == "tool_failed"
    assert spans["tools/call fail"].wire.status.code == Status.STATUS_CODE_ERROR
    assert spans["POST /mcp"].wire.status.code != Status.STATUS_CODE_ERROR
    refused = "f" * 31 + "2"
    guest = Web(web.host, web.port, town.run("token", "create", "traced").out.strip())
    with policy(town, {"caller": "client:*", "agents": ["echo"], "rate": 1}):
        assert [call(guest, refused, "mood").status for _ in range(2)] == [200, 429]
    eventually(
        lambda: any(each.facts.get("error.type") == "limited" for each in tuple(collector.spans)),
        "the refusal's span",
    )


def test_what_the_caller_does_not_sample_is_handed_on_and_not_told(web: Web, collector: Collector) -> None:
    quiet, loud = "e" * 31 + "1", "e" * 31 + "2"
    answer = call(web, quiet, "say", flags="00", text="x")
    call(web, loud, "say", text="x")
    collector.of(loud, 3)
    assert not [each for each in collector.spans if each.trace == quiet]
    told = json.loads(answer.json["result"]["content"][0]["text"])
    assert told["metadata"]["traceparent"].startswith(f"00-{quiet}-")
    assert told["metadata"]["traceparent"].endswith("-00")


def test_spans_say_whose_they_are_and_hold_no_argument_no_result_and_no_token(
    town: Stage, web: Web, collector: Collector
) -> None:
    trace = "d" * 32
    call(web, trace, "say", text=SECRET)
    resource = collector.of(trace, 3)["POST /mcp"].resource
    assert resource["service.name"] == "ploinky"
    assert resource["deployment.environment.name"] == "test"
    assert collector.headers[0]["x-tenant"] == "harbour"
    everything = b"".join(collector.bodies)
    for secret in (SECRET, "cheerful", web.token):
        assert secret.encode() not in everything
    assert b"tools/call say" in everything


def test_a_gateway_that_ends_sends_its_last_spans(town: Stage, collector: Collector) -> None:
    trace = "c" * 32
    with_delay = replace(town, extra={**town.extra, "OTEL_BSP_SCHEDULE_DELAY": "600000"})
    with_delay.run("restart", "router")
    assert call(web_of(town), trace, "mood").status == 200
    town.run("stop")
    collector.of(trace, 3)


def test_without_spans_the_gateway_serves_as_ever_and_hands_the_callers_trace_on(
    stage: Stage, collector: Collector
) -> None:
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    quiet = replace(stage, extra=variables)
    quiet.run("start", "echo")
    trace = "b" * 32
    answer = call(web_of(quiet), trace, "say", text="hi")
    told = json.loads(answer.json["result"]["content"][0]["text"])
    assert told["metadata"]["traceparent"] == f"00-{trace}-{ROOT_SPAN}-01"
    assert "there is no protocol 'grpc' here" in (quiet.layout.logs / "gateway.log").read_text(
        encoding="utf-8"
    )
    assert not [each for each in collector.spans if each.trace == trace]


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({}, ""),
        ({"OTEL_SDK_DISABLED": "True"}, ""),
        ({"OTEL_TRACES_EXPORTER": "none"}, ""),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "there is no exporter 'zipkin' here"),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, "missing; pip install 'ploinky[otel]'"),
    ],
)
async def test_what_stands_in_the_way_of_spans_is_a_line_of_the_log(
    variables: dict[str, str], says: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)  # as if the extra were not installed
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"} if variables else {}
    async with open_tracer({**endpoint, **variables}) as tracer:
        assert tracer is None
    assert says in caplog.text
    assert bool(says) == ("no spans are sent" in caplog.text)
