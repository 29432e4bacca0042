"""``rpc.discover``: the table as an OpenRPC document, made from the rows and nothing else."""

from __future__ import annotations

import functools
from inspect import cleandoc
from typing import Any

from pydantic import TypeAdapter

from ploinky import __version__
from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.gateway.rpc.envelope import RpcCode
from ploinky.gateway.rpc.method import Call, Method, NoParams, reading

_SCHEMAS = "#/components/schemas/{model}"


async def discover(call: Call, params: NoParams) -> JsonObject:
    """This document: every method with its parameters, result, scope and rate, as OpenRPC."""
    return openrpc()


@functools.cache
def openrpc() -> JsonObject:
    """The OpenRPC document of all methods."""
    from ploinky.gateway.rpc.table import SUBJECTS

    schemas: JsonObject = {}
    methods: list[JsonValue] = [
        _described(row, subject, schemas) for subject, rows in SUBJECTS for row in rows
    ]
    return {
        "openrpc": "1.3.2",
        "info": {
            "title": "Ploinky",
            "version": __version__,
            "description": "Agents, tools, assistants and the workspace. POST /rpc or websocket /ws.",
        },
        "methods": methods,
        "components": {"schemas": schemas},
    }


def _described(row: Method[Any], subject: str, schemas: JsonObject) -> JsonObject:
    params = _schema(row.params, schemas, mode="validation")
    required = params.get("required")
    needed = required if isinstance(required, list) else []
    properties = params.get("properties")
    fields = properties if isinstance(properties, dict) else {}
    listed: list[JsonValue] = [
        {"name": name, "required": name in needed, "schema": schema} for name, schema in fields.items()
    ]
    first, _, rest = row.about.partition("\n")
    return {
        "name": row.name,
        "summary": first,
        "description": rest.strip(),
        "tags": [{"name": subject}],
        "paramStructure": "by-name",
        "params": listed,
        "result": {"name": "result", "schema": _schema(row.result, schemas, mode="serialization")},
        "errors": [{"code": int(RpcCode.INVALID_PARAMS), "message": "Bad parameters; data.field names one."}],
        "x-params": cleandoc(row.params.__doc__ or ""),
        "x-scope": str(row.scope) if row.scope else None,
        "x-rate": {"perMinute": row.rate.per_minute, "burst": row.rate.burst},
    }


def _schema(kind: Any, schemas: JsonObject, *, mode: Any) -> JsonObject:
    schema: JsonObject = TypeAdapter(kind).json_schema(ref_template=_SCHEMAS, mode=mode)
    definitions = schema.pop("$defs", {})
    assert isinstance(definitions, dict)
    schemas.update(definitions)
    return schema


DISCOVER_METHODS = (reading("rpc.discover", NoParams, dict[str, Any], None, discover),)
