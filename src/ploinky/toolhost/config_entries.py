"""The keys of ``mcp-config.json``, one pydantic model per kind of entry, and what each makes.

Times in the file are milliseconds, in what leaves here seconds. To add a key: a field of its entry.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    field_validator,
    model_validator,
)

from ploinky.base.jsontypes import JsonObject
from ploinky.toolhost.results import AnswerFormError, check_block
from ploinky.toolhost.said import METHODS
from ploinky.toolhost.specs import (
    DEFAULT_ASYNC_LIMIT_S,
    DEFAULT_LIMIT_S,
    DEFAULT_LOG_TAIL_BYTES,
    DEFAULT_PARALLEL_TASKS,
    AsyncMode,
    Completion,
    ProgramSpec,
    PromptArgument,
    PromptMessage,
    PromptSpec,
    ResourceSpec,
    ToolMode,
    ToolSpec,
)
from ploinky.toolhost.templates import UriTemplate, parse_template

_Name = Annotated[str, Field(min_length=1, max_length=128, pattern=r"\A[^\x00-\x20\x7f]+\z")]
_Command = Annotated[str, Field(min_length=1, pattern=r"\A[^\x00]+\z")]
_Milliseconds = Annotated[float, Field(strict=True, gt=0, le=7 * 24 * 3600 * 1000)]
_Uri = Annotated[str, Field(min_length=1, max_length=2048, pattern=r"\A[^\x00-\x20\x7f]+\z")]
_Output = Annotated[str, Field(pattern=r"\A(text|content|(image|audio)/[A-Za-z0-9.+-]+)\z")]
_Capability = Literal["elicitation", "sampling", "roots"]
assert set(METHODS.values()) == {"elicitation", "sampling", "roots"}


def _as_text(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (int, float)) else value


_EnvText = Annotated[str, BeforeValidator(_as_text)]


class Entry(BaseModel):
    model_config = ConfigDict(extra="allow", populate_by_name=False)


class _Start(Entry):
    """How a program is started."""

    args: list[str] = []
    cwd: str | None = None
    env: dict[str, _EnvText] = {}
    timeout_ms: _Milliseconds | None = Field(None, alias="timeoutMs")
    asks: list[_Capability] = []

    def program(self, command: str, limit_s: float | None = None) -> ProgramSpec:
        default_s = DEFAULT_LIMIT_S if self.timeout_ms is None else self.timeout_ms / 1000
        return ProgramSpec(
            command=command,
            args=tuple(self.args),
            cwd=self.cwd,
            env=tuple(self.env.items()),
            limit_s=default_s if limit_s is None else limit_s,
            asks=frozenset(self.asks),
        )


class _Named(_Start):
    name: _Name
    title: str | None = None
    description: str | None = None


class ToolEntry(_Named):
    command: _Command
    is_async: StrictBool | Literal["required"] = Field(False, alias="async")
    timeout: _Milliseconds | None = None
    mode: Literal["call", "persistent"] = "call"
    workers: Annotated[int, Field(strict=True, ge=1, le=64)] = 1
    output: _Output = "text"
    requires: list[_Capability] = []
    annotations: dict[str, object] | None = None
    input_schema: dict[str, object] | None = Field(None, alias="inputSchema")
    output_schema: dict[str, object] | None = Field(None, alias="outputSchema")

    @model_validator(mode="after")
    def _fits_together(self) -> ToolEntry:
        if self.mode == "persistent" and "/" in self.output:
            raise ValueError("a persistent program answers with lines, so its output is 'text' or 'content'")
        if self.mode != "persistent" and self.workers > 1:
            raise ValueError('\'workers\' is for programs with "mode": "persistent"')
        return self

    def spec(self, raw: JsonObject, in_schema: JsonObject) -> ToolSpec:
        """The tool; ``raw`` is the entry as the file has it."""
        annotations, output = raw.get("annotations"), raw.get("outputSchema")
        return ToolSpec(
            name=self.name,
            program=self.program(self.command, self._limit_s()),
            mode=ToolMode(self.mode),
            workers=self.workers,
            async_mode=self._async_mode(),
            output=self.output,
            requires=frozenset(self.requires),
            title=self.title,
            description=self.description,
            annotations=annotations if isinstance(annotations, dict) else None,
            input_schema=in_schema,
            output_schema=output if isinstance(output, dict) else None,
        )

    def _async_mode(self) -> AsyncMode:
        if self.is_async == "required":
            return AsyncMode.REQUIRED
        return AsyncMode.YES if self.is_async else AsyncMode.NO

    def _limit_s(self) -> float:
        if self.is_async:
            given, default_s = self.timeout or self.timeout_ms, DEFAULT_ASYNC_LIMIT_S
        else:
            given, default_s = self.timeout_ms or self.timeout, DEFAULT_LIMIT_S
        return default_s if given is None else given / 1000


class _Completer(_Start):
    command: _Command


_Complete = list[str] | _Completer


def _completion(given: _Complete) -> Completion:
    if isinstance(given, list):
        return Completion(tuple(given))
    return Completion(program=given.program(given.command))


_Template = Annotated[str, Field(max_length=2048, pattern=r"\A[^\x00-\x20\x7f]+\z")]


class ResourceEntry(_Named):
    uri: _Uri | None = None
    uri_template: _Template | None = Field(None, alias="uriTemplate")
    template: _Template | None = None
    command: _Command | None = None
    file: Annotated[str, Field(min_length=1, pattern=r"\A[^\x00]+\z")] | None = None
    text: str | None = None
    mime_type: str | None = Field(None, alias="mimeType")
    complete: dict[str, _Complete] = {}

    @field_validator("uri_template", "template")
    @classmethod
    def _is_template(cls, value: str | None) -> str | None:
        if value is not None:
            parse_template(value)
        return value

    @model_validator(mode="after")
    def _says_all(self) -> ResourceEntry:
        sources = [each for each in (self.command, self.file, self.text) if each is not None]
        if len(sources) != 1:
            raise ValueError("needs one of 'command', 'file' and 'text'")
        family = self.family()
        if (self.uri is None or "{" in self.uri) and family is None:
            raise ValueError("needs a 'uri' or a 'uriTemplate'")
        if family is not None and self.command is None:
            raise ValueError("a template needs a 'command', which is given the values")
        unknown = set(self.complete) - set(family.variables if family else ())
        if unknown:
            raise ValueError(f"completes {min(unknown)!r}, which the template has not")
        return self

    def family(self) -> UriTemplate | None:
        """The template, which may also stand in ``uri``."""
        text = self.uri_template or self.template or (self.uri if self.uri and "{" in self.uri else None)
        return None if text is None else parse_template(text)

    def spec(self) -> ResourceSpec:
        family = self.family()
        return ResourceSpec(
            name=self.name,
            uri=self.uri if family is None else None,
            template=family,
            program=None if self.command is None else self.program(self.command),
            file=self.file,
            text=self.text,
            title=self.title,
            description=self.description,
            mime_type=self.mime_type,
            completions={name: _completion(each) for name, each in self.complete.items()},
        )


class _Message(Entry):
    role: Literal["user", "assistant", "system"]
    content: str | dict[str, object]

    @field_validator("content")
    @classmethod
    def _is_block(cls, value: str | dict[str, object]) -> str | dict[str, object]:
        if isinstance(value, dict):
            try:
                check_block(value)  # type: ignore[arg-type]  # it came from JSON
            except AnswerFormError as error:
                raise ValueError(f"must be a text or one of MCP's {error}") from error
        return value


class _Argument(Entry):
    name: _Name
    title: str | None = None
    description: str | None = None
    required: bool = False
    complete: _Complete | None = None

    def argument(self) -> PromptArgument:
        completion = None if self.complete is None else _completion(self.complete)
        return PromptArgument(self.name, self.title, self.description, self.required, completion)


class PromptEntry(_Named):
    messages: list[_Message] = []
    command: _Command | None = None
    arguments: list[_Argument] = []

    @model_validator(mode="after")
    def _says_all(self) -> PromptEntry:
        if bool(self.messages) == (self.command is not None):
            raise ValueError("needs either 'messages' or a 'command'")
        return self

    def spec(self) -> PromptSpec:
        return PromptSpec(
            name=self.name,
            title=self.title,
            description=self.description,
            arguments=tuple(each.argument() for each in self.arguments),
            messages=tuple(_message(each) for each in self.messages),
            program=None if self.command is None else self.program(self.command),
        )


def _message(entry: _Message) -> PromptMessage:
    """MCP knows no ``system``; such a message is the user's."""
    role = "assistant" if entry.role == "assistant" else "user"
    return PromptMessage(role, entry.content)  # type: ignore[arg-type]  # it came from JSON


class ConfigFile(Entry):
    tools: list[ToolEntry] = []
    resources: list[ResourceEntry] = []
    prompts: list[PromptEntry] = []
    max_parallel_tasks: Annotated[int, Field(strict=True, ge=1, le=1000)] = Field(
        DEFAULT_PARALLEL_TASKS, alias="maxParallelTasks"
    )
    task_log_tail_bytes: Annotated[int, Field(strict=True, ge=0, le=4 * 1024 * 1024)] = Field(
        DEFAULT_LOG_TAIL_BYTES, alias="taskLogTailBytes"
    )
