"""Prompts: static messages with the arguments put in, or what a program wrote.

A program may write MCP's own ``{"messages": [...]}``, the list alone, or a text, which is one message of the
user.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonObject, JsonValue, find_text
from ploinky.toolhost.results import AnswerFormError, check_block, text_of
from ploinky.toolhost.specs import PromptMessage, PromptSpec

_PLACE = re.compile(r"\{\{\s*([\w.-]+)\s*\}\}")
_ROLES = ("user", "assistant")


@dataclass(frozen=True)
class Prompt:
    """The messages of a prompt as MCP has them."""

    description: str | None
    messages: tuple[JsonObject, ...]


def static_prompt(spec: PromptSpec, arguments: Mapping[str, str]) -> Prompt:
    """``{{name}}`` in any text of a message becomes that argument, or nothing if it was not given."""
    names = {argument.name for argument in spec.arguments}

    def filled(text: str) -> str:
        return _PLACE.sub(lambda found: arguments.get(found[1], "") if found[1] in names else found[0], text)

    def deep(value: JsonValue) -> JsonValue:
        if isinstance(value, str):
            return filled(value)
        if isinstance(value, dict):
            return {key: deep(inner) for key, inner in value.items()}
        return [deep(each) for each in value] if isinstance(value, list) else value

    def message(given: PromptMessage) -> JsonObject:
        content = given.content
        block: JsonValue = {"type": "text", "text": content} if isinstance(content, str) else content
        return {"role": given.role, "content": deep(block)}

    return Prompt(spec.description, tuple(message(each) for each in spec.messages))


def prompt_of(spec: PromptSpec, stdout: bytes) -> Prompt:
    """What a program wrote, as a prompt.

    Raises:
        PloinkyError: ``PROMPT_FAILED`` if it is JSON and no prompt.
    """
    try:
        value: JsonValue = orjson.loads(stdout)
    except orjson.JSONDecodeError:
        value = None
    messages = value.get("messages") if isinstance(value, dict) else value
    if not isinstance(messages, list):
        text: JsonObject = {"type": "text", "text": text_of(stdout)}
        return Prompt(spec.description, ({"role": "user", "content": text},))
    try:
        checked = tuple(_checked(each) for each in messages)
    except AnswerFormError as error:
        raise PloinkyError("PROMPT_FAILED", f"Prompt {spec.name!r} did not answer with {error}.") from error
    return Prompt(find_text(value, "description") or spec.description, checked)


def _checked(message: JsonValue) -> JsonObject:
    role = find_text(message, "role")
    if not isinstance(message, dict) or role not in _ROLES:
        raise AnswerFormError("messages of the user and the assistant")
    content = message.get("content")
    block: JsonValue = {"type": "text", "text": content} if isinstance(content, str) else content
    return {"role": role, "content": check_block(block)}
