"""``ask_assistant`` and ``request_credential``: what needs somebody else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from ploinky.assistants.toolkit import (
    BuiltinTool,
    RequestCredential,
    Risk,
    ToolOutcome,
    ToolSpec,
    ToolUse,
    schema,
    text_field,
)
from ploinky.base.jsontypes import JsonObject

DEEPEST = 3
AskOther = Callable[[str, str, str, int], Awaitable[str]]
"""(from, to, question, depth) -> answer. Raises PloinkyError."""


def make_ask_tool(own: str, others: Callable[[], Sequence[str]], ask: AskOther) -> BuiltinTool:
    """``ask_assistant``: a message to another assistant, which answers with what it knows and may."""

    async def ask_assistant(arguments: JsonObject, use: ToolUse) -> ToolOutcome:
        to, question = str(arguments["assistant"]), str(arguments["question"])
        names = [name for name in others() if name != own]
        if to not in names:
            return ToolOutcome(
                f"There is no such assistant. There are: {', '.join(names) or 'none'}.", is_error=True
            )
        if use.depth >= DEEPEST:
            return ToolOutcome("Assistants have asked each other too often; answer yourself.", is_error=True)
        return ToolOutcome(await ask(own, to, question, use.depth + 1), outside=True)

    spec = ToolSpec(
        "ask_assistant",
        "Ask another assistant of this workspace a question and wait for its answer.",
        schema(
            ["assistant", "question"],
            assistant=text_field("The other assistant's id.", maxLength=64),
            question=text_field("What to ask.", maxLength=20_000),
        ),
        risk=Risk.MEDIUM,
        outside=True,
    )
    return BuiltinTool(spec, ask_assistant)


def make_credential_tool(request: RequestCredential) -> BuiltinTool:
    """``request_credential``: shows the person a card; the value never passes through the assistant."""

    async def request_credential(arguments: JsonObject, use: ToolUse) -> ToolOutcome:
        await request(arguments, use)
        return ToolOutcome(
            "The person was asked to store it. You will never see it; go on without it for now."
        )

    kinds: JsonObject = {"type": "string", "enum": ["provider", "skill"]}
    name: JsonObject = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}
    spec = ToolSpec(
        "request_credential",
        "Ask the person to store a key that a provider or a skill needs. You never see it.",
        schema(
            ["kind", "owner", "name", "why"],
            kind=kinds,
            owner=text_field("The provider or skill that needs it.", maxLength=128),
            name=name,
            why=text_field("Why it is needed.", maxLength=500),
        ),
    )
    return BuiltinTool(spec, request_credential)
