"""The two envelopes: JSON-RPC 2.0 (batches included) and the older ``{version: "2.0", method, params}``.

An answer is in the form of its request. Every answer carries the audit id: beside ``result``, in
``error.data`` and, in the older form, at the top.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

import orjson

from ploinky.base.errors import DeadlineError, NeedsApprovalError, NotFoundError, PloinkyError, UsageError
from ploinky.base.jsontypes import JsonObject, JsonValue, deeper_than

MOST_IN_BATCH = 100
DEEPEST = 64
RequestId = str | int | float | None


class RpcCode(IntEnum):
    """Numbers of errors; the string code in ``data.code`` says exactly what happened."""

    PARSE = -32700
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    INTERNAL = -32603
    FAILED = -32000
    NOT_FOUND = -32001
    NEEDS_APPROVAL = -32002
    FORBIDDEN = -32003
    RATE_LIMITED = -32005
    DEADLINE = -32006


_BY_CLASS: tuple[tuple[type[PloinkyError], RpcCode], ...] = (
    (NotFoundError, RpcCode.NOT_FOUND),
    (UsageError, RpcCode.INVALID_PARAMS),
    (NeedsApprovalError, RpcCode.NEEDS_APPROVAL),
    (DeadlineError, RpcCode.DEADLINE),
)
_BY_CODE = {
    "METHOD_NOT_FOUND": RpcCode.METHOD_NOT_FOUND,
    "INVALID_REQUEST": RpcCode.INVALID_REQUEST,
    "PARSE_ERROR": RpcCode.PARSE,
    "FORBIDDEN": RpcCode.FORBIDDEN,
    "RATE_LIMITED": RpcCode.RATE_LIMITED,
    "INTERNAL": RpcCode.INTERNAL,
}


class Form(StrEnum):
    JSONRPC = "jsonrpc"
    OLDER = "older"


@dataclass(frozen=True)
class Request:
    """One call. ``wants_answer`` is false for a notification."""

    method: str
    params: JsonObject
    id: RequestId = None
    form: Form = Form.JSONRPC
    wants_answer: bool = True


@dataclass(frozen=True)
class BadRequest:
    """A member of a message that is no request; it is answered with ``error``."""

    error: PloinkyError
    id: RequestId = None
    form: Form = Form.JSONRPC


@dataclass(frozen=True)
class Incoming:
    """What one message holds; ``is_batch`` says how answers are put together."""

    requests: tuple[Request | BadRequest, ...]
    is_batch: bool = False


def read_message(body: bytes) -> Incoming:
    """Read a message. Never raises: what is wrong becomes a ``BadRequest``."""
    try:
        value: JsonValue = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return _bad("PARSE_ERROR", f"The message is not JSON: {error}.")
    if deeper_than(value, DEEPEST):
        return _bad("INVALID_REQUEST", f"The message nests more than {DEEPEST} levels.")
    if not isinstance(value, list):
        return Incoming((_request(value),))
    if not value or len(value) > MOST_IN_BATCH:
        return _bad("INVALID_REQUEST", f"A batch holds 1 to {MOST_IN_BATCH} requests.")
    return Incoming(tuple(_request(each) for each in value), is_batch=True)


def result_value(request: Request, result: JsonValue, audit_id: str) -> JsonObject:
    """The answer of a call that ended well."""
    if request.form is Form.OLDER:
        return _with_id(request, {"ok": True, "result": result, "auditId": audit_id})
    return {"jsonrpc": "2.0", "id": request.id, "result": result, "auditId": audit_id}


def error_value(request: Request | BadRequest, error: PloinkyError, audit_id: str) -> JsonObject:
    """The answer of a call that failed."""
    data: JsonObject = {"code": error.code, "auditId": audit_id}
    if error.hint is not None:
        data["hint"] = error.hint
    details: JsonObject = dict(error.details)
    if "field" in details:
        data["field"] = details.pop("field")
    if details:
        data["details"] = details
    body: JsonObject = {"code": int(rpc_code(error)), "message": error.message, "data": data}
    if request.form is Form.OLDER:
        return _with_id(request, {"ok": False, "error": body, "auditId": audit_id})
    return {"jsonrpc": "2.0", "id": request.id, "error": body}


def rpc_code(error: PloinkyError) -> RpcCode:
    """The number for an error: by its string code, else by its class."""
    if error.code in _BY_CODE:
        return _BY_CODE[error.code]
    return next((code for kind, code in _BY_CLASS if isinstance(error, kind)), RpcCode.FAILED)


def _with_id(request: Request | BadRequest, answer: JsonObject) -> JsonObject:
    return answer if request.id is None else {"id": request.id, **answer}


def _request(value: JsonValue) -> Request | BadRequest:
    if not isinstance(value, dict):
        return BadRequest(_invalid("A request is an object."))
    form = Form.OLDER if "version" in value and "jsonrpc" not in value else Form.JSONRPC
    given = value.get("id")
    request_id = given if isinstance(given, (str, int, float)) and not isinstance(given, bool) else None
    fault = _fault(value, form)
    if fault is not None:
        return BadRequest(_invalid(fault), request_id, form)
    params = value.get("params")
    method = value["method"]
    assert isinstance(method, str)
    return Request(
        method=method,
        params=params if isinstance(params, dict) else {},
        id=request_id,
        form=form,
        wants_answer=form is Form.OLDER or "id" in value,
    )


def _fault(value: JsonObject, form: Form) -> str | None:
    name = "version" if form is Form.OLDER else "jsonrpc"
    if value.get(name) != "2.0":
        return f'{name} must be "2.0".'
    if not isinstance(value.get("method"), str):
        return "method must be a string."
    if "id" in value and not (value["id"] is None or isinstance(value["id"], (str, int, float))):
        return "id must be a string, a number or null."
    if isinstance(value.get("id"), bool):
        return "id must be a string, a number or null."
    if value.get("params") is not None and not isinstance(value["params"], dict):
        return "params must be an object; parameters are given by name."
    return None


def _invalid(message: str) -> PloinkyError:
    return PloinkyError("INVALID_REQUEST", message)


def _bad(code: str, message: str) -> Incoming:
    return Incoming((BadRequest(PloinkyError(code, message)),))
