"""Programs as tools: one ``ToolHost`` runs the tools of one agent through its launcher.

A call checks the arguments, starts the program, hands it one JSON line and makes an answer of what it
writes. Knows no MCP message: names, sessions and notifications are the router's. Async tools run to their
end here too, within their own limit.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import anyio
import orjson

from ploinky.base.errors import NotFoundError, PloinkyError
from ploinky.base.jsontypes import JsonObject
from ploinky.channel.client import Channel
from ploinky.channel.model import SpawnRequest
from ploinky.channel.program import Program
from ploinky.toolhost.config import ToolConfig, ToolMode, ToolSpec
from ploinky.toolhost.output import OnProgress, OutputReader
from ploinky.toolhost.results import Ended, ToolResult, failure, tool_result
from ploinky.toolhost.schemas import ArgumentCheck, fault_text
from ploinky.toolhost.variables import argument_variables
from ploinky.toolhost.workers import Worker

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MAX_OUTPUT_BYTES = 8 * 1024 * 1024
MAX_PROGRAMS = 64
_LIMIT_SLACK_S = 5.0
_NOT_STARTED = frozenset(
    {"PROGRAM_NOT_FOUND", "PROGRAM_NOT_EXECUTABLE", "PROGRAM_BAD_CWD", "PROGRAM_NOT_STARTED"}
)


@dataclass(frozen=True)
class ToolPlace:
    """The agent that tools run in: its key, its paths inside, and how to get its environment."""

    agent: str
    environment: Callable[[], Awaitable[Mapping[str, str]]]
    code_path: str = "/code"
    workspace_path: str = "/code"


@dataclass(frozen=True)
class CallMeta:
    """What a program may know about its call; never a token."""

    request_id: str | int
    session_id: str | None
    caller: str
    task_id: str | None = None


class ToolHost:
    """The tools of one configuration. ``channel`` gives the agent's present connection, made if need be."""

    def __init__(
        self, place: ToolPlace, channel: Callable[[], Awaitable[Channel]], config: ToolConfig
    ) -> None:
        self._place = place
        self._channel = channel
        self._tools = {tool.name: tool for tool in config.tools}
        self._inputs = {tool.name: ArgumentCheck(tool.input_schema) for tool in config.tools}
        self._outputs = {
            tool.name: ArgumentCheck(tool.output_schema)
            for tool in config.tools
            if tool.output_schema is not None
        }
        self._workers = {
            tool.name: Worker(_start_kept) for tool in config.tools if tool.mode is ToolMode.PERSISTENT
        }
        self._programs = anyio.CapacityLimiter(MAX_PROGRAMS)
        self._tasks = anyio.CapacityLimiter(config.max_parallel_tasks)

    @property
    def tools(self) -> tuple[ToolSpec, ...]:
        """In the order of the file."""
        return tuple(self._tools.values())

    async def call(
        self, name: str, arguments: JsonObject, meta: CallMeta, on_progress: OnProgress | None = None
    ) -> ToolResult:
        """Run one tool to its end. Wrong arguments, a failing program and a limit are answers, not errors.

        Cancelling ends the program's group.

        Raises:
            NotFoundError: ``TOOL_NOT_FOUND``.
            PloinkyError: ``CHANNEL_UNREACHABLE`` or ``CHANNEL_LOST``, if the agent is or went away.
        """
        tool = self._tools.get(name)
        if tool is None:
            raise NotFoundError("TOOL_NOT_FOUND", f"Agent {self._place.agent!r} has no tool {name!r}.")
        faults = self._inputs[name].faults(arguments)
        if faults:
            return failure(f"Wrong arguments for {name!r}: {fault_text(faults)}")
        slots = self._tasks if tool.is_async else self._programs
        try:
            with anyio.fail_after(tool.limit_s):
                await slots.acquire()
        except TimeoutError:
            return failure(f"Tool {name!r} waited {tool.limit_s:g} s for other calls of its agent to end.")
        try:
            return await self._run(tool, arguments, meta, OutputReader(on_progress))
        finally:
            slots.release()

    async def close(self) -> None:
        """End the programs that are kept."""
        for worker in self._workers.values():
            await worker.close()

    async def _run(
        self, tool: ToolSpec, arguments: JsonObject, meta: CallMeta, output: OutputReader
    ) -> ToolResult:
        kept = tool.name in self._workers
        variables = {**await self._place.environment(), **({} if kept else argument_variables(arguments))}
        request = spawn_request(tool, self._place, variables)
        line = _input_line(tool, arguments, meta, self._place.agent)
        channel = await self._channel()
        # The launcher ends a program that runs once; this deadline is for a launcher that does not.
        slack_s = 0.0 if kept else request.grace_s + _LIMIT_SLACK_S
        try:
            with anyio.fail_after(tool.limit_s + slack_s):
                ended = await self._end_of(tool, channel, request, line, output)
        except TimeoutError:
            return failure(f"Tool {tool.name!r} did not answer within {tool.limit_s:g} s; it was given up.")
        except PloinkyError as error:
            if error.code in _NOT_STARTED:
                return failure(f"Tool {tool.name!r} cannot be started: {error.message}")
            raise
        return tool_result(tool, self._outputs.get(tool.name), ended)

    async def _end_of(
        self, tool: ToolSpec, channel: Channel, request: SpawnRequest, line: bytes, output: OutputReader
    ) -> Ended:
        """Run it; a bare word that is no file of the agent's code is looked up in PATH."""
        worker = self._workers.get(tool.name)
        run = _run_once if worker is None else worker.ask
        try:
            return await run(channel, request, line, output)
        except PloinkyError as error:
            if error.code != "PROGRAM_NOT_FOUND" or "/" in tool.command:
                raise
        return await run(channel, replace(request, argv=(tool.command, *tool.args)), line, output)


async def _run_once(channel: Channel, request: SpawnRequest, line: bytes, output: OutputReader) -> Ended:
    finished = await channel.run(request, stdin=line, on_output=output.take)
    return Ended(finished.exit, bytes(output.stdout), output.stderr.text)


async def _start_kept(channel: Channel, request: SpawnRequest) -> Program:
    return await channel.spawn(replace(request, timeout_s=None, max_output=None))


def spawn_request(tool: ToolSpec, place: ToolPlace, environment: Mapping[str, str]) -> SpawnRequest:
    """How to start ``tool``: a relative command or folder is taken from the agent's code."""
    env = {"PATH": DEFAULT_PATH, **environment, **dict(tool.env)}
    if tool.cwd == "workspace":
        cwd = place.workspace_path
    else:
        cwd = str(PurePosixPath(place.code_path, tool.cwd or ""))
    return SpawnRequest(
        argv=(str(PurePosixPath(place.code_path, tool.command)), *tool.args),
        env=tuple(env.items()),
        cwd=cwd,
        timeout_s=tool.limit_s,
        max_output=MAX_OUTPUT_BYTES,
    )


def _input_line(tool: ToolSpec, arguments: JsonObject, meta: CallMeta, agent: str) -> bytes:
    metadata: JsonObject = {
        "agent": agent,
        "requestId": meta.request_id,
        "sessionId": meta.session_id,
        "caller": meta.caller,
    }
    if meta.task_id is not None:
        metadata["taskId"] = meta.task_id
    return orjson.dumps({"tool": tool.name, "input": arguments, "metadata": metadata}) + b"\n"
