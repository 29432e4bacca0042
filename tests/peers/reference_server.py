"""A server of the official SDK with what the conformance suite calls by name, in both protocol eras.

``python reference_server.py PORT [both|session|stateless]`` serves it over HTTP on the loopback of wherever
it runs, in one era only if asked; without a port, over its pipes.
"""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

import anyio
import uvicorn
from mcp.server.mcpserver import Context, MCPServer, UserMessage
from mcp.server.streamable_http import EventCallback, EventMessage, EventStore
from mcp.shared.exceptions import MCPError
from mcp_types import (
    AudioContent,
    ClientCapabilities,
    CompleteRequestParams,
    CompleteResult,
    Completion,
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    EmbeddedResource,
    EmptyResult,
    ImageContent,
    InputRequest,
    InputRequiredResult,
    JSONRPCMessage,
    ListRootsRequest,
    SamplingMessage,
    SetLevelRequestParams,
    SubscribeRequestParams,
    TextContent,
    TextResourceContents,
    UnsubscribeRequestParams,
)
from pydantic import BaseModel, Field

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WAV = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
MISSING_CAPABILITY = -32021
Ctx = Context[Any, Any]
server = MCPServer("reference", log_level="ERROR")


class Events(EventStore):
    """Keeps every event of every stream, for clients that come back."""

    def __init__(self) -> None:
        self._events: list[tuple[str, JSONRPCMessage | None]] = []

    async def store_event(self, stream_id: str, message: JSONRPCMessage | None) -> str:
        self._events.append((stream_id, message))
        return str(len(self._events))

    async def replay_events_after(self, last_event_id: str, send_callback: EventCallback) -> str | None:
        at = int(last_event_id)
        if not 0 < at <= len(self._events):
            return None
        stream = self._events[at - 1][0]
        for number, (stream_id, message) in enumerate(self._events[at:], at + 1):
            if stream_id == stream and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream


def text(value: str) -> TextContent:
    return TextContent(type="text", text=value)


def embedded(uri: str, value: str, mime_type: str = "text/plain") -> EmbeddedResource:
    contents = TextResourceContents(uri=uri, mime_type=mime_type, text=value)
    return EmbeddedResource(type="resource", resource=contents)


@server.tool(structured_output=False)
def test_simple_text() -> str:
    """Plain text."""
    return "This is a simple text response for testing."


@server.tool(structured_output=False)
def test_image_content() -> list[ImageContent]:
    """An image."""
    return [ImageContent(type="image", data=PNG, mime_type="image/png")]


@server.tool(structured_output=False)
def test_audio_content() -> list[AudioContent]:
    """A sound."""
    return [AudioContent(type="audio", data=WAV, mime_type="audio/wav")]


@server.tool(structured_output=False)
def test_embedded_resource() -> list[EmbeddedResource]:
    """A resource within the answer."""
    return [embedded("test://embedded-resource", "This is an embedded resource content.")]


@server.tool(structured_output=False)
def test_multiple_content_types() -> list[TextContent | ImageContent | EmbeddedResource]:
    """Several kinds of content."""
    mixed = embedded("test://mixed-content-resource", '{"test":"data","value":123}', "application/json")
    image = ImageContent(type="image", data=PNG, mime_type="image/png")
    return [text("Multiple content types test:"), image, mixed]


@server.tool(structured_output=False)
async def test_tool_with_logging(ctx: Ctx) -> str:
    """Three messages of a log."""
    for line in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.info(line)
        await anyio.sleep(0.05)
    return "done"


@server.tool(structured_output=False)
async def test_tool_with_progress(ctx: Ctx) -> str:
    """Three reports of progress."""
    for step in (0, 50, 100):
        await ctx.report_progress(step, 100, f"Completed step {step} of 100")
        await anyio.sleep(0.05)
    return "done"


@server.tool(structured_output=False)
def test_error_handling() -> str:
    """Fails."""
    raise ValueError("This tool intentionally returns an error for testing")


@server.tool(structured_output=False)
async def test_reconnection(ctx: Ctx) -> str:
    """Closes its stream in the middle of the call."""
    await ctx.info("Before disconnect")
    await ctx.close_sse_stream()
    await anyio.sleep(0.2)
    return "Reconnection test completed"


@server.tool(structured_output=False)
async def test_sampling(prompt: str, ctx: Ctx) -> str:
    """Asks the client's model."""
    asked = [SamplingMessage(role="user", content=text(prompt))]
    answer = await ctx.session.create_message(messages=asked, max_tokens=100)
    content = answer.content
    return f"LLM response: {content.text if isinstance(content, TextContent) else content}"


class Answer(BaseModel):
    username: str = Field(description="User's response")
    email: str = Field(description="User's email address")


class Defaults(BaseModel):
    name: str = Field("John Doe", description="Name")
    age: int = Field(30, description="Age")
    score: float = Field(95.5, description="Score")
    status: str = Field("active", json_schema_extra={"enum": ["active", "inactive", "pending"]})
    verified: bool = Field(True, description="Verified")


TITLED: list[Any] = [
    {"const": "value1", "title": "First Option"},
    {"const": "value2", "title": "Second Option"},
    {"const": "value3", "title": "Third Option"},
]
PLAIN = ["option1", "option2", "option3"]


class Choices(BaseModel):
    untitledSingle: str = Field(json_schema_extra={"enum": [*PLAIN]})  # noqa: N815 (the suite's names)
    titledSingle: str = Field(json_schema_extra={"oneOf": TITLED})  # noqa: N815
    legacyEnum: str = Field(  # noqa: N815
        json_schema_extra={
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        }
    )
    untitledMulti: list[str] = Field(  # noqa: N815
        json_schema_extra={"items": {"type": "string", "enum": [*PLAIN]}}
    )
    titledMulti: list[str] = Field(json_schema_extra={"items": {"anyOf": TITLED}})  # noqa: N815


async def elicited(ctx: Ctx, message: str, schema: type[BaseModel]) -> str:
    answer = await ctx.elicit(message, schema)
    content = answer.data.model_dump_json() if answer.action == "accept" else "{}"
    return f"Elicitation completed: action={answer.action}, content={content}"


@server.tool(structured_output=False)
async def test_elicitation(message: str, ctx: Ctx) -> str:
    """Asks the person."""
    return await elicited(ctx, message, Answer)


@server.tool(structured_output=False)
async def test_elicitation_sep1034_defaults(ctx: Ctx) -> str:
    """Asks the person, with defaults."""
    return await elicited(ctx, "Please provide user information", Defaults)


@server.tool(structured_output=False)
async def test_elicitation_sep1330_enums(ctx: Ctx) -> str:
    """Asks the person to choose."""
    return await elicited(ctx, "Please choose", Choices)


def form(message: str, key: str, kind: str = "string") -> ElicitRequest:
    schema = {"type": "object", "properties": {key: {"type": kind}}, "required": [key]}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def sample(question: str) -> CreateMessageRequest:
    asked = [SamplingMessage(role="user", content=text(question))]
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=asked, max_tokens=100))


def required(requests: dict[str, InputRequest], state: str | None = None) -> InputRequiredResult:
    return InputRequiredResult(input_requests=requests, request_state=state)


def answers(ctx: Ctx) -> dict[str, Any]:
    """What the client answered, as plain values."""
    given = ctx.input_responses or {}
    return {key: each.model_dump(by_alias=True, exclude_none=True) for key, each in given.items()}


def accepted(ctx: Ctx, key: str, field: str) -> Any:
    """The field of an accepted form, or None."""
    answer = answers(ctx).get(key, {})
    return (answer.get("content") or {}).get(field) if answer.get("action") == "accept" else None


@server.tool(structured_output=False)
async def test_input_required_result_elicitation(ctx: Ctx) -> str | InputRequiredResult:
    """Needs a form."""
    name = accepted(ctx, "user_name", "name")
    if not isinstance(name, str):
        return required({"user_name": form("What is your name?", "name")})
    return f"Hello, {name}!"


@server.tool(structured_output=False)
async def test_input_required_result_sampling(ctx: Ctx) -> str | InputRequiredResult:
    """Needs a model."""
    answer = answers(ctx).get("capital_question")
    if answer is None:
        return required({"capital_question": sample("What is the capital of France?")})
    return f"The model said: {json.dumps(answer.get('content'))}"


@server.tool(structured_output=False)
async def test_input_required_result_list_roots(ctx: Ctx) -> str | InputRequiredResult:
    """Needs the client's roots."""
    answer = answers(ctx).get("client_roots")
    if answer is None:
        return required({"client_roots": ListRootsRequest()})
    return f"Roots: {json.dumps(answer.get('roots'), default=str)}"


@server.tool(structured_output=False)
async def test_input_required_result_request_state(ctx: Ctx) -> str | InputRequiredResult:
    """Keeps state between two rounds."""
    if ctx.request_state is None or "confirm" not in answers(ctx):
        return required({"confirm": form("Please confirm", "ok", "boolean")}, "first-round")
    return "state-ok: the state came back"


@server.tool(structured_output=False)
async def test_input_required_result_multiple_inputs(ctx: Ctx) -> str | InputRequiredResult:
    """Needs three things at once."""
    needed: dict[str, InputRequest] = {
        "user_name": form("What is your name?", "name"),
        "greeting": sample("Generate a greeting"),
        "client_roots": ListRootsRequest(),
    }
    if any(key not in answers(ctx) for key in needed):
        return required(needed, "multiple")
    return "All inputs received"


@server.tool(structured_output=False)
async def test_input_required_result_multi_round(ctx: Ctx) -> str | InputRequiredResult:
    """Needs two things, one after the other."""
    if ctx.request_state is None or (ctx.request_state == "one" and "step1" not in answers(ctx)):
        return required({"step1": form("Step 1: What is your name?", "name")}, "one")
    if ctx.request_state == "one" or "step2" not in answers(ctx):
        return required({"step2": form("Step 2: What is your favorite color?", "color")}, "two")
    return "Both rounds are done"


@server.tool(structured_output=False)
async def test_input_required_result_tampered_state(ctx: Ctx) -> str | InputRequiredResult:
    """Keeps state that may not be changed."""
    if ctx.request_state is None:
        return required({"confirm": form("Please confirm", "ok", "boolean")}, "sealed")
    return "The state is as it was"


@server.tool(structured_output=False)
async def test_input_required_result_capabilities(ctx: Ctx) -> str | InputRequiredResult:
    """Asks only for what the client can do."""
    can = ctx.client_capabilities or ClientCapabilities()
    wanted: dict[str, InputRequest] = {}
    if can.elicitation is not None:
        wanted["form"] = form("What is your name?", "name")
    if can.sampling is not None:
        wanted["model"] = sample("Say hello")
    if not wanted or answers(ctx):
        return "Nothing more is needed"
    return required(wanted)


@server.tool(structured_output=False)
async def test_missing_capability(ctx: Ctx) -> str:
    """Works only with a client that has a model."""
    can = ctx.client_capabilities
    if can is None or can.sampling is None:
        data: dict[str, Any] = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(MISSING_CAPABILITY, "Missing required client capability", data)
    return "The client has a model"


@server.tool(structured_output=False)
async def test_trigger_tool_change(ctx: Ctx) -> str:
    """Says that the tools changed."""
    await ctx.notify_tools_changed()
    return "told"


@server.tool(structured_output=False)
async def test_trigger_prompt_change(ctx: Ctx) -> str:
    """Says that the prompts changed."""
    await ctx.notify_prompts_changed()
    return "told"


@server.tool(structured_output=False)
async def test_logging_tool(ctx: Ctx) -> str:
    """Writes to the log."""
    await ctx.info("a line of the log")
    return "logged"


@server.tool(structured_output=False)
async def test_streaming_elicitation(ctx: Ctx) -> str | InputRequiredResult:
    """Reports progress and then needs a form."""
    if not answers(ctx):
        await ctx.report_progress(1, 2, "half")
        return required({"user_name": form("What is your name?", "name")})
    return "done"


@server.resource("test://static-text", mime_type="text/plain")
def static_text() -> str:
    """A text."""
    return "This is the content of the static text resource."


@server.resource("test://static-binary", mime_type="image/png")
def static_binary() -> bytes:
    """A picture."""
    return base64.b64decode(PNG)


@server.resource("test://watched-resource", mime_type="text/plain")
def watched() -> str:
    """A text that may be subscribed to."""
    return "Watched resource content"


@server.resource("test://template/{id}/data", mime_type="application/json")
def template(id: str) -> str:  # noqa: A002 (the template's word)
    """One of a family."""
    return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


@server.prompt()
def test_simple_prompt() -> list[UserMessage]:
    """A prompt."""
    return [UserMessage(content=text("This is a simple prompt for testing."))]


@server.prompt()
def test_prompt_with_arguments(arg1: str, arg2: str) -> list[UserMessage]:
    """A prompt with arguments."""
    return [UserMessage(content=text(f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"))]


@server.prompt()
def test_prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:  # noqa: N803
    """A prompt with a resource."""
    return [
        UserMessage(content=embedded(resourceUri, "Embedded resource content for testing.")),
        UserMessage(content=text("Please process the embedded resource above.")),
    ]


@server.prompt()
def test_prompt_with_image() -> list[UserMessage]:
    """A prompt with a picture."""
    return [
        UserMessage(content=ImageContent(type="image", data=PNG, mime_type="image/png")),
        UserMessage(content=text("Please analyze the image above.")),
    ]


@server.prompt()
async def test_input_required_result_prompt(ctx: Ctx) -> list[UserMessage] | InputRequiredResult:
    """A prompt that needs a form."""
    context = accepted(ctx, "user_context", "context")
    if context is None:
        return required({"user_context": form("What context should the prompt use?", "context")})
    return [UserMessage(content=text(f"Use this context: {context}"))]


@server.tool()
async def trace_seen(ctx: Ctx) -> str:
    """What came of the caller's trace: in the headers, and in ``_meta``."""
    given, meta = ctx.headers or {}, dict(ctx.request_context.meta or {})
    names = ("traceparent", "tracestate")
    return json.dumps([{name: each.get(name) for name in names} for each in (given, meta)])


async def complete(ctx: object, params: object) -> CompleteResult:
    return CompleteResult(completion=Completion(values=["paris", "park"], total=2, has_more=False))


async def accept(ctx: object, params: object) -> EmptyResult:
    return EmptyResult()


class OneEra:
    """The application as it was before, or as it will be: only one era is served."""

    def __init__(self, app: Any, era: str) -> None:
        self._app = app
        self._era = era

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            version = dict(scope["headers"]).get(b"mcp-protocol-version", b"")
            if (version == b"2026-07-28") != (self._era == "stateless"):
                error = {"code": -32022, "message": "Unsupported protocol version", "data": {"supported": []}}
                body = json.dumps({"jsonrpc": "2.0", "id": None, "error": error}).encode()
                headers = [(b"content-type", b"application/json")]
                await send({"type": "http.response.start", "status": 400, "headers": headers})
                await send({"type": "http.response.body", "body": body})
                return
        await self._app(scope, receive, send)


def main() -> None:
    lowlevel = server._lowlevel_server
    lowlevel.add_request_handler("completion/complete", CompleteRequestParams, complete)
    lowlevel.add_request_handler("resources/subscribe", SubscribeRequestParams, accept)
    lowlevel.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, accept)
    lowlevel.add_request_handler("logging/setLevel", SetLevelRequestParams, accept)
    if len(sys.argv) == 1:
        server.run("stdio")
        return
    app: Any = server.streamable_http_app(event_store=Events(), retry_interval=100)
    era = sys.argv[2] if len(sys.argv) > 2 else "both"
    uvicorn.run(
        app if era == "both" else OneEra(app, era),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        log_level="error",
    )


if __name__ == "__main__":
    main()
