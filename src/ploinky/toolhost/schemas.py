"""Schemas of tools: the shorthand map of real configurations made JSON Schema, and arguments checked.

The shorthand is a map of field name to field; a field is required unless it says ``optional: true``;
``min`` and ``max`` stand for what bounds the field's type. References to files or servers are refused, so
that a configuration cannot make the gateway fetch anything, and work that has no end is not begun.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import jsonschema_rs

from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.toolhost.schema_cost import TooCostlyError, schema_cost

JsonPath = tuple[str | int, ...]
_MOST_ERRORS = 8
_LONGEST_MESSAGE = 300
_MOST_STEPS = 20_000_000  # a fraction of a second
_MOST_STEPS_TO_TELL_ALL = 20_000
_BACKTRACK_LIMIT = 10_000
_BOUNDS = {
    "string": ("minLength", "maxLength"),
    "array": ("minItems", "maxItems"),
    "object": ("minProperties", "maxProperties"),
}
_NUMBER_BOUNDS = ("minimum", "maximum")
_SCHEMA_WORDS = ("$schema", "$ref", "$defs", "$id", "anyOf", "oneOf", "allOf", "required")


class SchemaError(ValueError):
    """A schema that cannot be used; ``path`` leads to the place inside it."""

    def __init__(self, path: JsonPath, message: str) -> None:
        super().__init__(message)
        self.path = path
        self.message = message


@dataclass(frozen=True)
class ArgumentFault:
    """One argument that its schema refuses; ``field`` is a path such as ``files[0].path``."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


class ArgumentCheck:
    """A compiled schema."""

    def __init__(self, schema: JsonObject) -> None:
        """Compile ``schema``.

        Raises:
            SchemaError: it is no valid JSON Schema, refers to something outside itself, or can cost too much.
        """
        try:
            self._validator = jsonschema_rs.validator_for(
                schema,
                offline=True,
                pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=_BACKTRACK_LIMIT),
            )
            self._cost = schema_cost(schema)
        except TooCostlyError as error:
            raise SchemaError((), str(error)) from error
        except ValueError as error:
            if not isinstance(error, jsonschema_rs.ValidationError):
                raise SchemaError((), _short(str(error))) from error
            path = tuple(error.instance_path)
            wrong_type = path[-1:] == ("type",)
            raise SchemaError(
                path, "is no JSON Schema type" if wrong_type else _short(error.message)
            ) from error

    def is_valid(self, value: JsonValue) -> bool:
        return self._cost.of(value) <= _MOST_STEPS and self._validator.is_valid(value)

    def faults(self, value: JsonValue) -> tuple[ArgumentFault, ...]:
        """What is wrong with ``value``; empty if nothing is. At most eight, in the schema's order.

        Of a large value only the first fault is looked for, because the validator collects them all.
        """
        steps = self._cost.of(value)
        if steps > _MOST_STEPS:
            return (ArgumentFault("arguments", "are too large or too deep for their schema"),)
        if self._validator.is_valid(value):
            return ()
        if steps > _MOST_STEPS_TO_TELL_ALL:
            return (self._first_fault(value),)
        found: list[ArgumentFault] = []
        for error in self._validator.iter_errors(value):
            found.append(_argument_fault(error))
            if len(found) == _MOST_ERRORS:
                break
        return tuple(found)

    def _first_fault(self, value: JsonValue) -> ArgumentFault:
        try:
            self._validator.validate(value)
        except jsonschema_rs.ValidationError as error:
            return _argument_fault(error)
        return ArgumentFault("arguments", "are not valid")


def input_schema(given: JsonObject | None) -> JsonObject:
    """The JSON Schema of a tool's arguments, from either form or from nothing.

    Raises:
        SchemaError: a field is no object, or the root does not describe an object.
    """
    if given is None:
        return {"type": "object", "properties": {}}
    if not _is_json_schema(given):
        return _object_schema(given, ())
    if given.get("type", "object") != "object":
        raise SchemaError(("type",), "Arguments are an object, so the schema's type must be 'object'.")
    return {"type": "object", **given}


def _is_json_schema(given: JsonObject) -> bool:
    """A shorthand map holds fields only, and a field is an object; a schema's own words tell it apart."""
    if isinstance(given.get("type"), (str, list)):
        return True
    if any(not isinstance(given.get(word, {}), dict) for word in _SCHEMA_WORDS):
        return True
    properties = given.get("properties")
    return isinstance(properties, dict) and not isinstance(properties.get("type"), str)


def _object_schema(fields: JsonObject, path: JsonPath) -> JsonObject:
    properties: JsonObject = {}
    required: list[JsonValue] = []
    for name, field in fields.items():
        if not isinstance(field, dict):
            raise SchemaError((*path, name), 'A field is an object such as {"type": "string"}.')
        properties[name] = _field_schema(field, (*path, name))
        if field.get("optional") is not True and field.get("required") is not False:
            required.append(name)
    schema: JsonObject = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    return schema


def _field_schema(field: JsonObject, path: JsonPath) -> JsonObject:
    schema = {key: value for key, value in field.items() if key not in ("optional", "min", "max")}
    if isinstance(schema.get("required"), bool):
        del schema["required"]
    if schema.get("type") == "any":
        del schema["type"]
    kind = schema.get("type")
    lower, upper = _BOUNDS.get(kind, _NUMBER_BOUNDS) if isinstance(kind, str) else _NUMBER_BOUNDS
    for short, word in (("min", lower), ("max", upper)):
        if short in field:
            schema.setdefault(word, field[short])
    items = schema.get("items")
    if isinstance(items, dict):
        schema["items"] = _field_schema(items, (*path, "items"))
    elif isinstance(items, str):
        schema["items"] = {"type": items}
    properties = schema.get("properties")
    if isinstance(properties, dict):
        nested = _object_schema(properties, (*path, "properties"))
        schema["properties"] = nested["properties"]
        if "required" not in schema and "required" in nested:
            schema["required"] = nested["required"]
    return schema


def _argument_fault(error: jsonschema_rs.ValidationError) -> ArgumentFault:
    path: JsonPath = tuple(error.instance_path)
    missing = getattr(error.kind, "property", None)
    if isinstance(missing, str):
        return ArgumentFault(path_text((*path, missing)), "is required")
    field = path_text(path) if path else "arguments"
    return ArgumentFault(field, _short(error.message))


def path_text(path: JsonPath) -> str:
    """``("tools", 0, "name")`` as ``tools[0].name``; the root as ``(whole file)``."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".") or "(whole file)"


def fault_text(faults: Iterable[ArgumentFault]) -> str:
    return "; ".join(str(fault) for fault in faults)


def _short(message: str) -> str:
    first = message.splitlines()[0] if message else "is not valid"
    return first if len(first) <= _LONGEST_MESSAGE else first[: _LONGEST_MESSAGE - 1] + "…"
