"""The words of MCP on the wire, in both eras, and JSON-RPC messages read and written.

The stateless era (2026-07-28) says everything in each request; the session era (to 2025-11-25) starts with
``initialize``. Which one a request belongs to is told by its own header and envelope alone.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import orjson

from ploinky.base.jsontypes import JsonObject, JsonValue, deeper_than, find_object

SESSION_VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
STATELESS_VERSIONS = ("2026-07-28",)

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
HEADER_MISMATCH = -32020
MISSING_CAPABILITY = -32021
UNSUPPORTED_VERSION = -32022
AGENT_NOT_READY = -32010
AGENT_LOST = -32011
FORBIDDEN = -32012
CANCELLED = -32013
RATE_LIMITED = -32014
NOT_APPROVED = -32015
NOT_FOUND = -32002  # of the session era; the stateless one says INVALID_PARAMS

HTTP_STATUS: Mapping[int, int] = MappingProxyType(
    {
        PARSE_ERROR: 400,
        INVALID_REQUEST: 400,
        INVALID_PARAMS: 400,
        HEADER_MISMATCH: 400,
        MISSING_CAPABILITY: 400,
        UNSUPPORTED_VERSION: 400,
        METHOD_NOT_FOUND: 404,
        FORBIDDEN: 403,
        RATE_LIMITED: 429,
        NOT_APPROVED: 403,
    }
)

META = "io.modelcontextprotocol/"
META_VERSION = META + "protocolVersion"
META_CAPABILITIES = META + "clientCapabilities"
META_CLIENT = META + "clientInfo"
META_SERVER = META + "serverInfo"
META_LOG_LEVEL = META + "logLevel"
META_SUBSCRIPTION = META + "subscriptionId"
NAMED_METHODS: Mapping[str, str] = MappingProxyType(
    {
        "tools/call": "name",
        "prompts/get": "name",
        "resources/read": "uri",
        "tasks/get": "taskId",
        "tasks/update": "taskId",
        "tasks/cancel": "taskId",
    }
)
SESSION_ONLY = frozenset(
    {
        "initialize",
        "ping",
        "logging/setLevel",
        "resources/subscribe",
        "resources/unsubscribe",
        "tasks/result",
        "tasks/list",
    }
)
"""Methods that the stateless era does not have."""
TASKS_EXTENSION = META + "tasks"
TASK_METHODS = frozenset({"tasks/get", "tasks/update", "tasks/cancel"})
"""Methods of that extension; the session era has tasks of its own."""
VERSION_HEADER = b"mcp-protocol-version"
METHOD_HEADER = b"mcp-method"
NAME_HEADER = b"mcp-name"
SESSION_HEADER = b"mcp-session-id"
ROUTING_HEADERS = frozenset({VERSION_HEADER, METHOD_HEADER, NAME_HEADER})

ENVELOPE_KEYS = (META_VERSION, META_CAPABILITIES, META_CLIENT, "ploinky/")
"""Keys of ``_meta`` (and what begins like them) that a client says to the router and nobody else."""

RequestId = str | int
Headers = Mapping[bytes, bytes]
_DEEPEST = 100
_LONGEST_SHOWN = 300
_LONGEST_FACTS = 64 * 1024
_WRAPPED = re.compile(r"=\?base64\?(.*)\?=\Z", re.DOTALL)
_PLAIN = re.compile(r"[\x20-\x7e]*\Z")


def clipped(text: str) -> str:
    """What the other side named, as a message may repeat it."""
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


class RpcError(Exception):
    """A JSON-RPC error to be sent; ``data`` is for machines."""

    def __init__(self, code: int, message: str, data: JsonValue = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data

    def value(self) -> JsonObject:
        """The ``error`` member of a response."""
        error: JsonObject = {"code": self.code, "message": self.message}
        if self.data is not None:
            error["data"] = self.data
        return error

    def body(self, request_id: RequestId | None) -> bytes:
        return orjson.dumps({"jsonrpc": "2.0", "id": request_id, "error": self.value()})


@dataclass(frozen=True, slots=True)
class Request:
    """A request (``id`` given), or a notification (``id`` None)."""

    id: RequestId | None
    method: str
    params: JsonObject

    @property
    def progress_token(self) -> RequestId | None:
        meta = self.params.get("_meta")
        token = meta.get("progressToken") if isinstance(meta, dict) else None
        return token if isinstance(token, (str, int)) and not isinstance(token, bool) else None


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the client to something the server had asked: a result, or an error."""

    id: RequestId
    result: JsonObject | None = None
    error: RpcError | None = None


def read_message(body: bytes) -> Request | Reply:
    """One JSON-RPC message.

    Raises:
        RpcError: ``PARSE_ERROR`` or ``INVALID_REQUEST``; a batch is the latter.
    """
    try:
        value: JsonValue = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RpcError(PARSE_ERROR, "The body is not JSON.") from error
    if body.count(b"[") + body.count(b"{") > _DEEPEST and deeper_than(value, _DEEPEST):
        raise RpcError(PARSE_ERROR, f"The body nests more than {_DEEPEST} levels.")
    if not isinstance(value, dict) or value.get("jsonrpc") != "2.0":
        raise RpcError(INVALID_REQUEST, "The body must be one JSON-RPC 2.0 message.")
    return _message(value)


def _message(value: JsonObject) -> Request | Reply:
    request_id = value.get("id")
    if "id" in value and (isinstance(request_id, bool) or not isinstance(request_id, (str, int))):
        raise RpcError(INVALID_REQUEST, "An id is a string or an integer.")
    assert request_id is None or isinstance(request_id, (str, int))
    method = value.get("method")
    if method is None and request_id is not None and ("result" in value or "error" in value):
        return _reply(request_id, value)
    params = value.get("params", {})
    if not isinstance(method, str) or not isinstance(params, dict):
        raise RpcError(INVALID_REQUEST, "A request has a method and, if any, an object of params.")
    return Request(request_id, method, params)


def _reply(request_id: RequestId, value: JsonObject) -> Reply:
    result = find_object(value, "result")
    if result is not None:
        return Reply(request_id, result)
    error = find_object(value, "error")
    return Reply(
        request_id,
        None,
        read_error(error)
        if error is not None
        else RpcError(INTERNAL_ERROR, "The answer holds neither a result nor an error."),
    )


def read_error(error: JsonObject) -> RpcError:
    """The error of a response as it was given."""
    code, message = error.get("code"), error.get("message")
    return RpcError(
        code if isinstance(code, int) else INTERNAL_ERROR,
        message if isinstance(message, str) else "The other side gave no reason.",
        error.get("data"),
    )


def result_body(request_id: RequestId, result: bytes) -> bytes:
    """The response that carries ``result``, which is JSON already."""
    return b'{"jsonrpc":"2.0","id":' + orjson.dumps(request_id) + b',"result":' + result + b"}"


def request_body(request_id: RequestId, method: str, params: JsonObject) -> bytes:
    return orjson.dumps({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params})


def notification(method: str, params: JsonObject | None = None) -> bytes:
    message: JsonObject = {"jsonrpc": "2.0", "method": method}
    if params:
        message["params"] = params
    return orjson.dumps(message)


def is_stateless(headers: Headers, message: Request | Reply | None) -> bool:
    """Whether a request belongs to the stateless era: its version header or its envelope says so."""
    version = headers.get(VERSION_HEADER)
    if version is not None and version.decode("latin-1") not in SESSION_VERSIONS:
        return True
    if not isinstance(message, Request) or message.id is None:
        return False
    meta = find_object(message.params, "_meta")
    return meta is not None and META_VERSION in meta


def check_envelope(headers: Headers, request: Request) -> None:
    """Check a stateless request's envelope, and its headers against its body.

    Raises:
        RpcError: the first of a missing envelope, a header that differs, a version not served.
    """
    meta = find_object(request.params, "_meta") or {}
    missing = [key for key in (META_VERSION, META_CAPABILITIES) if key not in meta]
    if missing:
        raise RpcError(INVALID_PARAMS, f"params._meta lacks {' and '.join(missing)}.")
    version = meta[META_VERSION]
    _compare(headers, VERSION_HEADER, version, "the envelope's protocol version")
    _compare(headers, METHOD_HEADER, request.method, "the body's method")
    key = NAMED_METHODS.get(request.method)
    if key is not None and request.params.get(key) is not None:
        _compare(headers, NAME_HEADER, request.params[key], f"the body's {key!r}")
    if not isinstance(meta[META_CAPABILITIES], dict):
        raise RpcError(INVALID_PARAMS, f"{META_CAPABILITIES} must be an object.")
    check_version(version if isinstance(version, str) else "")


def knows_tasks(capabilities: JsonObject) -> bool:
    """Whether a client of the stateless era has declared the tasks extension."""
    return TASKS_EXTENSION in (find_object(capabilities, "extensions") or {})


def needs_tasks() -> RpcError:
    """What a client is told that would have to declare it."""
    needed: JsonObject = {"extensions": {TASKS_EXTENSION: {}}}
    message = f"The client must have declared the extension {TASKS_EXTENSION}."
    return RpcError(MISSING_CAPABILITY, message, {"requiredCapabilities": needed})


def check_facts(capabilities: JsonObject, info: JsonObject) -> None:
    """What a client says of itself is kept for as long as it is known, so it may not be of any size.

    Raises:
        RpcError: ``INVALID_PARAMS``.
    """
    if len(orjson.dumps(capabilities)) + len(orjson.dumps(info)) > _LONGEST_FACTS:
        message = f"A client's capabilities and name may have {_LONGEST_FACTS} bytes together."
        raise RpcError(INVALID_PARAMS, message)


def check_version(requested: str) -> None:
    """Raises:
    RpcError: ``UNSUPPORTED_VERSION`` with the versions that are served.
    """
    if requested not in STATELESS_VERSIONS:
        data: JsonObject = {"supported": list(STATELESS_VERSIONS), "requested": requested}
        raise RpcError(UNSUPPORTED_VERSION, "Unsupported protocol version", data)


def _compare(headers: Headers, header: bytes, value: JsonValue, what: str) -> None:
    raw = headers.get(header)
    if raw is None or decode_header(raw.decode("latin-1").strip(" \t")) != value:
        raise RpcError(HEADER_MISMATCH, f"The header {header.decode()} does not match {what}.")


def encode_header(value: str) -> str:
    """``value`` as an HTTP header may carry it: plain if it can be, else wrapped in base64."""
    if _PLAIN.match(value) and value == value.strip() and not _WRAPPED.match(value):
        return value
    return f"=?base64?{base64.b64encode(value.encode()).decode()}?="


def decode_header(value: str) -> str | None:
    """What ``encode_header`` was given; None if the wrapping is broken."""
    wrapped = _WRAPPED.match(value)
    if wrapped is None:
        return value
    try:
        plain = base64.b64decode(wrapped[1].encode("latin-1"), validate=True)
        canonical = base64.b64encode(plain).decode() == wrapped[1]
        return plain.decode() if canonical else None
    except (binascii.Error, UnicodeError):
        return None
