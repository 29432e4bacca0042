"""What callers and providers share: messages, tools, options, the events of a turn, and ``Provider``.

One turn is one call of a model: it ends with text or with tool calls that the caller runs before the next
turn. Everything here is frozen. To add an event, add it to ``TurnEvent``; callers ignore what they do not
know, so an event may inform, but never carry what an answer needs.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeAlias, runtime_checkable

from ploinky.base.jsontypes import JsonObject


@dataclass(frozen=True)
class Image:
    """A picture that goes with a message; ``media_type`` as in ``image/png``."""

    media_type: str
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Thinking:
    """What a model wrote before its answer. ``signature`` is the provider's own and goes back unchanged."""

    text: str
    signature: str | None = None


@dataclass(frozen=True)
class ToolCall:
    """A tool that the model wants to be called.

    ``malformed`` is what the model wrote where that is no JSON object; ``arguments`` is then empty, and the
    call must be answered with an error instead of being run.
    """

    id: str
    name: str
    arguments: JsonObject
    malformed: str | None = None


@dataclass(frozen=True)
class SystemMessage:
    text: str


@dataclass(frozen=True)
class UserMessage:
    text: str
    images: tuple[Image, ...] = ()


@dataclass(frozen=True)
class AssistantMessage:
    """What a model said. ``thinking`` matters only to the provider that made it."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    thinking: tuple[Thinking, ...] = ()


@dataclass(frozen=True)
class ToolMessage:
    """The result of the call ``call_id``; every call needs one before the next turn.

    ``plain`` is the text as a person is shown it, without marks for models; None: it has none.
    """

    call_id: str
    name: str
    text: str
    is_error: bool = False
    plain: str | None = None


Message: TypeAlias = SystemMessage | UserMessage | AssistantMessage | ToolMessage


@dataclass(frozen=True)
class Tool:
    """A tool on offer. Names may have dots and any length: a provider maps them to what its wire allows."""

    name: str
    description: str
    input_schema: JsonObject


@dataclass(frozen=True)
class PermissionRequest:
    """A provider that runs tools of its own asks whether it may run this one.

    ``arguments`` are those of the tool where the provider tells them, ``kind`` is the provider's word for
    what it does (``read``, ``edit``, ``execute``, ...).
    """

    call_id: str
    title: str
    kind: str
    arguments: JsonObject


PermissionAnswer: TypeAlias = Callable[[PermissionRequest], Awaitable[bool]]


class ToolChoice(StrEnum):
    """Whether the model may, must or must not call a tool."""

    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"


@dataclass(frozen=True)
class TurnOptions:
    """How one turn shall run; None leaves a value to the configuration of the model.

    ``model`` overrides the provider's own name of the model. ``context_tokens`` is the budget that the
    messages were made for, and the window that a local server is asked to open. ``deadline_s`` bounds the
    whole turn, ``idle_timeout_s`` each silence of the server. ``retry_budget_s`` bounds the pauses before
    repeated attempts, all together; 0 means one attempt. ``session`` names the conversation for providers
    that keep one. ``permit`` answers for the provider's own tools; without it every request is denied.
    """

    model: str | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    context_tokens: int | None = None
    deadline_s: float | None = None
    idle_timeout_s: float | None = None
    retry_budget_s: float | None = None
    tool_choice: ToolChoice = ToolChoice.AUTO
    stop: tuple[str, ...] = ()
    session: str | None = None
    permit: PermissionAnswer | None = field(default=None, repr=False)


@dataclass(frozen=True)
class TextDelta:
    """The next piece of the answer; the pieces joined are the answer, byte for byte."""

    text: str


@dataclass(frozen=True)
class ThinkingDelta:
    """The next piece of what the model thinks; no part of the answer."""

    text: str


@dataclass(frozen=True)
class ThinkingDone:
    """One whole block of thinking, to be kept in the ``AssistantMessage``."""

    thinking: Thinking


@dataclass(frozen=True)
class ToolCallDone:
    """One complete call; several may come in one turn, each with an id of its own."""

    call: ToolCall


@dataclass(frozen=True)
class ProviderTool:
    """News of a tool that the provider runs by itself (a coding agent's own); it needs no answer.

    ``status`` is ``started``, ``completed`` or ``failed``.
    """

    call_id: str
    title: str
    status: str
    detail: str = ""


@dataclass(frozen=True)
class Retrying:
    """An attempt failed before it said anything; the next begins after ``pause_s``."""

    attempt: int
    pause_s: float
    code: str


@dataclass(frozen=True)
class FallingBack:
    """The model ``failed`` (an id of the configuration) said nothing and failed; ``then`` is asked now."""

    failed: str
    code: str
    then: str


@dataclass(frozen=True)
class Usage:
    """What the turn took, told once. ``input_tokens`` includes the cached ones."""

    input_tokens: int
    output_tokens: int
    cached_input_tokens: int = 0
    cost: float | None = None
    currency: str | None = None


class StopReason(StrEnum):
    """Why the model stopped."""

    END = "end"
    TOOL_CALLS = "tool_calls"
    MAX_TOKENS = "max_tokens"
    STOP_SEQUENCE = "stop_sequence"
    REFUSED = "refused"


@dataclass(frozen=True)
class Served:
    """Who answered: the id in the configuration, the provider, and the provider's own name of the model."""

    model_id: str
    provider: str
    model: str


@dataclass(frozen=True)
class Done:
    """The last event of a turn that succeeded; a turn without it failed."""

    reason: StopReason
    served: Served


TurnEvent: TypeAlias = (
    TextDelta
    | ThinkingDelta
    | ThinkingDone
    | ToolCallDone
    | ProviderTool
    | Retrying
    | FallingBack
    | Usage
    | Done
)


@dataclass(frozen=True)
class ModelInfo:
    """What is known of one model; None where the provider does not say."""

    name: str
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    tools: bool | None = None
    images: bool | None = None
    thinking: bool | None = None
    size_bytes: int | None = None
    description: str = ""


@runtime_checkable
class Provider(Protocol):
    """One configured model, or a program that acts as one. Safe for many turns at once.

    Every failure is a ``ProviderError`` (``providers.errors``), and none leaves a request, a connection or
    a process behind. Credentials are asked for when a request is built, and appear in no error and no repr.
    """

    def stream_turn(
        self, messages: Sequence[Message], tools: Sequence[Tool], options: TurnOptions
    ) -> AsyncGenerator[TurnEvent, None]:
        """The events of one turn, ending with ``Done``.

        Cancelling the task that waits for an event cancels the request; a caller that stops earlier closes
        the generator (``contextlib.aclosing``), which does the same. ``Usage``, where known, comes before
        ``Done``. ``Retrying`` comes only before the first delta.

        Raises:
            ProviderError: any failure; what was yielded before it stands.
        """
        ...

    async def list_models(self) -> tuple[ModelInfo, ...]:
        """The models that the provider offers, in its own order; names suit ``TurnOptions.model``."""
        ...

    async def model_info(self, name: str | None = None) -> ModelInfo:
        """What is known of one model; without a name, of the configured one.

        Raises:
            ProviderError: ``MODEL_NOT_FOUND`` if the provider says that there is no such model.
        """
        ...

    async def aclose(self) -> None:
        """End connections and processes; turns that still run fail. May be called twice."""
        ...


@dataclass(frozen=True)
class PullProgress:
    """News of a download; both sizes are bytes, 0 where the server does not say."""

    status: str
    completed_bytes: int = 0
    total_bytes: int = 0


@runtime_checkable
class Pulls(Protocol):
    """A provider that can fetch a model onto its server."""

    def pull(self, name: str) -> AsyncGenerator[PullProgress, None]:
        """Fetch ``name``; ends when it is there.

        Raises:
            ProviderError: as in a turn.
        """
        ...
