"""What a tool of an assistant is: its description, its risk, its call; and where agents' tools come from.

Knows no tool and no approval. ``AgentTools`` is fulfilled by whoever owns the router.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from ploinky.assistants.runs import Run
from ploinky.base.jsontypes import JsonObject, JsonValue


class Risk(StrEnum):
    """What a call may do unasked: ``low`` goes ahead, everything else needs a grant or a person's word."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


Refuse = Callable[[JsonObject], Awaitable[str | None]]


@dataclass(frozen=True)
class ToolSpec:
    """A tool as a model sees it. ``agent`` is the agent that offers it, None for a built-in.

    ``outside``: its results are words of strangers. ``wary``: after such words were read in the same run, a
    call counts one risk higher. ``refuse``: says before anybody is asked why a call is never made.
    """

    name: str
    description: str
    input_schema: JsonObject
    risk: Risk = Risk.LOW
    agent: str | None = None
    outside: bool = False
    wary: bool = False
    refuse: Refuse | None = field(default=None, compare=False)


@dataclass(frozen=True)
class ToolOutcome:
    """What a call came to. ``outside`` None: as its tool says."""

    text: str
    is_error: bool = False
    outside: bool | None = None
    data: JsonObject = field(default_factory=dict)


OnProgress = Callable[[str, float | None], Awaitable[None]]


@dataclass(frozen=True)
class ToolUse:
    """Around one call: the run it belongs to, and whether strangers' words were read in it before.

    ``depth`` counts how many assistants have asked each other to get here.
    """

    run: Run
    on_progress: OnProgress
    tainted: bool = False
    depth: int = 0


Handler = Callable[[JsonObject, ToolUse], Awaitable[ToolOutcome]]
RequestCredential = Callable[[JsonObject, ToolUse], Awaitable[None]]
"""Asks the person for a key by ``kind``, ``owner``, ``name`` and ``why``; the value is never seen here."""


@dataclass(frozen=True)
class BuiltinTool:
    """A tool of the product's own. ``handler`` gets arguments that fit the schema."""

    spec: ToolSpec
    handler: Handler


@dataclass(frozen=True)
class AgentTool:
    """A tool of an agent. ``read_only``: the agent says that it changes nothing."""

    agent: str
    name: str
    description: str
    input_schema: JsonObject
    read_only: bool = False


class AgentTools(Protocol):
    """The agents' tools, as the router offers them to assistants."""

    def tools(self) -> Sequence[AgentTool]:
        """Every tool of every agent that is ready now."""
        ...

    async def call(
        self, agent: str, tool: str, arguments: JsonObject, *, caller: str, on_progress: OnProgress
    ) -> ToolOutcome:
        """Call a tool for the assistant ``caller``; cancelling ends the tool.

        Raises:
            PloinkyError: the agent is not ready, or went away.
        """
        ...


def schema(required: Sequence[str] = (), **properties: JsonValue) -> JsonObject:
    """A JSON Schema of an object with these properties and no others."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }


def text_field(about: str, **more: JsonValue) -> JsonObject:
    """The schema of a string."""
    return {"type": "string", "description": about, **more}
