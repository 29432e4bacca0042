"""One HTTP exchange at an MCP endpoint: what came in, where the answer goes, a request carried through it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio

from ploinky.base.jsontypes import JsonObject
from ploinky.mcp.messages import (
    HTTP_STATUS,
    INTERNAL_ERROR,
    Headers,
    RequestId,
    RpcError,
    result_body,
)
from ploinky.router.directory import Origin
from ploinky.router.http import Receive, Send, wait_for_disconnect
from ploinky.router.streams import CallReply, StreamLog

logger = logging.getLogger(__name__)
Work = Callable[[CallReply], Awaitable[bytes]]
LIST_CHANGED = (
    "notifications/tools/list_changed",
    "notifications/prompts/list_changed",
    "notifications/resources/list_changed",
    "notifications/resources/list_changed",
)


@dataclass(frozen=True)
class Exchange:
    """``headers`` by lower-case name; ``doubled`` are names that came more than once; ``connection`` tells
    one client's connection from another's."""

    method: str
    headers: Headers
    doubled: frozenset[bytes]
    receive: Receive
    send: Send
    origin: Origin
    connection: str = ""

    def accepts(self, kind: bytes) -> bool:
        """Whether the client takes this media type; one that says nothing takes JSON only."""
        accept = self.headers.get(b"accept", b"application/json").lower()
        return kind in accept or b"*/*" in accept or kind.split(b"/")[0] + b"/*" in accept


def changed_lists(before: tuple[bytes, ...], now: tuple[bytes, ...]) -> tuple[str, ...]:
    """The notifications that are due after lists went from ``before`` to ``now``."""
    changed = (name for name, one, other in zip(LIST_CHANGED, before, now, strict=True) if one != other)
    return tuple(dict.fromkeys(changed))


async def carry(
    exchange: Exchange,
    request_id: RequestId,
    work: Work,
    *,
    ends_with_client: bool,
    log: StreamLog | None = None,
) -> None:
    """Do the work and answer; with ``ends_with_client`` it is cancelled when the client goes away.

    In the session era a client that goes away has not cancelled anything, so the work goes on.
    """
    reply = CallReply(exchange.send, may_stream=exchange.accepts(b"text/event-stream"), log=log)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reply.attend)
        if ends_with_client:
            tasks.start_soon(_cancel_when_gone, exchange, tasks.cancel_scope)
        status, body = await _outcome(work, reply, request_id, stateless=ends_with_client)
        await reply.finish(status, body)
        tasks.cancel_scope.cancel()


async def _cancel_when_gone(exchange: Exchange, scope: anyio.CancelScope) -> None:
    await wait_for_disconnect(exchange.receive)
    scope.cancel()


async def _outcome(
    work: Work, reply: CallReply, request_id: RequestId, *, stateless: bool
) -> tuple[int, bytes]:
    try:
        return 200, result_body(request_id, await work(reply))
    except RpcError as error:
        return error_status(error, stateless=stateless), error.body(request_id)
    except Exception:
        logger.exception("a request failed inside the router")
        return 200, RpcError(INTERNAL_ERROR, "The router failed; its log says more.").body(request_id)


def error_status(error: RpcError, *, stateless: bool) -> int:
    """The stateless era gives errors their own statuses; the session era says 200 to what it understood."""
    return HTTP_STATUS.get(error.code, 200) if stateless else 200


def without_ours(params: JsonObject, reserved: tuple[str, ...]) -> JsonObject:
    """``params`` without the ``_meta`` keys that begin with one of ``reserved``: not for this hop."""
    meta = params.get("_meta")
    if not isinstance(meta, dict) or not any(key.startswith(reserved) for key in meta):
        return params
    kept = {key: value for key, value in meta.items() if not key.startswith(reserved)}
    return {**params, "_meta": kept}
