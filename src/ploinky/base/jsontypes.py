"""The type of any JSON value, and narrow looks into one that came from outside."""

from __future__ import annotations

from typing import TypeAlias

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
JsonObject: TypeAlias = "dict[str, JsonValue]"


def find_object(value: JsonValue, key: str) -> JsonObject | None:
    """The object at ``key`` of ``value``, or None if either is no object."""
    if not isinstance(value, dict):
        return None
    found = value.get(key)
    return found if isinstance(found, dict) else None


def find_text(value: JsonValue, key: str) -> str | None:
    """The string at ``key`` of ``value``, or None if there is none."""
    if not isinstance(value, dict):
        return None
    found = value.get(key)
    return found if isinstance(found, str) else None


def deeper_than(value: JsonValue, limit: int) -> bool:
    """Whether arrays and objects nest more than ``limit`` levels; takes no stack of its own."""
    level: list[JsonValue] = [value]
    for _ in range(limit + 1):
        below: list[JsonValue] = []
        for each in level:
            if isinstance(each, dict):
                below.extend(each.values())
            elif isinstance(each, list):
                below.extend(each)
        if not below and not any(isinstance(each, (dict, list)) for each in level):
            return False
        level = below
    return any(isinstance(each, (dict, list)) for each in level)
