"""Schemas and arguments that are made to keep the gateway busy."""

from __future__ import annotations

import time

import pytest

from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.toolhost.schemas import ArgumentCheck, SchemaError

REF: JsonObject = {"$ref": "#/$defs/n"}
SOON_S = 3.0


def nested(depth: int, name: str = "a") -> JsonObject:
    value: JsonObject = {}
    for _ in range(depth):
        value = {name: value}
    return value


def laughs(levels: int, word: str) -> JsonObject:
    """Every level asks for the next one twice."""
    parts: JsonObject = {
        f"n{level}": {word: [{"$ref": f"#/$defs/n{level + 1}"}] * 2} for level in range(levels)
    }
    return {"$ref": "#/$defs/n0", "$defs": {**parts, f"n{levels}": {"type": "object"}}}


@pytest.mark.parametrize(
    "schema",
    [
        laughs(60, "allOf"),
        laughs(60, "anyOf"),
        {"allOf": [{"$ref": "#"}, {"$ref": "#"}]},
        {"properties": {"default": laughs(60, "allOf")}, "$defs": laughs(60, "allOf")["$defs"]},
        {"patternProperties": {"enum": laughs(60, "allOf")}, "$defs": laughs(60, "allOf")["$defs"]},
        {"$defs": {"n": {}}, "properties": {"a": {"$id": "x", **laughs(60, "allOf")}}},
        {"$ref": "#somewhere"},
        {"$ref": "#/$defs/none"},
        nested(400, "not"),
    ],
)
def test_a_schema_without_a_bound_is_refused_at_once(schema: JsonObject) -> None:
    began = time.monotonic()
    with pytest.raises(SchemaError):
        ArgumentCheck({"type": "object", **schema})
    assert time.monotonic() - began < SOON_S


@pytest.mark.parametrize(
    "doubled",
    [
        {"allOf": [{"properties": {"a": REF}}, {"properties": {"a": REF}}]},
        {"properties": {"a": REF}, "patternProperties": {"^a": REF}},
        {"properties": {"a": REF}, "additionalProperties": REF, "patternProperties": {".": REF}},
    ],
)
def test_a_schema_that_doubles_at_each_level_takes_shallow_arguments_only(doubled: JsonObject) -> None:
    check = ArgumentCheck({"type": "object", "$ref": "#/$defs/n", "$defs": {"n": doubled}})
    began = time.monotonic()
    assert check.faults(nested(5)) == ()
    assert [str(fault) for fault in check.faults(nested(64))] == [
        "arguments: are too large or too deep for their schema"
    ]
    assert not check.is_valid(nested(64))
    assert time.monotonic() - began < SOON_S


def test_many_wrong_arguments_are_refused_by_the_first() -> None:
    words: JsonValue = {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "boolean"}]}}
    check = ArgumentCheck({"type": "object", "properties": {"words": words}})
    began = time.monotonic()
    assert [fault.field for fault in check.faults({"words": [1] * 1_000_000})] == ["words[0]"]
    assert [fault.field for fault in check.faults({"words": [1, 2]})] == ["words[0]", "words[1]"]
    assert time.monotonic() - began < SOON_S


@pytest.mark.parametrize("pattern", ["^(a+)+$", r"^(?=a)(a|a)*\\1?b$", "^(?!b)(?:a|aa|a?)+c$"])
def test_a_pattern_that_runs_away_is_cut_off(pattern: str) -> None:
    items: JsonValue = {"type": "array", "items": {"pattern": pattern}}
    check = ArgumentCheck({"type": "object", "properties": {"x": items}})
    began = time.monotonic()
    assert check.faults({"x": ["a" * 60 + "!"] * 200}) != ()
    assert time.monotonic() - began < SOON_S


def test_trees_and_ordinary_large_arguments_are_taken() -> None:
    node: JsonObject = {"type": "object", "properties": {"left": REF, "right": REF}}
    check = ArgumentCheck({"type": "object", "properties": {"top": REF}, "$defs": {"n": node}})
    assert check.faults({"top": nested(100, "left")}) == ()
    assert check.faults({"top": {"left": {"right": 1}}}) != ()
    numbers = ArgumentCheck({"type": "object", "properties": {"x": {"items": {"type": "integer"}}}})
    assert numbers.faults({"x": [1] * 500_000}) == ()
