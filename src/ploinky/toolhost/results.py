"""From how a program ended to what its tool answers.

A tool's ``output`` says what its stdout is: text, content blocks, or an image or sound; to add a form: a row
in ``_FORMS``.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import orjson

from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonObject, JsonValue, find_object, find_text
from ploinky.base.redaction import Redactor
from ploinky.channel.model import Exit
from ploinky.toolhost.schemas import ArgumentCheck, fault_text
from ploinky.toolhost.specs import ToolSpec

_LONGEST_ERROR = 4000
_BLOCKS: Mapping[str, tuple[tuple[str, type], ...]] = {
    "text": (("text", str),),
    "image": (("data", str), ("mimeType", str)),
    "audio": (("data", str), ("mimeType", str)),
    "resource": (("resource", dict),),
    "resource_link": (("uri", str), ("name", str)),
}


class ProgramError(PloinkyError):
    """``PROGRAM_ERROR``: a program answered with a JSON-RPC error of its own, which ``rpc_code`` numbers."""

    def __init__(self, rpc_code: int, message: str) -> None:
        super().__init__("PROGRAM_ERROR", message)
        self.rpc_code = rpc_code


@dataclass(frozen=True)
class ToolResult:
    """A tool's answer. ``structured`` holds JSON only if ``has_structured``, for null is a value too.
    Without ``content`` its only block is ``text``."""

    text: str
    is_error: bool = False
    structured: JsonValue = None
    has_structured: bool = False
    content: tuple[JsonObject, ...] | None = None

    @property
    def blocks(self) -> list[JsonValue]:
        """MCP's content blocks."""
        return [{"type": "text", "text": self.text}] if self.content is None else list(self.content)


@dataclass(frozen=True)
class Ended:
    """How a program ended and what it had written; ``stderr`` is without lines that mean something."""

    exit: Exit
    stdout: bytes
    stderr: str


class AnswerFormError(ValueError):
    """An answer that is not what was announced."""


def tool_result(tool: ToolSpec, output_check: ArgumentCheck | None, ended: Ended) -> ToolResult:
    """The answer of ``tool``: its text, or its error from stdout JSON, else stderr, else the exit code.

    Raises:
        ProgramError: the program says so.
    """
    failed = failure_of(ended, f"Tool {tool.name!r}", tool.limit_s)
    if failed is not None:
        return failure(failed)
    try:
        result = _FORMS.get(tool.output, _media)(tool, ended.stdout)
    except AnswerFormError as error:
        return failure(f"Tool {tool.name!r} did not answer with {error}.")
    if output_check is None or result.is_error:
        return result
    if not result.has_structured:
        return failure(f"Tool {tool.name!r} has an outputSchema but did not answer with JSON.")
    faults = output_check.faults(result.structured)
    if faults:
        return failure(f"Tool {tool.name!r} broke its outputSchema: {fault_text(faults)}")
    return result


def masked(result: ToolResult, redactor: Redactor) -> ToolResult:
    """An error without secrets: what a program says when it fails goes to whoever called it. Answers stay."""
    return replace(result, text=redactor.scrub(result.text)) if result.is_error else result


def masked_error(error: ProgramError, redactor: Redactor) -> ProgramError:
    """Like ``masked``, for a JSON-RPC error of the program's own."""
    return ProgramError(error.rpc_code, redactor.scrub(error.message))


def failure(message: str) -> ToolResult:
    return ToolResult(message, is_error=True)


def failure_of(ended: Ended, subject: str, limit_s: float) -> str | None:
    """Why a program failed, or None if it did not.

    Raises:
        ProgramError: its stdout is an ``error`` with a whole number as ``code``.
    """
    if ended.exit.timed_out:
        return f"{subject} ran longer than {limit_s:g} s and was ended."
    if ended.exit.output_limited:
        return f"{subject} wrote more than it may and was ended."
    if ended.exit.ok:
        return None
    said = _stdout_error(ended.stdout)
    return said or ended.stderr[-_LONGEST_ERROR:] or f"{subject} {ended.exit}."


def text_of(stdout: bytes) -> str:
    """Output as text, without one final line break."""
    return stdout.decode("utf-8", "replace").removesuffix("\n")


def check_block(block: JsonValue) -> JsonObject:
    """A content block as MCP has it.

    Raises:
        AnswerFormError: it is none.
    """
    kind = find_text(block, "type")
    fields = _BLOCKS.get(kind or "")
    if not isinstance(block, dict) or fields is None:
        raise AnswerFormError(f"content blocks (one has the type {kind!r})")
    for name, wanted in fields:
        if not isinstance(block.get(name), wanted):
            raise AnswerFormError(f"content blocks (a {kind} block lacks {name!r})")
    inner = find_object(block, "resource")
    if inner is not None and not (find_text(inner, "uri") and ("text" in inner or "blob" in inner)):
        raise AnswerFormError("content blocks (a resource has a uri and a text or blob)")
    return block


def _text(tool: ToolSpec, stdout: bytes) -> ToolResult:
    text = text_of(stdout)
    if tool.output_schema is None:
        return ToolResult(text)
    try:
        return ToolResult(text, structured=orjson.loads(text), has_structured=True)
    except orjson.JSONDecodeError:
        return ToolResult(text)


def _content(tool: ToolSpec, stdout: bytes) -> ToolResult:
    try:
        value: JsonValue = orjson.loads(stdout)
    except orjson.JSONDecodeError as error:
        raise AnswerFormError("JSON") from error
    answer: JsonObject = value if isinstance(value, dict) else {"content": value}
    has_structured = "structuredContent" in answer
    given = answer.get("content", [] if has_structured else None)
    if not isinstance(given, list):
        raise AnswerFormError("an array of content blocks")
    blocks = tuple(check_block(each) for each in given)
    texts = [text for each in blocks if (text := find_text(each, "text")) is not None]
    if not blocks:
        blocks = ({"type": "text", "text": orjson.dumps(answer.get("structuredContent")).decode()},)
    return ToolResult(
        "\n".join(texts),
        is_error=answer.get("isError") is True,
        structured=answer.get("structuredContent"),
        has_structured=has_structured,
        content=blocks,
    )


def _media(tool: ToolSpec, stdout: bytes) -> ToolResult:
    data = base64.b64encode(stdout).decode()
    kind = tool.output.partition("/")[0]
    return ToolResult("", content=({"type": kind, "data": data, "mimeType": tool.output},))


_FORMS: Mapping[str, Callable[[ToolSpec, bytes], ToolResult]] = {"text": _text, "content": _content}


def _stdout_error(stdout: bytes) -> str | None:
    if not stdout.lstrip().startswith(b"{"):
        return None
    try:
        value: JsonValue = orjson.loads(stdout)
    except orjson.JSONDecodeError:
        return None
    inner = find_object(value, "error")
    found = find_text(inner, "message") or find_text(value, "error") or find_text(value, "message")
    code = inner.get("code") if inner is not None else None
    if inner is not None and isinstance(code, int) and not isinstance(code, bool):
        raise ProgramError(code, (found or "The program failed.")[:_LONGEST_ERROR])
    return found[:_LONGEST_ERROR] if found else None
