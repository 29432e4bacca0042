"""``router.toolSearch``: three tools in place of all, for models that many tools would drown.

``search_tools`` finds tools by words (SQLite's full-text index, best first), ``describe_tool`` tells all of
one, ``call_tool`` calls it. What may not be seen is not found; a call is judged as if it had come directly.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable

import orjson

from ploinky.base.jsontypes import JsonObject, find_object, find_text
from ploinky.mcp.messages import INVALID_PARAMS, Request, RpcError, clipped

_MOST_FOUND = 50
_PREFIX = 3  # letters from which on a word also stands for longer ones
_WORD = re.compile(r"\w+")
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
SEARCH, DESCRIBE, CALL = "search_tools", "describe_tool", "call_tool"
_NAME: JsonObject = {"type": "string", "description": "A tool's name, as search_tools gives it."}


def _tool(name: str, description: str, properties: JsonObject, required: list[str]) -> JsonObject:
    schema: JsonObject = {"type": "object", "properties": properties, "required": [*required]}
    return {"name": name, "description": description, "inputSchema": schema}


TOOLS: tuple[JsonObject, ...] = (
    _tool(
        SEARCH,
        "Find tools by what they do. Gives names and descriptions, best first.",
        {
            "query": {"type": "string", "description": "What the tool should do, in a few words."},
            "limit": {"type": "integer", "minimum": 1, "maximum": _MOST_FOUND, "default": 10},
        },
        ["query"],
    ),
    _tool(DESCRIBE, "Tell all of one tool: its description and its arguments.", {"name": _NAME}, ["name"]),
    _tool(
        CALL,
        "Call a tool that was found.",
        {"name": _NAME, "arguments": {"type": "object", "description": "As describe_tool says."}},
        ["name"],
    ),
)


class ToolIndex:
    """The tools of one view, searchable. ``tools`` are public names and descriptions as listed."""

    def __init__(self, tools: Iterable[tuple[str, JsonObject]]) -> None:
        self._tools = dict(tools)
        self._index = sqlite3.connect(":memory:")
        self._index.execute("CREATE VIRTUAL TABLE tools USING fts5(name UNINDEXED, words, about)")
        self._index.executemany(
            "INSERT INTO tools VALUES (?, ?, ?)",
            [(name, _words(name), _about(tool)) for name, tool in self._tools.items()],
        )

    def search(self, query: str, limit: int) -> list[JsonObject]:
        """The best matches: name and description."""
        words = _WORD.findall(query)
        if not words:
            return [self._brief(name) for name in list(self._tools)[:limit]]
        match = " OR ".join(f'"{word}"*' if len(word) >= _PREFIX else f'"{word}"' for word in words)
        rows = self._index.execute(
            "SELECT name FROM tools WHERE tools MATCH ? ORDER BY bm25(tools, 0, 4, 1) LIMIT ?", (match, limit)
        )
        return [self._brief(name) for (name,) in rows]

    def describe(self, name: str) -> JsonObject:
        """Raises:
        RpcError: there is no such tool.
        """
        tool = self._tools.get(name)
        if tool is None:
            raise RpcError(INVALID_PARAMS, f"Unknown tool: {clipped(name)}")
        return {**tool, "name": name}

    def _brief(self, name: str) -> JsonObject:
        return {"name": name, "description": find_text(self._tools[name], "description") or ""}


def answer(index: ToolIndex, request: Request) -> JsonObject | Request:
    """What one of the three tools answers, or the call that it stands for.

    Raises:
        RpcError: wrong arguments, no such tool.
    """
    name, arguments = request.params.get("name"), find_object(request.params, "arguments") or {}
    if name == SEARCH:
        query, limit = arguments.get("query"), arguments.get("limit", 10)
        if not isinstance(query, str) or not isinstance(limit, int) or not 1 <= limit <= _MOST_FOUND:
            raise RpcError(INVALID_PARAMS, f"query is a text, limit a number up to {_MOST_FOUND}.")
        return _told({"tools": [*index.search(query, limit)]})
    wanted = arguments.get("name")
    if not isinstance(wanted, str):
        raise RpcError(INVALID_PARAMS, "arguments.name must be the name of a tool.")
    if name == DESCRIBE:
        return _told(index.describe(wanted))
    if name != CALL:
        raise RpcError(INVALID_PARAMS, f"Unknown tool: {clipped(str(name))}")
    given = find_object(arguments, "arguments") or {}
    return Request(request.id, "tools/call", {**request.params, "name": wanted, "arguments": given})


def _told(value: JsonObject) -> JsonObject:
    text = orjson.dumps(value).decode()
    return {"content": [{"type": "text", "text": text}], "structuredContent": value, "isError": False}


def _words(name: str) -> str:
    """A name and its parts: ``readTextFile`` and ``read_text_file`` are found by ``read``."""
    return " ".join([name, *_PARTS.findall(name)])


def _about(tool: JsonObject) -> str:
    properties = find_object(find_object(tool, "inputSchema"), "properties") or {}
    fields = " ".join(f"{name} {find_text(each, 'description') or ''}" for name, each in properties.items())
    return f"{find_text(tool, 'title') or ''} {find_text(tool, 'description') or ''} {fields}"
