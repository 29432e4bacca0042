"""What a configuration offers and what its programs answered, in MCP's words.

Pure. To show one more field of a tool, resource or prompt to clients: here.
"""

from __future__ import annotations

from collections.abc import Iterable

from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.mcp.messages import TASKS_EXTENSION
from ploinky.mcp.upstream import Offer
from ploinky.toolhost.host import Contents
from ploinky.toolhost.prompts import Prompt
from ploinky.toolhost.results import ToolResult
from ploinky.toolhost.specs import AsyncMode, PromptArgument, PromptSpec, ResourceSpec, ToolConfig, ToolSpec

MOST_COMPLETIONS = 100
_TASK_SUPPORT = {AsyncMode.YES: "optional", AsyncMode.REQUIRED: "required"}


def offer_of(config: ToolConfig, *, has_tasks: bool = False) -> Offer:
    """What the programs of ``config`` offer; ``has_tasks``: async tools can be tasks here."""
    capabilities: JsonObject = {"tools": {"listChanged": True}, "logging": {}}
    if config.resources:
        capabilities["resources"] = {"listChanged": True, "subscribe": True}
    if config.prompts:
        capabilities["prompts"] = {"listChanged": True}
    if _completes(config):
        capabilities["completions"] = {}
    if has_tasks and any(tool.is_async for tool in config.tools):
        capabilities["tasks"] = {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}}
        capabilities["extensions"] = {TASKS_EXTENSION: {}}
    return Offer(
        capabilities=capabilities,
        tools=tuple(_tool(tool, has_tasks) for tool in config.tools),
        resources=tuple(_resource(each) for each in config.resources if each.uri is not None),
        templates=tuple(_resource(each) for each in config.resources if each.template is not None),
        prompts=tuple(_prompt(prompt) for prompt in config.prompts),
    )


def call_result(result: ToolResult) -> JsonObject:
    """A ``CallToolResult``."""
    wire: JsonObject = {"content": result.blocks, "isError": result.is_error}
    if result.has_structured:
        wire["structuredContent"] = result.structured
    return wire


def read_result(contents: Contents) -> JsonObject:
    """A ``ReadResourceResult``."""
    wire = _given(uri=contents.uri, mimeType=contents.mime_type, text=contents.text, blob=contents.blob)
    return {"contents": [wire]}


def prompt_result(prompt: Prompt) -> JsonObject:
    """A ``GetPromptResult``."""
    messages: list[JsonValue] = [*prompt.messages]
    return _given(description=prompt.description, messages=messages)


def complete_result(values: list[str]) -> JsonObject:
    """A ``CompleteResult``."""
    shown: list[JsonValue] = [*values[:MOST_COMPLETIONS]]
    return {"completion": {"values": shown, "total": len(values), "hasMore": len(values) > len(shown)}}


def _completes(config: ToolConfig) -> bool:
    arguments: Iterable[PromptArgument] = (each for prompt in config.prompts for each in prompt.arguments)
    return any(each.completions for each in config.resources) or any(
        each.completion is not None for each in arguments
    )


def _tool(tool: ToolSpec, has_tasks: bool) -> JsonObject:
    wire: JsonObject = {"name": tool.name, "inputSchema": tool.input_schema}
    support = _TASK_SUPPORT.get(tool.async_mode) if has_tasks else None
    wire |= _given(
        title=tool.title,
        description=tool.description,
        annotations=tool.annotations,
        outputSchema=tool.output_schema,
        execution=None if support is None else {"taskSupport": support},
    )
    return wire


def _resource(resource: ResourceSpec) -> JsonObject:
    return _given(
        uri=resource.uri,
        uriTemplate=None if resource.template is None else resource.template.text,
        name=resource.name,
        title=resource.title,
        description=resource.description,
        mimeType=resource.mime_type,
    )


def _prompt(prompt: PromptSpec) -> JsonObject:
    arguments: list[JsonValue] = [
        {"required": each.required, **_given(name=each.name, title=each.title, description=each.description)}
        for each in prompt.arguments
    ]
    wire = _given(name=prompt.name, title=prompt.title, description=prompt.description)
    return {**wire, "arguments": arguments} if arguments else wire


def _given(**fields: JsonValue) -> JsonObject:
    return {key: value for key, value in fields.items() if value is not None}
