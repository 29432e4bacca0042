"""From how a program ended to what its tool answers."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from ploinky.base.jsontypes import JsonValue, find_object, find_text
from ploinky.channel.model import Exit
from ploinky.toolhost.config import ToolSpec
from ploinky.toolhost.schemas import ArgumentCheck, fault_text

_LONGEST_ERROR = 4000


@dataclass(frozen=True)
class ToolResult:
    """A tool's answer. ``structured`` holds JSON only if ``has_structured``, for null is a value too."""

    text: str
    is_error: bool = False
    structured: JsonValue = None
    has_structured: bool = False


@dataclass(frozen=True)
class Ended:
    """How a program ended and what it had written; ``stderr`` is without progress lines."""

    exit: Exit
    stdout: bytes
    stderr: str


def tool_result(tool: ToolSpec, output_check: ArgumentCheck | None, ended: Ended) -> ToolResult:
    """The answer of ``tool``: its text, or its error from stdout JSON, else stderr, else the exit code."""
    if ended.exit.timed_out:
        return failure(f"Tool {tool.name!r} ran longer than {tool.limit_s:g} s and was ended.")
    if ended.exit.output_limited:
        return failure(f"Tool {tool.name!r} wrote more than it may and was ended.")
    text = ended.stdout.decode("utf-8", "replace").removesuffix("\n")
    if not ended.exit.ok:
        said = _stdout_error(text) or ended.stderr[-_LONGEST_ERROR:] or f"Tool {tool.name!r} {ended.exit}."
        return failure(said)
    if output_check is None:
        return ToolResult(text)
    try:
        structured: JsonValue = orjson.loads(text)
    except orjson.JSONDecodeError:
        return failure(f"Tool {tool.name!r} has an outputSchema but did not answer with JSON.")
    faults = output_check.faults(structured)
    if faults:
        return failure(f"Tool {tool.name!r} broke its outputSchema: {fault_text(faults)}")
    return ToolResult(text, structured=structured, has_structured=True)


def failure(message: str) -> ToolResult:
    return ToolResult(message, is_error=True)


def _stdout_error(text: str) -> str | None:
    if not text.lstrip().startswith("{"):
        return None
    try:
        value: JsonValue = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    inner = find_object(value, "error")
    found = find_text(inner, "message") or find_text(value, "error") or find_text(value, "message")
    return found[:_LONGEST_ERROR] if found else None
