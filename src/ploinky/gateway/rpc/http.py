"""``POST /rpc``: one message in, its answer out. Errors of a call are answers with HTTP status 200."""

from __future__ import annotations

from ploinky.gateway.rpc.dispatch import Dispatcher
from ploinky.router.callers import Caller
from ploinky.router.http import HttpError, Receive, Scope, Send, read_body, send_empty, send_json

MOST_BYTES = 4 * 1024 * 1024
BODY_TIMEOUT_S = 30.0


async def serve_rpc(
    dispatcher: Dispatcher, caller: Caller, scope: Scope, receive: Receive, send: Send
) -> None:
    """Answer one POST.

    Raises:
        HttpError: 415 for anything but JSON (a form of another site cannot send that), 413, 408.
    """
    kind = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
    if kind.split(b";")[0].strip().lower() != b"application/json":
        raise HttpError(415, "A POST carries application/json.")
    body = await read_body(scope, receive, limit=MOST_BYTES, timeout_s=BODY_TIMEOUT_S)
    reply = await dispatcher.answer(caller, body)
    headers = [(b"x-audit-id", reply.audit_id.encode()), (b"cache-control", b"no-store")]
    if reply.body is None:
        await send_empty(send, 204, headers)
    else:
        await send_json(send, 200, reply.body, headers)
