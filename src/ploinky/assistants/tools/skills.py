"""``skill_load``, ``skill_read``, ``skill_run``: skills as an assistant uses them.

A skill's words and what its programs print are words of strangers. A program runs in the skill's sandbox.
A key that the skill wants and nobody set is asked of the person.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import anyio.to_thread

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
from ploinky.skills.runs import Ending, Ran

if TYPE_CHECKING:
    from ploinky.skills.shelf import Shelf  # it brings the safety analysis, which is large

_MOST_SHOWN = 40_000

FindShelf = Callable[[str], "Shelf"]


class SkillTools:
    """The skills of assistants, by their ids (``services.SkillShelf``)."""

    def __init__(self, find_shelf: FindShelf) -> None:
        self._find_shelf = find_shelf

    def catalogue(self, assistant: str) -> Sequence[tuple[str, str]]:
        return self._find_shelf(assistant).catalogue()

    def tools(self, assistant: str, request: RequestCredential) -> Sequence[BuiltinTool]:
        async def skill_load(arguments: JsonObject, use: ToolUse) -> ToolOutcome:
            shelf, name = self._find_shelf(assistant), str(arguments["skill"])
            return ToolOutcome(await anyio.to_thread.run_sync(shelf.load, name))

        async def skill_read(arguments: JsonObject, use: ToolUse) -> ToolOutcome:
            shelf, name, path = self._find_shelf(assistant), str(arguments["skill"]), str(arguments["path"])
            return ToolOutcome(await anyio.to_thread.run_sync(shelf.read, name, path))

        async def skill_run(arguments: JsonObject, use: ToolUse) -> ToolOutcome:
            words = arguments["argv"]
            assert isinstance(words, list)
            argv = [str(each) for each in words]
            stdin = str(arguments.get("stdin", "")).encode()
            shelf, name = self._find_shelf(assistant), str(arguments["skill"])
            missing = await anyio.to_thread.run_sync(shelf.missing_keys, name)
            for key in missing:
                why = f"The skill {name} runs without it until you store it."
                await request({"kind": "skill", "owner": name, "name": key, "why": why}, use)
            return _outcome(await shelf.run(name, argv, stdin=stdin), missing)

        handlers = (skill_load, skill_read, skill_run)
        return tuple(BuiltinTool(spec, handler) for spec, handler in zip(_SPECS, handlers, strict=True))


_SKILL = text_field("The name of a skill from the catalogue.", maxLength=64)
_WORDS: JsonObject = {
    "type": "array",
    "items": {"type": "string", "maxLength": 8192},
    "minItems": 1,
    "maxItems": 100,
    "description": "The program and its arguments, as in ['python3', 'scripts/tide.py', 'harbour'].",
}
_SPECS = (
    ToolSpec("skill_load", "Read a skill's instructions.", schema(["skill"], skill=_SKILL), outside=True),
    ToolSpec(
        "skill_read",
        "Read a file of a skill.",
        schema(["skill", "path"], skill=_SKILL, path=text_field("A path in the skill.", maxLength=512)),
        outside=True,
    ),
    ToolSpec(
        "skill_run",
        "Run a program of a skill in its sandbox; it gets the skill's own keys.",
        schema(["skill", "argv"], skill=_SKILL, argv=_WORDS, stdin=text_field("Its input.", maxLength=65536)),
        risk=Risk.MEDIUM,
        outside=True,
        wary=True,
    ),
)


def _outcome(ran: Ran, missing: Sequence[str]) -> ToolOutcome:
    lines = [ran.stdout.decode("utf-8", "replace")[:_MOST_SHOWN]]
    if ran.stderr:
        lines.append("stderr:\n" + ran.stderr.decode("utf-8", "replace")[-_MOST_SHOWN:])
    if ran.ending is not Ending.EXIT:
        lines.append(f"It was ended: too much {ran.ending}.")
    elif ran.returncode:
        lines.append(f"It ended with {ran.returncode}.")
    if ran.refused:
        lines.append(f"It asked in vain for: {', '.join(ran.refused)}.")
    if missing:
        lines.append(f"It ran without {', '.join(missing)}; the person was asked for it.")
    return ToolOutcome("\n".join(lines), is_error=not ran.succeeded)
