"""Results as each era wants them, whatever era the agent they come from speaks."""

from __future__ import annotations

from ploinky.base.jsontypes import JsonObject, JsonValue, find_object
from ploinky.mcp.messages import META_SERVER, TASKS_EXTENSION

_STATELESS_ONLY = ("resultType", "ttlMs", "cacheScope")
_CACHED = frozenset(
    {"tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read"}
)


def for_session(method: str, result: JsonObject) -> JsonObject:
    """A result for a client of the session era, which takes only objects as structured content."""
    structured = result.get("structuredContent")
    odd = "structuredContent" in result and not isinstance(structured, dict)
    if not odd and not any(key in result for key in _STATELESS_ONLY):
        return result
    dropped = (*_STATELESS_ONLY, "structuredContent") if odd else _STATELESS_ONLY
    return {key: value for key, value in result.items() if key not in dropped}


def for_stateless(method: str, result: JsonObject, server: JsonObject) -> JsonObject:
    """A result for a client of the stateless era; ``server`` is who answers if the agent did not say."""
    dressed: JsonObject = {"resultType": "complete", **result}
    if method in _CACHED:
        dressed.setdefault("ttlMs", 0)
        dressed.setdefault("cacheScope", "private")
    dressed["_meta"] = {META_SERVER: server, **(find_object(result, "_meta") or {})}
    return dressed


def session_capabilities(capabilities: JsonValue) -> JsonValue:
    """What a server can do, for the session era: there tasks are no extension."""
    extensions = find_object(capabilities, "extensions")
    if not isinstance(capabilities, dict) or extensions is None or TASKS_EXTENSION not in extensions:
        return capabilities
    others: JsonObject = {key: value for key, value in extensions.items() if key != TASKS_EXTENSION}
    rest: JsonObject = {key: value for key, value in capabilities.items() if key != "extensions"}
    return {**rest, "extensions": others} if others else rest


def stateless_capabilities(capabilities: JsonValue) -> JsonValue:
    """What a server can do, for the stateless era: there tasks are an extension and nothing else."""
    if not isinstance(capabilities, dict):
        return capabilities
    return {key: value for key, value in capabilities.items() if key != "tasks"}
