"""How many tokens a text will take, guessed without the model's own tokenizer, and how to cut to a number.

One token per three and a half bytes of UTF-8: more than most models take of prose, so that what fits here
fits there. The guess is shown to people as such.
"""

from __future__ import annotations

import orjson

from ploinky.assistants.ids import canonical
from ploinky.base.jsontypes import JsonObject
from ploinky.providers.protocol import AssistantMessage, Message, Tool, ToolMessage, UserMessage

_BYTES_PER_TOKEN = 3.5
_PER_MESSAGE = 6
_PER_IMAGE = 1200
CUT_MARK = "\n[… cut: {cut} of {whole} characters left out …]\n"


def count_text(text: str) -> int:
    """Tokens of a text, rounded up."""
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return -int(-size // _BYTES_PER_TOKEN)


def count_message(message: Message) -> int:
    """Tokens of a message with what goes around it."""
    total = _PER_MESSAGE + count_text(message.text)
    if isinstance(message, AssistantMessage):
        total += sum(count_text(call.name) + count_json(call.arguments) + 8 for call in message.tool_calls)
    if isinstance(message, ToolMessage):
        total += count_text(message.name)
    if isinstance(message, UserMessage):
        total += _PER_IMAGE * len(message.images)
    return total


def count_tool(tool: Tool) -> int:
    return 12 + count_text(tool.name) + count_text(tool.description) + count_json(tool.input_schema)


def count_json(value: JsonObject) -> int:
    """Tokens of an object as it is sent."""
    try:
        return -int(-len(orjson.dumps(value)) // _BYTES_PER_TOKEN)
    except TypeError:  # halves of characters, which orjson does not take
        return count_text(canonical(value))


def cut_text(text: str, tokens: int) -> str:
    """``text`` in at most about ``tokens`` tokens: beginning and end kept, the middle marked as cut."""
    if count_text(text) <= tokens:
        return text
    share = max(0.0, tokens - 24) / max(1, count_text(text))
    keep = int(len(text) * share)
    head, tail = keep * 2 // 3, keep - keep * 2 // 3
    mark = CUT_MARK.format(cut=len(text) - keep, whole=len(text))
    return text[:head] + mark + (text[-tail:] if tail else "")
