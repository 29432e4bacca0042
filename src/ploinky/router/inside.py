"""Agents' tools for callers inside the gateway, without HTTP: the same policy, names and errors as outside.

``InsideTools`` names tools by agent and the tool's own name. A call gets a conversation of its own, which
ends with it.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonObject, find_object, find_text
from ploinky.mcp.messages import Request, RpcError
from ploinky.mcp.upstream import ClientFacts
from ploinky.router.callers import Caller
from ploinky.router.catalogue import View
from ploinky.router.directory import Origin
from ploinky.router.service import Service
from ploinky.router.talks import SILENT, Silent, Talks

_VERSION = "2025-11-25"
_MOST_NEWS = 64
OnProgress = Callable[[str, float | None], Awaitable[None]]


@dataclass(frozen=True)
class InsideTool:
    """A tool of an agent that is ready. ``read_only``: its annotations say that it changes nothing."""

    agent: str
    name: str
    description: str
    input_schema: JsonObject
    read_only: bool


@dataclass(frozen=True)
class InsideAnswer:
    """What a call came to, as text."""

    text: str
    is_error: bool


class InsideTools:
    """Made by the router."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._numbers = itertools.count(1)

    def tools(self) -> list[InsideTool]:
        """The tools of all agents that can run them now."""
        return [
            InsideTool(
                agent=target.agent,
                name=target.name,
                description=find_text(tool, "description") or find_text(tool, "title") or target.name,
                input_schema=find_object(tool, "inputSchema") or {"type": "object"},
                read_only=(find_object(tool, "annotations") or {}).get("readOnlyHint") is True,
            )
            for _, target, tool in self._service.directory.listed_tools(View(None, None))
        ]

    async def call(
        self, agent: str, tool: str, arguments: JsonObject, *, caller: Caller, on_progress: OnProgress
    ) -> InsideAnswer:
        """Call a tool for ``caller``, as far as the policy lets it. Cancelling ends the tool.

        Raises:
            PloinkyError: ``TOOL_CALL_FAILED``, with what the router or the agent said.
        """
        send, receive = anyio.create_memory_object_stream[JsonObject](_MOST_NEWS)
        talks = Talks(self._service.upstreams, ClientFacts(str(caller), _VERSION), lambda _: SILENT)
        number = f"inside-{next(self._numbers)}"
        params: JsonObject = {"name": tool, "arguments": arguments, "_meta": {"progressToken": number}}
        request = Request(number, "tools/call", params)
        try:
            async with receive, anyio.create_task_group() as tasks:
                tasks.start_soon(_pass_on, receive, on_progress)
                async with send:
                    result = await self._service.request(Origin(caller, agent), request, talks, _News(send))
        except* RpcError as group:
            raise _failed(group) from group
        finally:
            await talks.aclose()
        return _answer(result)


class _News(Silent):
    """A way back for progress only; news that nobody takes in time are dropped."""

    def __init__(self, send: MemoryObjectSendStream[JsonObject]) -> None:
        self._send = send

    def notify(self, method: str, params: JsonObject) -> None:
        if method == "notifications/progress":
            try:
                self._send.send_nowait(params)
            except (anyio.WouldBlock, anyio.ClosedResourceError, anyio.BrokenResourceError):
                return


async def _pass_on(news: MemoryObjectReceiveStream[JsonObject], on_progress: OnProgress) -> None:
    async for params in news:
        progress, total = params.get("progress"), params.get("total")
        share = None
        if isinstance(progress, (int, float)) and isinstance(total, (int, float)) and total:
            share = float(progress) / float(total)
        await on_progress(find_text(params, "message") or "", share)


def _answer(result: JsonObject) -> InsideAnswer:
    content = result.get("content")
    texts = [find_text(block, "text") for block in content] if isinstance(content, list) else []
    text = "\n".join(each for each in texts if each is not None)
    if not text and result.get("structuredContent") is not None:
        import orjson

        text = orjson.dumps(result["structuredContent"]).decode()
    return InsideAnswer(text, result.get("isError") is True)


def _failed(group: BaseExceptionGroup[RpcError]) -> PloinkyError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return PloinkyError("TOOL_CALL_FAILED", str(error))
