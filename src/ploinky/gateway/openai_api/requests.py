"""What a client may ask of ``/v1/chat/completions``, read from its body.

Fields that change how a model speaks (temperature and the like) are the assistant's to decide and are taken
without effect. What would change what an answer is, and cannot be done, is refused by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from ploinky.base.errors import UsageError

MOST_MESSAGES = 2000


@dataclass(frozen=True)
class Said:
    """One message of the conversation; ``role`` is ``user`` or ``assistant``."""

    role: str
    text: str


@dataclass(frozen=True)
class ChatRequest:
    """``said`` ends with what the person says now, in one or more messages; ``assistant`` is who is asked."""

    assistant: str
    said: tuple[Said, ...]
    stream: bool
    include_usage: bool


class _Open(BaseModel):
    """Unknown fields are taken: clients of many makers send what they know."""

    model_config = ConfigDict(extra="allow", frozen=True)


class _Part(_Open):
    type: str
    text: str | None = None


class _Message(_Open):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[_Part] | None = None
    tool_calls: list[JsonValue] | None = None


class _StreamOptions(_Open):
    include_usage: bool = False


class _Format(_Open):
    type: str


class _Body(_Open):
    model: str
    messages: Annotated[list[_Message], Field(min_length=1, max_length=MOST_MESSAGES)]
    stream: bool = False
    stream_options: _StreamOptions | None = None
    n: int | None = None
    tools: list[JsonValue] | None = None
    functions: list[JsonValue] | None = None
    response_format: _Format | None = None


def read_chat(body: bytes) -> ChatRequest:
    """Read a request.

    Raises:
        UsageError: ``BAD_REQUEST``; ``details.field`` names what is wrong.
    """
    try:
        asked = _Body.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        field = ".".join(str(step) for step in first["loc"]) or "body"
        raise _refused(field, f"{field}: {first['msg']}") from None
    _refuse_what_cannot_be(asked)
    usage = asked.stream_options is not None and asked.stream_options.include_usage
    return ChatRequest(asked.model, _conversation(asked.messages), asked.stream, usage)


def _refuse_what_cannot_be(asked: _Body) -> None:
    if asked.n is not None and asked.n != 1:
        raise _refused("n", "An assistant gives one answer; n must be 1.")
    if asked.tools or asked.functions:
        raise _refused("tools", "An assistant uses the tools of its workspace; it takes none from clients.")
    if asked.response_format is not None and asked.response_format.type != "text":
        raise _refused("response_format", "An assistant answers in text.")


def _conversation(messages: list[_Message]) -> tuple[Said, ...]:
    """The messages of person and assistant; a client's instructions go before what the person says next."""
    said: list[Said] = []
    instructions: list[str] = []
    for index, message in enumerate(messages):
        text = _text(message, index)
        if message.role in ("system", "developer"):
            instructions.append(text)
        elif message.role in ("tool", "function") or message.tool_calls:
            raise _refused(f"messages.{index}", "An assistant keeps its own tool calls; it takes none.")
        elif message.role == "user" and instructions:
            told = "\n\n".join(instructions)
            said.append(Said("user", f"[Instructions of the client]\n{told}\n\n{text}"))
            instructions = []
        else:
            said.append(Said(message.role, text))
    if not said or said[-1].role != "user":
        raise _refused("messages", "The last message must be the user's.")
    return tuple(said)


def _text(message: _Message, index: int) -> str:
    if message.content is None or isinstance(message.content, str):
        return message.content or ""
    for number, part in enumerate(message.content):
        if part.type not in ("text", "input_text") or part.text is None:
            field = f"messages.{index}.content.{number}"
            raise _refused(field, "An assistant reads text only here.")
    return "".join(part.text or "" for part in message.content)


def _refused(field: str, message: str) -> UsageError:
    return UsageError("BAD_REQUEST", message, details={"field": field})
