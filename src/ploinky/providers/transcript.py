"""A conversation as one text, for programs that take a prompt instead of messages.

The last message of the user stands at the end, as itself; what was said before stands above it, marked.
"""

from __future__ import annotations

from collections.abc import Sequence

from ploinky.providers.protocol import (
    AssistantMessage,
    Message,
    SystemMessage,
    ToolMessage,
    UserMessage,
)


def as_prompt(messages: Sequence[Message]) -> str:
    """The whole conversation as a prompt."""
    instructions = "\n\n".join(each.text for each in messages if isinstance(each, SystemMessage))
    spoken = [each for each in messages if not isinstance(each, SystemMessage)]
    last = spoken[-1] if spoken and isinstance(spoken[-1], UserMessage) else None
    before = spoken[:-1] if last is not None else spoken
    parts: list[str] = []
    if instructions:
        parts.append(f"<instructions>\n{instructions}\n</instructions>")
    if before:
        told = "\n\n".join(_told(message) for message in before)
        parts.append(f"<conversation so far>\n{told}\n</conversation so far>")
    parts.append(last.text if last is not None else "Go on.")
    return "\n\n".join(parts)


def _told(message: Message) -> str:
    match message:
        case AssistantMessage(text):
            return f"You: {text}"
        case ToolMessage(_, name, text):
            return f"Result of {name}: {text}"
        case _:
            return f"User: {message.text}"
