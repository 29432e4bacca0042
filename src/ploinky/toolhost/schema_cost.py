"""How much work a schema can make of a value, so that no agent's schema keeps the gateway busy.

References can double the work at every step, along the schema or along the value. A schema is unrolled
here once, every reference followed until it comes back to where it started; a value then costs at most
``nodes`` for each of its parts, times ``fold`` for each level of its depth. To follow one more kind of
reference: a row in ``_REFERENCES``.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import unquote

from ploinky.base.jsontypes import JsonObject, JsonValue

MOST_NODES = 20_000
_MOST_DEPTH = 200
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_META = ("http://json-schema.org/", "https://json-schema.org/")
_NO_SCHEMAS = frozenset({"$defs", "definitions", "enum", "const", "examples", "default"})
_MAPS = frozenset({"properties", "patternProperties", "dependentSchemas", "dependencies"})
_ONE_STEP = frozenset(
    {
        "items",
        "prefixItems",
        "additionalItems",
        "unevaluatedItems",
        "contains",
        "additionalProperties",
        "unevaluatedProperties",
        "propertyNames",
    }
)
_ANY_STEP = "*"
_BACKTRACKING = re.compile(r"\(\?[=!<>]|\\[1-9k]")
_WEIGHT_OF_BACKTRACKING = 1000


class TooCostlyError(ValueError):
    """A schema whose unrolled form is too large, or that refers to itself at the same place."""


@dataclass(frozen=True)
class SchemaCost:
    """``nodes`` of the unrolled schema; how many times it comes back to one part of a value (``fold``)."""

    nodes: int
    fold: int

    def of(self, value: JsonValue) -> float:
        """The most steps that checking ``value`` can take."""
        parts, depth = _size(value)
        growth = float(self.fold) ** depth if depth < _MOST_DEPTH else float("inf")
        return self.nodes * parts * (growth if self.fold > 1 else 1.0)


def schema_cost(schema: JsonObject) -> SchemaCost:
    """What checking by ``schema`` costs.

    Raises:
        TooCostlyError: why that cannot be bounded.
    """
    unrolled = _Unrolling(schema)
    unrolled.visit(schema, (), 0)
    return SchemaCost(unrolled.nodes, unrolled.fold)


@dataclass
class _Unrolling:
    """A walk over a schema. ``open_at`` is, by reference, the number of steps into the value at which it
    was followed and not left yet; ``returns`` counts by reference and last step how often it came back."""

    root: JsonObject
    nodes: int = 0
    returns: Counter[tuple[str, str]] = field(default_factory=Counter)
    open_at: dict[str, int] = field(default_factory=dict)

    @property
    def fold(self) -> int:
        """A step by a pattern may meet every name, so it counts with each."""
        folds = [
            count + (self.returns[reference, _ANY_STEP] if step != _ANY_STEP else 0)
            for (reference, step), count in list(self.returns.items())
        ]
        return max(folds, default=1)

    def visit(self, schema: JsonValue, steps: tuple[str, ...], depth: int) -> None:
        self.nodes += 1
        if self.nodes > MOST_NODES or depth > _MOST_DEPTH:
            raise TooCostlyError("is too large or too deep with its references followed")
        if isinstance(schema, list):
            for each in schema:
                self.visit(each, steps, depth + 1)
        if not isinstance(schema, dict):
            return
        if schema is not self.root and self._is_named(schema):
            raise TooCostlyError("has a part with a '$id' of its own, from which references would start anew")
        for word, inner in schema.items():
            if word in _REFERENCES and isinstance(inner, str):
                self._follow(inner, steps, depth)
            elif word == "pattern" and isinstance(inner, str):
                self._weigh(inner)
            elif word in _MAPS and isinstance(inner, dict):
                self._visit_map(word, inner, steps, depth)
            elif word not in _NO_SCHEMAS:
                self.visit(inner, (*steps, _ANY_STEP) if word in _ONE_STEP else steps, depth + 1)

    def _visit_map(self, word: str, schemas: JsonObject, steps: tuple[str, ...], depth: int) -> None:
        for name, schema in schemas.items():
            if word == "properties":
                inside = (*steps, name)
            elif word == "patternProperties":
                inside = (*steps, _ANY_STEP)
                self._weigh(name)
            else:
                inside = steps
            self.visit(schema, inside, depth + 1)

    def _weigh(self, pattern: str) -> None:
        if _BACKTRACKING.search(pattern):
            self.nodes += _WEIGHT_OF_BACKTRACKING

    def _is_named(self, schema: JsonObject) -> bool:
        old = "draft-04" in str(self.root.get("$schema"))
        return isinstance(schema.get("$id"), str) or (old and isinstance(schema.get("id"), str))

    def _follow(self, reference: str, steps: tuple[str, ...], depth: int) -> None:
        if reference.startswith(_META):
            return
        if reference not in self.open_at:
            self.open_at[reference] = len(steps)
            self.visit(self._target(reference), steps, depth + 1)
            del self.open_at[reference]
        elif len(steps) == self.open_at[reference]:
            raise TooCostlyError(f"refers to {reference!r} from the same place again")
        else:
            self.returns[reference, steps[-1]] += 1

    def _target(self, reference: str) -> JsonValue:
        if reference == "#":
            return self.root
        if not reference.startswith("#/"):
            raise TooCostlyError(f"has the reference {reference!r}; only '#' and '#/...' are followed")
        node: JsonValue = self.root
        for raw in reference.removeprefix("#/").split("/"):
            step = unquote(raw).replace("~1", "/").replace("~0", "~")
            if isinstance(node, dict) and step in node:
                node = node[step]
            elif isinstance(node, list) and step.isdecimal() and int(step) < len(node):
                node = node[int(step)]
            else:
                raise TooCostlyError(f"has the reference {reference!r}, which leads nowhere")
        return node


def _size(value: JsonValue) -> tuple[int, int]:
    """How many parts a value has, and how deep they lie."""
    parts, depth, level = 1, 0, [value]
    while level := [
        inner
        for each in level
        if isinstance(each, (dict, list))
        for inner in (each.values() if isinstance(each, dict) else each)
    ]:
        parts += len(level)
        depth += 1
    return parts, depth
