"""What one agent's programs offer, run through its launcher: one ``ToolHost`` per configuration.

Arguments are checked, a program is started and handed one JSON line, and what it writes becomes an answer.
Knows no MCP message and no task: ``answers`` and ``tasks`` speak of those.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import anyio
import orjson

from ploinky.base.errors import DeadlineError, NotFoundError, PloinkyError, UsageError
from ploinky.base.jsontypes import JsonObject
from ploinky.base.redaction import Redactor
from ploinky.channel.program import Program
from ploinky.mcp.traces import Trace
from ploinky.toolhost.express import ExpressLane
from ploinky.toolhost.listener import DEAF, Listener
from ploinky.toolhost.place import ToolPlace
from ploinky.toolhost.prompts import Prompt, prompt_of, static_prompt
from ploinky.toolhost.results import (
    Ended,
    ProgramError,
    ToolResult,
    failure,
    failure_of,
    masked,
    masked_error,
    text_of,
    tool_result,
)
from ploinky.toolhost.runs import NOT_STARTED, GetChannel, Run, Runner, start_kept
from ploinky.toolhost.schemas import ArgumentCheck, fault_text
from ploinky.toolhost.specs import (
    Completion,
    ProgramSpec,
    PromptSpec,
    ResourceSpec,
    ToolConfig,
    ToolMode,
    ToolSpec,
)
from ploinky.toolhost.variables import argument_variables
from ploinky.toolhost.workers import WorkerPool

__all__ = ["CallMeta", "Contents", "ToolHost", "ToolPlace"]

MAX_PROGRAMS = 64
MAX_RESOURCE_BYTES = 8 * 1024 * 1024
MOST_COMPLETIONS = 100
_TEXTUAL = ("text/", "application/json", "application/xml", "application/yaml", "application/javascript")


@dataclass(frozen=True)
class CallMeta:
    """What a program may know about its call; never a token. ``client`` is what the client can be asked,
    ``trace`` the span that it works for."""

    request_id: str | int
    session_id: str | None
    caller: str
    task_id: str | None = None
    client: tuple[str, ...] = ()
    trace: Trace | None = None

    def variables(self, arguments: JsonObject) -> dict[str, str]:
        """The environment of a program that runs once, beside the agent's own."""
        found = argument_variables(arguments)
        return found if self.trace is None else {**found, **self.trace.variables}


@dataclass(frozen=True)
class Contents:
    """What a resource holds: a text, or else bytes in base64."""

    uri: str
    mime_type: str | None
    text: str | None
    blob: str | None


@dataclass(frozen=True, slots=True)
class Express:
    """A call that is ready to be made: ``lane.call(line, ...)``, and what its end means."""

    lane: ExpressLane
    line: bytes
    result: Callable[[Ended], ToolResult]


class ToolHost:
    """Tools, resources and prompts. ``channel`` gives the agent's present connection, made if need be."""

    def __init__(self, place: ToolPlace, channel: GetChannel, config: ToolConfig) -> None:
        self.config = config
        self._place = place
        self._channel = channel
        self._runner = Runner(place, channel)
        self._tools = {tool.name: tool for tool in config.tools}
        self._inputs = {tool.name: ArgumentCheck(tool.input_schema) for tool in config.tools}
        self._outputs = {
            tool.name: ArgumentCheck(tool.output_schema)
            for tool in config.tools
            if tool.output_schema is not None
        }
        self._pools = _pools(config.tools)
        self._lanes: dict[str, ExpressLane] = {}
        self._mask = Redactor()  # of the environment that kept programs were found to have
        self._programs = anyio.CapacityLimiter(MAX_PROGRAMS)
        self._tasks = anyio.CapacityLimiter(config.max_parallel_tasks)

    @property
    def tools(self) -> tuple[ToolSpec, ...]:
        """In the order of the file."""
        return self.config.tools

    def find_tool(self, name: str) -> ToolSpec | None:
        return self._tools.get(name)

    def refusal(self, name: str, arguments: JsonObject) -> ToolResult | None:
        """What is wrong with the arguments of a tool, or None if nothing is; starts nothing.

        Raises:
            NotFoundError: ``TOOL_NOT_FOUND``.
        """
        if name not in self._tools:
            raise NotFoundError("TOOL_NOT_FOUND", f"Agent {self._place.agent!r} has no tool {name!r}.")
        faults = self._inputs[name].faults(arguments)
        return failure(f"Wrong arguments for {name!r}: {fault_text(faults)}") if faults else None

    async def call(
        self, name: str, arguments: JsonObject, meta: CallMeta, listener: Listener = DEAF
    ) -> ToolResult:
        """Run one tool to its end. Wrong arguments, a failing program and a limit are answers, not errors.

        Cancelling ends the program's group.

        Raises:
            NotFoundError: ``TOOL_NOT_FOUND``.
            ProgramError: the program says so.
            PloinkyError: ``CHANNEL_UNREACHABLE`` or ``CHANNEL_LOST``, if the agent is or went away.
        """
        refused = self.refusal(name, arguments)
        if refused is not None:
            return refused
        tool = self._tools[name]
        slots = self._tasks if tool.is_async else self._programs
        try:
            with anyio.fail_after(tool.limit_s):
                await slots.acquire()
        except TimeoutError:
            return failure(f"Tool {name!r} waited {tool.limit_s:g} s for other calls of its agent to end.")
        try:
            return await self._call(tool, arguments, meta, listener)
        finally:
            slots.release()

    async def _call(
        self, tool: ToolSpec, arguments: JsonObject, meta: CallMeta, listener: Listener
    ) -> ToolResult:
        pool = self._pools.get(tool.name)
        began = time.monotonic()
        line = self._line({"tool": tool.name, "input": arguments}, meta)
        variables = meta.variables(arguments) if pool is None else {}
        try:
            ended = await self._runner.run(Run(tool.program, line, variables, listener, pool))
        except DeadlineError:
            return failure(f"Tool {tool.name!r} did not answer within {tool.limit_s:g} s; it was given up.")
        except PloinkyError as error:
            if error.code in NOT_STARTED:
                return failure(f"Tool {tool.name!r} cannot be started: {error.message}")
            raise
        if tool.name in self._lanes:
            self._mask = await self._place.redactor()
            self._lanes[tool.name].open(began)
        try:
            result = tool_result(tool, self._outputs.get(tool.name), ended)
        except ProgramError as error:
            raise masked_error(error, await self._place.redactor()) from None
        return masked(result, await self._place.redactor()) if result.is_error else result

    def express(self, name: str, arguments: JsonObject, meta: CallMeta) -> Express | None:
        """A call of a kept program without a task of its own, if it can be had now; see ``express``."""
        tool, lane = self._tools.get(name), self._lanes.get(name)
        if tool is None or lane is None or not lane.is_open(time.monotonic()):
            return None
        if self._inputs[name].faults(arguments):
            return None
        line = self._line({"tool": name, "input": arguments}, meta)
        return Express(lane, line, lambda ended: self._express_result(tool, ended))

    def _express_result(self, tool: ToolSpec, ended: Ended) -> ToolResult:
        try:
            return masked(tool_result(tool, self._outputs.get(tool.name), ended), self._mask)
        except ProgramError as error:
            raise masked_error(error, self._mask) from None

    def allow_express(self, end: Callable[[Program], None], on_updated: Callable[[str], None]) -> None:
        """Let calls of kept programs go without tasks; ``end`` ends a process without waiting for it."""
        self._lanes = {
            name: ExpressLane(pool, self._tools[name].limit_s, end, on_updated)
            for name, pool in self._pools.items()
            if _goes_express(self._tools[name])
        }

    async def read(self, uri: str, meta: CallMeta, listener: Listener = DEAF) -> Contents:
        """What the resource ``uri`` holds.

        Raises:
            NotFoundError: ``RESOURCE_NOT_FOUND``.
            ProgramError: the program says so. PloinkyError: ``RESOURCE_FAILED``, or as ``call``.
        """
        resource, values = self._require_resource(uri)
        if resource.text is not None:
            return Contents(uri, resource.mime_type or "text/plain", resource.text, None)
        if resource.file is not None:
            return _contents(uri, resource, await self._file(uri, resource.file))
        assert resource.program is not None
        arguments: JsonObject = {**values}
        line = self._line({"resource": resource.name, "uri": uri, "input": arguments}, meta)
        variables = meta.variables({**arguments, "uri": uri})
        run = Run(resource.program, line, variables, listener)
        ended = await self._run(run, f"Resource {uri!r}", "RESOURCE_FAILED")
        return _contents(uri, resource, ended.stdout)

    async def prompt(
        self, name: str, arguments: Mapping[str, str], meta: CallMeta, listener: Listener = DEAF
    ) -> Prompt:
        """The messages of a prompt.

        Raises:
            NotFoundError: ``PROMPT_NOT_FOUND``. UsageError: ``PROMPT_ARGUMENTS``.
            ProgramError: the program says so. PloinkyError: ``PROMPT_FAILED``, or as ``call``.
        """
        spec = self._require_prompt(name)
        missing = [each.name for each in spec.arguments if each.required and each.name not in arguments]
        if missing:
            raise UsageError("PROMPT_ARGUMENTS", f"Prompt {name!r} needs {', '.join(missing)}.")
        if spec.program is None:
            return static_prompt(spec, arguments)
        given: JsonObject = {**arguments}
        line = self._line({"prompt": name, "input": given}, meta)
        run = Run(spec.program, line, meta.variables(given), listener)
        return prompt_of(spec, (await self._run(run, f"Prompt {name!r}", "PROMPT_FAILED")).stdout)

    def find_completion(self, kind: str, name: str, argument: str) -> Completion | None:
        """What completes an argument of a prompt, or of the template ``name``.

        Raises:
            NotFoundError: there is no such prompt or template.
        """
        if kind == "ref/prompt":
            found = {each.name: each.completion for each in self._require_prompt(name).arguments}
            return found.get(argument)
        for resource in self.config.resources:
            if name in (resource.uri, resource.template.text if resource.template else None):
                return resource.completions.get(argument)
        raise NotFoundError("RESOURCE_NOT_FOUND", f"There is no resource template {name!r}.")

    async def complete(
        self, completion: Completion, argument: str, value: str, context: Mapping[str, str], meta: CallMeta
    ) -> list[str]:
        """Values that begin with ``value``, ignoring case; a program is given what was typed so far.

        Raises:
            PloinkyError: ``COMPLETION_FAILED``, or as ``call``.
        """
        candidates: Iterable[str] = completion.values
        if completion.program is not None:
            asked: JsonObject = {"name": argument, "value": value, "context": {**context}}
            line = self._line({"complete": asked, "input": {**context, argument: value}}, meta)
            run = Run(completion.program, line, meta.variables({**context, argument: value}), DEAF)
            ended = await self._run(run, "The completion", "COMPLETION_FAILED")
            candidates = text_of(ended.stdout).splitlines()
        return [each for each in candidates if each.lower().startswith(value.lower())]

    async def close(self) -> None:
        """End the programs that are kept."""
        for pool in self._pools.values():
            await pool.close()

    async def _run(self, run: Run, subject: str, code: str) -> Ended:
        """Run a program that is no tool: what fails is an error."""
        try:
            async with self._programs:
                ended = await self._runner.run(run)
        except PloinkyError as error:
            if error.code in NOT_STARTED:
                raise PloinkyError(code, f"{subject} cannot be had: {error.message}") from error
            raise
        failed = failure_of(ended, subject, run.spec.limit_s)
        if failed is not None:
            raise PloinkyError(code, failed)
        return ended

    async def _file(self, uri: str, path: str) -> bytes:
        channel = await self._channel()
        inside = path if path.startswith("/") else f"{self._place.code_path}/{path}"
        file = await channel.read_file(inside, MAX_RESOURCE_BYTES)
        if file is None:
            raise PloinkyError("RESOURCE_FAILED", f"Resource {uri!r} has no file at {inside}.")
        if file.truncated:
            raise PloinkyError(
                "RESOURCE_FAILED", f"Resource {uri!r} has more than {MAX_RESOURCE_BYTES} bytes."
            )
        return file.data

    def _require_resource(self, uri: str) -> tuple[ResourceSpec, dict[str, str]]:
        for resource in self.config.resources:
            if resource.uri == uri:
                return resource, {}
        for resource in self.config.resources:
            values = resource.template.match(uri) if resource.template is not None else None
            if values is not None:
                return resource, values
        raise NotFoundError("RESOURCE_NOT_FOUND", f"Resource not found: {uri}")

    def _require_prompt(self, name: str) -> PromptSpec:
        for prompt in self.config.prompts:
            if prompt.name == name:
                return prompt
        raise NotFoundError("PROMPT_NOT_FOUND", f"Unknown prompt: {name}")

    def _line(self, subject: JsonObject, meta: CallMeta) -> bytes:
        metadata: JsonObject = {
            "agent": self._place.agent,
            "requestId": meta.request_id,
            "sessionId": meta.session_id,
            "caller": meta.caller,
        }
        if meta.task_id is not None:
            metadata["taskId"] = meta.task_id
        if meta.client:
            metadata["client"] = list(meta.client)
        if meta.trace is not None:
            metadata.update(meta.trace.words)
        return orjson.dumps({**subject, "metadata": metadata}) + b"\n"


def _goes_express(tool: ToolSpec) -> bool:
    return not (tool.is_async or tool.program.asks or tool.requires)


def _pools(tools: Iterable[ToolSpec]) -> dict[str, WorkerPool]:
    """Tools of the same program share its processes."""
    shared: dict[ProgramSpec, WorkerPool] = {}
    found = {}
    for tool in tools:
        if tool.mode is ToolMode.PERSISTENT:
            if tool.program not in shared:
                shared[tool.program] = WorkerPool(start_kept, tool.workers)
            found[tool.name] = shared[tool.program]
    return found


def _contents(uri: str, resource: ResourceSpec, data: bytes) -> Contents:
    """Bytes are text if the media type says so, or says nothing and they can be."""
    mime_type = resource.mime_type
    if mime_type is None or mime_type.startswith(_TEXTUAL) or mime_type.endswith(("+json", "+xml")):
        try:
            return Contents(uri, mime_type or "text/plain", data.decode().removesuffix("\n"), None)
        except UnicodeDecodeError:
            mime_type = mime_type or "application/octet-stream"
    return Contents(uri, mime_type, None, base64.b64encode(data).decode())
