"""Arguments that a tool's schema mirrors into HTTP headers (``x-mcp-header``), checked against the body.

An intermediary may route by such a header, so header and argument must agree: both there and equal, or both
absent. A schema with a misplaced or doubled annotation mirrors nothing: clients drop such a tool.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.mcp.messages import HEADER_MISMATCH, Headers, RpcError, decode_header, encode_header

ANNOTATION = "x-mcp-header"
_PREFIX = "mcp-param-"
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_DECIMAL = re.compile(r"-?[0-9]{1,400}(\.0+)?\Z")
_TYPES = ("string", "integer", "boolean")


@dataclass(frozen=True)
class ParamHeader:
    """The argument at ``path`` and the lower-case header that mirrors it."""

    path: tuple[str, ...]
    header: bytes
    is_integer: bool


def param_headers(schema: JsonObject) -> tuple[ParamHeader, ...]:
    """What ``schema`` mirrors; nothing if any of its annotations is not as it must be."""
    total = _annotations(schema)
    if total == 0:
        return ()
    found = list(_reachable(schema, ()))
    valid = all(header is not None for header in found)
    names = {header.header for header in found if header is not None}
    if not valid or len(found) != total or len(names) != len(found):
        return ()
    return tuple(header for header in found if header is not None)


def check_param_headers(
    mirrored: tuple[ParamHeader, ...], headers: Headers, doubled: frozenset[bytes], arguments: JsonValue
) -> None:
    """Raises:
    RpcError: ``HEADER_MISMATCH`` at the first header that disagrees with its argument.
    """
    for each in mirrored:
        value = _value_at(arguments, each.path)
        raw = headers.get(each.header)
        if each.header in doubled or not _agree(each, value, raw):
            raise RpcError(
                HEADER_MISMATCH,
                f"The header {each.header.decode()} does not match the argument {'.'.join(each.path)!r}.",
            )


def mirrored_headers(mirrored: tuple[ParamHeader, ...], arguments: JsonValue) -> dict[str, str]:
    """The headers that a request with these arguments must carry."""
    headers = {}
    for each in mirrored:
        value = _value_at(arguments, each.path)
        if isinstance(value, bool):
            headers[each.header.decode()] = "true" if value else "false"
        elif isinstance(value, (str, int, float)):
            headers[each.header.decode()] = encode_header(str(value))
    return headers


def _agree(mirrored: ParamHeader, value: JsonValue, raw: bytes | None) -> bool:
    if value is None or isinstance(value, (dict, list)):
        return raw is None
    if raw is None:
        return False
    shown = decode_header(raw.decode("latin-1").strip(" \t"))
    if shown is None:
        return False
    if isinstance(value, bool):
        return shown == ("true" if value else "false")
    if mirrored.is_integer and isinstance(value, (int, float)) and _DECIMAL.match(shown):
        return int(shown.partition(".")[0]) == value
    return shown == str(value)


def _reachable(schema: JsonObject, path: tuple[str, ...]) -> Iterator[ParamHeader | None]:
    """Annotations along chains of ``properties``; None for one that is not valid."""
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return
    for name, field in properties.items():
        if not isinstance(field, dict):
            continue
        if ANNOTATION in field:
            token, kind = field[ANNOTATION], field.get("type")
            valid = isinstance(token, str) and _TOKEN.match(token) and kind in _TYPES
            header = f"{_PREFIX}{token}".lower().encode() if valid else b""
            yield ParamHeader((*path, name), header, kind == "integer") if valid else None
        yield from _reachable(field, (*path, name))


def _annotations(value: JsonValue) -> int:
    if isinstance(value, dict):
        # a property may itself have that name; then its value is a schema, not a token
        own = 1 if ANNOTATION in value and not isinstance(value[ANNOTATION], dict) else 0
        return own + sum(_annotations(each) for each in value.values())
    if isinstance(value, list):
        return sum(_annotations(each) for each in value)
    return 0


def _value_at(value: JsonValue, path: tuple[str, ...]) -> JsonValue:
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value
