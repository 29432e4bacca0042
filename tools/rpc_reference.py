"""Write ``docs/rpc.md`` from the RPC table itself; with ``--check`` only say whether it is true."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ploinky.gateway.hub import TOPICS
from ploinky.gateway.rpc.discover import openrpc
from ploinky.gateway.rpc.envelope import RpcCode

PAGE = Path(__file__).parents[1] / "docs" / "rpc.md"
INTRO = """\
# JSON-RPC

Made by `make docs` from the table of methods; `rpc.discover` answers the same as an OpenRPC document.

`POST /rpc` takes JSON-RPC 2.0, batches included, with `Authorization: Bearer <token>` (`ploinky token`) or
the cookie of a login. `GET /ws` is the same over a websocket. Parameters are given by name. Every answer has
an `auditId`: beside `result`, in `error.data`, and in the header `X-Audit-Id`.

```text
POST /rpc  {"jsonrpc": "2.0", "id": 1, "method": "agents.start", "params": {"agent": "files"}}
200        {"jsonrpc": "2.0", "id": 1, "result": {"operationId": "...", "done": true, ...}, "auditId": "..."}
```

The older envelope `{"version": "2.0", "method": ..., "params": ...}` is answered in kind:
`{"ok": true, "result": ..., "auditId": ...}` or `{"ok": false, "error": ..., "auditId": ...}`.

An error has a number, a message for people and `data` with a stable `code`, a `hint`, and for bad parameters
the `field`. Programs decide by `data.code`.
"""
EVENTS = """\
## Events

`GET /events` sends server-sent events. The query chooses: `topics` (names with commas between; left out:
all), `agent`, `profileId`, `sessionId`. An event's type is its topic; its data is
`{"topic", "kind", "at", "agent"?, "profileId"?, "sessionId"?, "data"}`. A client that comes back with
`Last-Event-ID` gets what it missed; if that is not kept any more, or the gateway was started anew, it gets an
event `stream` of kind `reset` and should look at everything again. A comment comes every 15 seconds.

Over `/ws` the method `events.subscribe` takes the same words as parameters, and `after` for the last id;
events come as the notification `event`, and `ping` every 15 seconds. `events.unsubscribe` ends it.
"""


def page() -> str:
    """The whole reference."""
    document: Mapping[str, Any] = openrpc()
    parts = [INTRO, *_errors(), EVENTS, *_topics()]
    subject = ""
    for method in document["methods"]:
        if method["tags"][0]["name"] != subject:
            subject = method["tags"][0]["name"]
            parts.append(f"## {subject}\n")
        parts += _method(method, document["components"]["schemas"])
    return "\n".join(parts).replace("``", "`")


def _errors() -> Iterator[str]:
    yield "| number | meaning |\n|---|---|"
    for code in RpcCode:
        yield f"| {int(code)} | {code.name.lower().replace('_', ' ')} |"
    yield ""


def _topics() -> Iterator[str]:
    yield "| topic | scope |\n|---|---|"
    for topic, scope in TOPICS.items():
        yield f"| `{topic}` | `{scope}` |"
    yield ""


def _method(method: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[str]:
    yield f"### `{method['name']}`\n"
    yield " ".join([method["summary"], *method["description"].split()]) + "\n"
    scope = f"`{method['x-scope']}`" if method["x-scope"] else "any caller"
    rate = method["x-rate"]
    yield f"Scope: {scope}. Rate: {rate['perMinute']:g} a minute, {rate['burst']} at once.\n"
    for param in method["params"]:
        needed = "" if param["required"] else ", optional"
        default = param["schema"].get("default")
        shown = f" (default `{default}`)" if default not in (None, {}, []) else ""
        yield f"- `{param['name']}`: {_type(param['schema'], schemas)}{needed}{shown}"
    if method["params"]:
        yield f"\n{' '.join(method['x-params'].split())}\n"
    yield f"Result: {_result(method['result']['schema'], schemas)}\n"


def _result(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    many = schema.get("type") == "array"
    one = _resolved(schema["items"] if many else schema, schemas)
    fields = one.get("properties")
    if not fields:
        return _type(schema, schemas)
    about = " ".join(str(one.get("description", "")).split())
    listed = ", ".join(f"`{name}` {_type(each, schemas)}" for name, each in fields.items())
    return f"{'a list of ' if many else ''}{{{listed}}}. {about}"


def _type(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return "any JSON" if name == "JsonValue" else name
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(each, schemas) for each in schema["anyOf"]))
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}), schemas)}"
    return str(schema.get("type", "any JSON"))


def _resolved(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" in schema:
        found: Mapping[str, Any] = schemas.get(str(schema["$ref"]).rpartition("/")[2], {})
        return found
    return schema


def main(words: list[str]) -> int:
    text = page()
    if words == ["--check"]:
        fresh = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text
        print(f"{PAGE.name} is {'as the methods are' if fresh else 'stale; write it anew: make docs'}")
        return 0 if fresh else 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
