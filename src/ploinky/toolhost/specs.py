"""What a configuration offers, as values: programs and how to start them, tools, resources, prompts.

Knows neither the file's keys nor MCP's messages. ``config`` makes these from ``mcp-config.json``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from ploinky.base.jsontypes import JsonObject
from ploinky.toolhost.templates import UriTemplate

DEFAULT_LIMIT_S = 120.0
DEFAULT_ASYNC_LIMIT_S = 600.0
DEFAULT_PARALLEL_TASKS = 10
DEFAULT_LOG_TAIL_BYTES = 64 * 1024


class ToolMode(StrEnum):
    """``CALL`` starts the program for every call; ``PERSISTENT`` keeps one that answers line by line."""

    CALL = "call"
    PERSISTENT = "persistent"


class AsyncMode(StrEnum):
    """``NO``: a call runs to its end. ``YES``: it is a task for clients that know tasks, others wait for
    its end. ``REQUIRED``: other clients are refused."""

    NO = "no"
    YES = "yes"
    REQUIRED = "required"


@dataclass(frozen=True)
class ProgramSpec:
    """How a program is started. ``asks`` are the capabilities of a client (``elicitation``, ``sampling``,
    ``roots``) that it may make use of while it runs; its input then stays open for the answers."""

    command: str
    args: tuple[str, ...] = ()
    cwd: str | None = None
    env: tuple[tuple[str, str], ...] = ()
    limit_s: float = DEFAULT_LIMIT_S
    asks: frozenset[str] = frozenset()


@dataclass(frozen=True)
class ToolSpec:
    """One tool. ``output`` is ``text``, ``content`` (MCP's content blocks as JSON) or the media type of
    the image or sound that stdout is. ``workers`` processes are kept if it is persistent. A client must
    have the capabilities in ``requires``."""

    name: str
    program: ProgramSpec
    mode: ToolMode
    workers: int
    async_mode: AsyncMode
    output: str
    requires: frozenset[str]
    title: str | None
    description: str | None
    annotations: JsonObject | None
    input_schema: JsonObject
    output_schema: JsonObject | None

    @property
    def is_async(self) -> bool:
        return self.async_mode is not AsyncMode.NO

    @property
    def limit_s(self) -> float:
        """The time limit of a call, for an async tool that of the whole task."""
        return self.program.limit_s


@dataclass(frozen=True)
class Completion:
    """What completes one argument: fixed values, or a program that prints one value a line."""

    values: tuple[str, ...] = ()
    program: ProgramSpec | None = None


@dataclass(frozen=True)
class ResourceSpec:
    """One resource by ``uri``, or a family of them by ``template``: a program's output, a file of the
    agent, or a fixed text."""

    name: str
    uri: str | None
    template: UriTemplate | None
    program: ProgramSpec | None
    file: str | None
    text: str | None
    title: str | None
    description: str | None
    mime_type: str | None
    completions: dict[str, Completion] = field(default_factory=dict)


@dataclass(frozen=True)
class PromptMessage:
    """One message: a text with ``{{argument}}`` in it, or a content block as MCP has it."""

    role: str
    content: str | JsonObject


@dataclass(frozen=True)
class PromptArgument:
    name: str
    title: str | None = None
    description: str | None = None
    required: bool = False
    completion: Completion | None = None


@dataclass(frozen=True)
class PromptSpec:
    """One prompt: static messages, or a program that writes them."""

    name: str
    title: str | None
    description: str | None
    arguments: tuple[PromptArgument, ...]
    messages: tuple[PromptMessage, ...]
    program: ProgramSpec | None


@dataclass(frozen=True)
class ToolConfig:
    """A whole configuration; ``warnings`` are sentences about what was ignored."""

    tools: tuple[ToolSpec, ...] = ()
    resources: tuple[ResourceSpec, ...] = ()
    prompts: tuple[PromptSpec, ...] = ()
    max_parallel_tasks: int = DEFAULT_PARALLEL_TASKS
    task_log_tail_bytes: int = DEFAULT_LOG_TAIL_BYTES
    warnings: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.tools or self.resources or self.prompts)
