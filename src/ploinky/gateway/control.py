"""``/control/...``, ``/healthz``, ``/readyz``: for the command line and for whoever watches it; and
``/MCPBrowserClient.js``, the module by which pages call tools.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import anyio
import orjson

from ploinky.base.jsontypes import JsonValue
from ploinky.gateway.rows import Access, Request, Row
from ploinky.router.http import (
    PING,
    PING_EVERY_S,
    end_event_stream,
    event,
    send_chunk,
    send_json,
    send_text,
    start_event_stream,
    wait_for_disconnect,
)
from ploinky.router.router import Router
from ploinky.wire.events import Event

_BROWSER_CLIENT = Path(__file__).with_name("mcp_browser_client.js")


@dataclass(frozen=True)
class Control:
    """What the control paths reach. ``events`` gives a new iterator per listener; ``shutdown`` only asks for
    the end, for its answer must still go out."""

    router: Router
    status: Callable[[], Awaitable[JsonValue]]
    reconcile: Callable[[], Awaitable[JsonValue]]
    shutdown: Callable[[], Awaitable[None]]
    events: Callable[[], AsyncIterator[Event]]
    is_ready: Callable[[], bool] = lambda: True

    def rows(self) -> Mapping[str, Row]:
        return {
            "/healthz": Row({"GET": self._health}, Access.ANYONE),
            "/readyz": Row({"GET": self._readiness}, Access.ANYONE),
            "/MCPBrowserClient.js": Row({"GET": _browser_client}, Access.ANYONE),
            "/control/status": Row({"GET": self._status}),
            "/control/tools": Row({"GET": self._tools}),
            "/control/reconcile": Row({"POST": self._reconcile}),
            "/control/shutdown": Row({"POST": self._shutdown}),
            "/control/events": Row({"GET": self._events}),
        }

    async def _health(self, request: Request) -> None:
        await send_text(request.send, 200, "ok\n")

    async def _readiness(self, request: Request) -> None:
        ready = self.is_ready() and not request.closing.is_set()
        await send_text(request.send, 200 if ready else 503, "ready\n" if ready else "not ready\n")

    async def _status(self, request: Request) -> None:
        await send_json(request.send, 200, orjson.dumps(await self.status()))

    async def _tools(self, request: Request) -> None:
        await send_json(request.send, 200, orjson.dumps({"tools": self.router.overview()}))

    async def _reconcile(self, request: Request) -> None:
        outcome = await self.reconcile()
        await self.router.look()
        await send_json(request.send, 200, orjson.dumps(outcome))

    async def _shutdown(self, request: Request) -> None:
        await self.shutdown()
        await send_json(request.send, 200, orjson.dumps({"stopping": True}))

    async def _events(self, request: Request) -> None:
        await start_event_stream(request.send)
        await send_chunk(request.send, PING)
        async with anyio.create_task_group() as tasks:

            async def end_with(wait: Awaitable[None]) -> None:
                await wait
                tasks.cancel_scope.cancel()

            async def keep_alive() -> None:
                while True:
                    await anyio.sleep(PING_EVERY_S)
                    await send_chunk(request.send, PING)

            tasks.start_soon(end_with, wait_for_disconnect(request.receive))
            tasks.start_soon(end_with, request.closing.wait())
            tasks.start_soon(keep_alive)
            async for each in self.events():
                await send_chunk(request.send, event(each.to_json().encode()))
            tasks.cancel_scope.cancel()
        await end_event_stream(request.send)


async def _browser_client(request: Request) -> None:
    data = await anyio.Path(_BROWSER_CLIENT).read_bytes()
    headers = [
        (b"content-type", b"text/javascript; charset=utf-8"),
        (b"content-length", str(len(data)).encode()),
        (b"cache-control", b"no-cache"),
        (b"x-content-type-options", b"nosniff"),
    ]
    await request.send({"type": "http.response.start", "status": 200, "headers": headers})
    await request.send({"type": "http.response.body", "body": data})
