"""``mcp-config.json``: the tools, resources and prompts that an agent's programs offer.

Foreign files: unknown keys warn and do no harm, wrong ones are errors that name the field and the line,
all at once. Pydantic reads, frozen dataclasses leave; times in the file are milliseconds, here seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.base.names import closest
from ploinky.manifest.jsontext import Document, JsonTextError, read_json
from ploinky.toolhost.schemas import ArgumentCheck, JsonPath, SchemaError, input_schema, path_text

DEFAULT_LIMIT_S = 120.0
DEFAULT_ASYNC_LIMIT_S = 600.0
DEFAULT_PARALLEL_TASKS = 10
DEFAULT_LOG_TAIL_BYTES = 64 * 1024


class ToolMode(StrEnum):
    """``CALL`` starts the program for every call; ``PERSISTENT`` keeps one that answers line by line."""

    CALL = "call"
    PERSISTENT = "persistent"


@dataclass(frozen=True)
class ToolSpec:
    """One tool. ``limit_s`` is its time limit, for an async tool that of the whole task."""

    name: str
    command: str
    args: tuple[str, ...]
    cwd: str | None
    env: tuple[tuple[str, str], ...]
    limit_s: float
    is_async: bool
    mode: ToolMode
    title: str | None
    description: str | None
    annotations: JsonObject | None
    input_schema: JsonObject
    output_schema: JsonObject | None


@dataclass(frozen=True)
class ResourceSpec:
    """One resource by ``uri``, or a family of them by ``uri_template``, made by a program."""

    name: str
    uri: str | None
    uri_template: str | None
    command: str | None
    args: tuple[str, ...]
    cwd: str | None
    env: tuple[tuple[str, str], ...]
    title: str | None
    description: str | None
    mime_type: str | None


@dataclass(frozen=True)
class PromptMessage:
    role: str
    content: str


@dataclass(frozen=True)
class PromptSpec:
    """One prompt: static messages, or a program that writes them."""

    name: str
    title: str | None
    description: str | None
    messages: tuple[PromptMessage, ...]
    command: str | None


@dataclass(frozen=True)
class ToolConfig:
    """A whole configuration; ``warnings`` are sentences about what was ignored."""

    tools: tuple[ToolSpec, ...] = ()
    resources: tuple[ResourceSpec, ...] = ()
    prompts: tuple[PromptSpec, ...] = ()
    max_parallel_tasks: int = DEFAULT_PARALLEL_TASKS
    task_log_tail_bytes: int = DEFAULT_LOG_TAIL_BYTES
    warnings: tuple[str, ...] = ()


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


_Name = Annotated[str, Field(min_length=1, max_length=128, pattern=r"\A[^\x00-\x20\x7f]+\z")]
_Command = Annotated[str, Field(min_length=1, pattern=r"\A[^\x00]+\z")]
_Milliseconds = Annotated[float, Field(strict=True, gt=0, le=7 * 24 * 3600 * 1000)]


def _as_text(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (int, float)) else value


_EnvText = Annotated[str, BeforeValidator(_as_text)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="allow", populate_by_name=False)


class _Program(_Entry):
    name: _Name
    args: list[str] = []
    cwd: str | None = None
    env: dict[str, _EnvText] = {}
    title: str | None = None
    description: str | None = None

    def env_pairs(self) -> tuple[tuple[str, str], ...]:
        return tuple(self.env.items())


class _Tool(_Program):
    command: _Command
    timeout_ms: _Milliseconds | None = Field(None, alias="timeoutMs")
    is_async: bool = Field(False, alias="async", strict=True)
    timeout: _Milliseconds | None = None
    mode: Literal["call", "persistent"] = "call"
    annotations: dict[str, object] | None = None
    input_schema: dict[str, object] | None = Field(None, alias="inputSchema")
    output_schema: dict[str, object] | None = Field(None, alias="outputSchema")

    def limit_s(self) -> float:
        if self.is_async:
            given, default_s = self.timeout or self.timeout_ms, DEFAULT_ASYNC_LIMIT_S
        else:
            given, default_s = self.timeout_ms or self.timeout, DEFAULT_LIMIT_S
        return default_s if given is None else given / 1000


class _Resource(_Program):
    uri: str | None = None
    uri_template: str | None = Field(None, alias="uriTemplate")
    template: str | None = None
    command: _Command | None = None
    mime_type: str | None = Field(None, alias="mimeType")


class _Message(_Entry):
    role: str
    content: str


class _Prompt(_Program):
    messages: list[_Message] = []
    command: _Command | None = None
    arguments: list[dict[str, object]] = []


class _File(_Entry):
    tools: list[_Tool] = []
    resources: list[_Resource] = []
    prompts: list[_Prompt] = []
    max_parallel_tasks: Annotated[int, Field(strict=True, ge=1, le=1000)] = Field(
        DEFAULT_PARALLEL_TASKS, alias="maxParallelTasks"
    )
    task_log_tail_bytes: Annotated[int, Field(strict=True, ge=0)] = Field(
        DEFAULT_LOG_TAIL_BYTES, alias="taskLogTailBytes"
    )


def parse_mcp_config(text: str | bytes, *, source: str) -> ToolConfig:
    """Read a configuration; ``source`` names the file in messages.

    Raises:
        ConfigError: with every fault that was found.
    """
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    document, raw = _parse(words.removeprefix("\ufeff"), source)
    try:
        file = _File.model_validate(raw)
    except ValidationError as error:
        found = [(each["loc"], _sentence(each["msg"])) for each in error.errors()]
        raise _invalid(source, document, found) from error
    faults: list[tuple[JsonPath, str]] = []
    tools = tuple(_tool(tool, index, raw, faults) for index, tool in enumerate(file.tools))
    faults.extend(_doubles(file))
    if faults:
        raise _invalid(source, document, faults)
    return ToolConfig(
        tools=tools,
        resources=tuple(_resource(each) for each in file.resources),
        prompts=tuple(_prompt(each) for each in file.prompts),
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


def _tool(tool: _Tool, index: int, raw: JsonObject, faults: list[tuple[JsonPath, str]]) -> ToolSpec:
    path: JsonPath = ("tools", index)
    given = _raw_tool(raw, index)
    in_schema = _schema(given.get("inputSchema"), (*path, "inputSchema"), faults)
    output = given.get("outputSchema")
    out_schema = output if isinstance(output, dict) else None
    if out_schema is not None:
        _compile(out_schema, (*path, "outputSchema"), faults)
    annotations = given.get("annotations")
    return ToolSpec(
        name=tool.name,
        command=tool.command,
        args=tuple(tool.args),
        cwd=tool.cwd,
        env=tool.env_pairs(),
        limit_s=tool.limit_s(),
        is_async=tool.is_async,
        mode=ToolMode(tool.mode),
        title=tool.title,
        description=tool.description,
        annotations=annotations if isinstance(annotations, dict) else None,
        input_schema=in_schema,
        output_schema=out_schema,
    )


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


def _doubles(file: _File) -> list[tuple[JsonPath, str]]:
    found: list[tuple[JsonPath, str]] = []
    for kind, entries in (("tools", file.tools), ("resources", file.resources), ("prompts", file.prompts)):
        seen: set[str] = set()
        for index, entry in enumerate(entries):
            if entry.name in seen:
                found.append(((kind, index, "name"), f"{entry.name!r} is there twice"))
            seen.add(entry.name)
    return found


def _resource(entry: _Resource) -> ResourceSpec:
    template = entry.uri_template or entry.template
    uri = entry.uri
    if template is None and uri is not None and "{" in uri:
        template, uri = uri, None
    return ResourceSpec(
        name=entry.name,
        uri=uri,
        uri_template=template,
        command=entry.command,
        args=tuple(entry.args),
        cwd=entry.cwd,
        env=entry.env_pairs(),
        title=entry.title,
        description=entry.description,
        mime_type=entry.mime_type,
    )


def _prompt(entry: _Prompt) -> PromptSpec:
    return PromptSpec(
        name=entry.name,
        title=entry.title,
        description=entry.description,
        messages=tuple(PromptMessage(each.role, each.content) for each in entry.messages),
        command=entry.command,
    )


def _warnings(entry: _Entry, path: JsonPath, document: Document) -> list[str]:
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
                if isinstance(each, _Entry):
                    found.extend(_warnings(each, (*path, name, index), document))
    return found


def _sentence(message: str) -> str:
    return message[:1].lower() + message[1:]


def _doubled_keys(document: Document) -> list[str]:
    return [f"{path_text(each.path)} (line {each.place.line}): {each.message}" for each in document.remarks]


def _invalid(source: str, document: Document, found: list[tuple[JsonPath, str]]) -> ConfigError:
    faults = [ConfigFault(path, document.place_of_key(path).line, message) for path, message in found]
    return ConfigError("MCP_CONFIG_INVALID", source, tuple(dict.fromkeys(faults)))
