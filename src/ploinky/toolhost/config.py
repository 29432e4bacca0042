"""``mcp-config.json``: the tools, resources and prompts that an agent's programs offer.

Foreign files: unknown keys warn and do no harm, wrong ones are errors that name the field and the line,
all at once. Pydantic reads (``config_entries``), frozen dataclasses leave (``specs``).
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.base.names import closest
from ploinky.manifest.jsontext import Document, JsonTextError, read_json
from ploinky.toolhost.config_entries import ConfigFile, Entry, ToolEntry
from ploinky.toolhost.schemas import ArgumentCheck, JsonPath, SchemaError, input_schema, path_text
from ploinky.toolhost.specs import ToolConfig, ToolMode, ToolSpec

__all__ = ["ConfigError", "ConfigFault", "ToolConfig", "ToolMode", "ToolSpec", "parse_mcp_config"]


@dataclass(frozen=True)
class ConfigFault:
    """One thing that is wrong, at ``path`` of the file."""

    path: JsonPath
    line: int
    message: str

    def __str__(self) -> str:
        return f"{path_text(self.path)} (line {self.line}): {self.message}"


class ConfigError(PloinkyError):
    """``MCP_CONFIG_PARSE_ERROR`` or ``MCP_CONFIG_INVALID``; ``faults`` has all of them."""

    def __init__(self, code: str, source: str, faults: tuple[ConfigFault, ...]) -> None:
        lines = "\n".join(f"  {fault}" for fault in faults)
        super().__init__(
            code,
            f"{source} cannot be used:\n{lines}",
            hint="Correct the file; it is read again when it changes.",
            details={"source": source},
        )
        self.faults = faults


_BRANCHES = frozenset({"_Completer", "bool", "str"})


def parse_mcp_config(text: str | bytes, *, source: str) -> ToolConfig:
    """Read a configuration; ``source`` names the file in messages.

    Raises:
        ConfigError: with every fault that was found.
    """
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    document, raw = _parse(words.removeprefix("\ufeff"), source)
    try:
        file = ConfigFile.model_validate(raw)
    except ValidationError as error:
        found = [(_without_branches(each["loc"]), _sentence(each["msg"])) for each in error.errors()]
        raise _invalid(source, document, found) from error
    faults: list[tuple[JsonPath, str]] = []
    tools = tuple(_tool(tool, index, raw, faults) for index, tool in enumerate(file.tools))
    faults.extend(_doubles(file))
    if faults:
        raise _invalid(source, document, faults)
    return ToolConfig(
        tools=tools,
        resources=tuple(each.spec() for each in file.resources),
        prompts=tuple(each.spec() for each in file.prompts),
        max_parallel_tasks=file.max_parallel_tasks,
        task_log_tail_bytes=file.task_log_tail_bytes,
        warnings=(*_doubled_keys(document), *_warnings(file, (), document)),
    )


def _parse(words: str, source: str) -> tuple[Document, JsonObject]:
    try:
        document = read_json(words)
    except JsonTextError as error:
        hint = f" {error.hint}" if error.hint else ""
        message = f"{error.reason}, at column {error.place.column}.{hint}"
        fault = ConfigFault((), error.place.line, message)
        raise ConfigError("MCP_CONFIG_PARSE_ERROR", source, (fault,)) from error
    if not isinstance(document.value, dict):
        raise _invalid(source, document, [((), "must be an object with 'tools'")])
    return document, document.value


def _tool(tool: ToolEntry, index: int, raw: JsonObject, faults: list[tuple[JsonPath, str]]) -> ToolSpec:
    path: JsonPath = ("tools", index)
    given = _raw_tool(raw, index)
    in_schema = _schema(given.get("inputSchema"), (*path, "inputSchema"), faults)
    output = given.get("outputSchema")
    out_schema = output if isinstance(output, dict) else None
    if out_schema is not None:
        _compile(out_schema, (*path, "outputSchema"), faults)
    return tool.spec(given, in_schema)


def _raw_tool(raw: JsonObject, index: int) -> JsonObject:
    tools = raw.get("tools")
    tool = tools[index] if isinstance(tools, list) else None
    return tool if isinstance(tool, dict) else {}


def _schema(given: JsonValue, path: JsonPath, faults: list[tuple[JsonPath, str]]) -> JsonObject:
    try:
        schema = input_schema(given if isinstance(given, dict) else None)
    except SchemaError as fault:
        faults.append(((*path, *fault.path), fault.message))
        return {"type": "object"}
    _compile(schema, path, faults)
    return schema


def _compile(schema: JsonObject, path: JsonPath, faults: list[tuple[JsonPath, str]]) -> None:
    try:
        ArgumentCheck(schema)
    except SchemaError as fault:
        steps = fault.path[1:] if fault.path[:1] == ("properties",) else fault.path
        faults.append(((*path, *steps), fault.message))


def _doubles(file: ConfigFile) -> list[tuple[JsonPath, str]]:
    found: list[tuple[JsonPath, str]] = []
    for kind, entries in (("tools", file.tools), ("resources", file.resources), ("prompts", file.prompts)):
        seen: set[str] = set()
        for index, entry in enumerate(entries):
            if entry.name in seen:
                found.append(((kind, index, "name"), f"{entry.name!r} is there twice"))
            seen.add(entry.name)
    return found


def _warnings(entry: Entry, path: JsonPath, document: Document) -> list[str]:
    """Sentences about unknown keys, here and in the entries below."""
    known = [field.alias or name for name, field in type(entry).model_fields.items()]
    found = []
    for key in entry.model_extra or {}:
        if key.startswith(("$", "_")):
            continue
        near = closest(key, known)
        meant = f" (did you mean {near!r}?)" if near else ""
        where = (*path, key)
        found.append(
            f"{path_text(where)} (line {document.place_of_key(where).line}) is unknown and ignored{meant}"
        )
    for name in type(entry).model_fields:
        below = getattr(entry, name)
        if isinstance(below, list):
            for index, each in enumerate(below):
                if isinstance(each, Entry):
                    found.extend(_warnings(each, (*path, name, index), document))
    return found


def _without_branches(path: JsonPath) -> JsonPath:
    """Pydantic names the branch of a union in the path; the file has no such key."""
    return tuple(step for step in path if not (isinstance(step, str) and ("[" in step or step in _BRANCHES)))


def _sentence(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _doubled_keys(document: Document) -> list[str]:
    return [f"{path_text(each.path)} (line {each.place.line}): {each.message}" for each in document.remarks]


def _invalid(source: str, document: Document, found: list[tuple[JsonPath, str]]) -> ConfigError:
    faults = [ConfigFault(path, document.place_of_key(path).line, message) for path, message in found]
    return ConfigError("MCP_CONFIG_INVALID", source, tuple(dict.fromkeys(faults)))
