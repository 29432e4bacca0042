"""``read_file``, ``write_file``, ``list_files``: files in the assistant's workspace and the folders it
has."""

from __future__ import annotations

import anyio.to_thread

from ploinky.assistants.reach import OWN, Reach
from ploinky.assistants.toolkit import BuiltinTool, ToolOutcome, ToolSpec, ToolUse, schema, text_field
from ploinky.base.jsontypes import JsonObject

MAX_READ = 1024 * 1024
MAX_LISTED = 500
_PATH = text_field("Path inside the folder.", maxLength=1024)
_FOLDER = text_field(f"Which folder: '{OWN}' (your own, the default) or one that you were given.")


def make_file_tools(reach: Reach) -> tuple[BuiltinTool, ...]:
    """The tools over ``reach``."""

    async def read(arguments: JsonObject, use: ToolUse) -> ToolOutcome:
        area, path = _place(arguments)
        text = await anyio.to_thread.run_sync(lambda: reach.read(area, path, max_bytes=MAX_READ))
        return ToolOutcome(text, outside=area != OWN)

    async def write(arguments: JsonObject, use: ToolUse) -> ToolOutcome:
        area, path = _place(arguments)
        text = str(arguments["text"])
        await anyio.to_thread.run_sync(reach.write, area, path, text)
        return ToolOutcome(f"Wrote {len(text)} characters to {path} in {area}.")

    async def list_(arguments: JsonObject, use: ToolUse) -> ToolOutcome:
        area, path = _place(arguments)
        found = await anyio.to_thread.run_sync(lambda: list(reach.walk(area, path, most=MAX_LISTED)))
        areas = ", ".join(f"{each.name} ({'write' if each.writable else 'read'})" for each in reach.areas())
        lines = [f"{name} ({size} bytes)" for name, size in found] or ["(no files)"]
        more = ["(there are more)"] if len(found) == MAX_LISTED else []
        return ToolOutcome("\n".join([f"Folders: {areas}", *lines, *more]))

    return (
        BuiltinTool(
            ToolSpec("read_file", "Read a text file.", schema(["path"], path=_PATH, folder=_FOLDER)), read
        ),
        BuiltinTool(
            ToolSpec(
                "write_file",
                "Write a text file, replacing it if it is there.",
                schema(["path", "text"], path=_PATH, folder=_FOLDER, text={"type": "string"}),
            ),
            write,
        ),
        BuiltinTool(
            ToolSpec("list_files", "List files below a path.", schema(path=_PATH, folder=_FOLDER)), list_
        ),
    )


def _place(arguments: JsonObject) -> tuple[str, str]:
    return str(arguments.get("folder", OWN)), str(arguments.get("path", "."))
