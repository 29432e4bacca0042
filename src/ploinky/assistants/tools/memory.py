"""``memory_search``, ``memory_write``, ``remember``: what the assistant knows, in files that people can
read."""

from __future__ import annotations

from ploinky.assistants.memory.book import MemoryBook
from ploinky.assistants.memory.logs import LONG_TERM
from ploinky.assistants.toolkit import BuiltinTool, Risk, ToolOutcome, ToolSpec, ToolUse, schema, text_field
from ploinky.base.jsontypes import JsonObject


def make_memory_tools(book: MemoryBook) -> tuple[BuiltinTool, ...]:
    """The tools over ``book``."""

    async def search(arguments: JsonObject, use: ToolUse) -> ToolOutcome:
        limit = arguments.get("limit")
        hits = await book.search(str(arguments["query"]), limit if isinstance(limit, int) else None)
        found = [f"{hit.path}:{hit.line}\n{hit.text}" for hit in hits] or ["Nothing in memory fits."]
        if book.remark is not None:
            found.append(f"({book.remark})")
        return ToolOutcome("\n\n".join(found))

    async def remember(arguments: JsonObject, use: ToolUse) -> ToolOutcome:
        name = book.files.append(str(arguments["text"]), origin=_origin(use))
        return ToolOutcome(f"Noted in {name}.")

    async def write(arguments: JsonObject, use: ToolUse) -> ToolOutcome:
        text, why = str(arguments["text"]), str(arguments.get("why", ""))
        proposal = await book.propose(LONG_TERM, text, why)
        if proposal.status == "accepted":
            return ToolOutcome(f"{LONG_TERM} was replaced.")
        return ToolOutcome(f"The new {LONG_TERM} was proposed; it counts once the person accepts it.")

    limit: JsonObject = {"type": "integer", "minimum": 1, "maximum": 50}
    return (
        BuiltinTool(
            ToolSpec(
                "memory_search",
                "Search your memory files for words.",
                schema(["query"], query=text_field("Words to look for."), limit=limit),
            ),
            search,
        ),
        BuiltinTool(
            ToolSpec(
                "remember",
                "Add one entry to today's memory file.",
                schema(["text"], text=text_field("What to remember, in a sentence.", maxLength=8000)),
            ),
            remember,
        ),
        BuiltinTool(
            ToolSpec(
                "memory_write",
                "Propose a new content of MEMORY.md, your long-term memory; give all of it.",
                schema(
                    ["text"],
                    text=text_field("The whole new content.", maxLength=200_000),
                    why=text_field("Why, in a sentence."),
                ),
                risk=Risk.LOW,
                wary=True,
            ),
            write,
        ),
    )


def _origin(use: ToolUse) -> str:
    return "a run that read outside texts" if use.tainted else ""
