"""``mcp config``: how an MCP client reaches this workspace's router.

One row per client: where its file lies, and how a server stands in it. By default the client starts
``ploinky mcp stdio``, which needs no token in the client's file and finds the router whatever its port is.
Installing and removing change nothing but the one entry, and keep the former file beside it.
"""

from __future__ import annotations

import json
import re
import stat
import sys
import tomllib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from ploinky.base.errors import PloinkyError
from ploinky.base.files import FileLock, read_text, require_unlinked, write_atomic
from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.operations.endpoint import find_endpoint
from ploinky.operations.platform import Platform
from ploinky.operations.routing import last_port
from ploinky.wire.events import Event, Notice, Output, Result


@dataclass(frozen=True)
class ServerEntry:
    """The router as a client's entry: by a command (no token), or by URL with the owner's token."""

    command: tuple[str, ...]
    url: str | None = None
    token: str | None = None


Merge = Callable[[str, str, ServerEntry | None], str]


@dataclass(frozen=True)
class Client:
    """One MCP client. ``file`` is where its servers stand, from the workspace's root and the user's home;
    ``merge`` makes the new text of that file, in which the server of that name is the entry, or is not."""

    file: Callable[[Path, Path], Path]
    merge: Merge


def _stdio(entry: ServerEntry) -> JsonObject:
    arguments: list[JsonValue] = [*entry.command[1:]]
    return {"command": entry.command[0], "args": arguments}


def _http(entry: ServerEntry) -> JsonObject:
    return {"url": entry.url, "headers": {"Authorization": f"Bearer {entry.token}"}}


def _typed(entry: ServerEntry) -> JsonObject:
    """As Claude and VS Code want it: the transport by name."""
    return {"type": "http", **_http(entry)} if entry.url else {"type": "stdio", **_stdio(entry)}


def _untyped(entry: ServerEntry) -> JsonObject:
    return _http(entry) if entry.url else _stdio(entry)


def _windsurf(entry: ServerEntry) -> JsonObject:
    served = _http(entry)
    return {"serverUrl": served["url"], "headers": served["headers"]} if entry.url else _stdio(entry)


def _gemini(entry: ServerEntry) -> JsonObject:
    served = _http(entry)
    return {"httpUrl": served["url"], "headers": served["headers"]} if entry.url else _stdio(entry)


def _json_merge(section: str, form: Callable[[ServerEntry], JsonObject]) -> Merge:
    def merge(text: str, name: str, entry: ServerEntry | None) -> str:
        try:
            document = json.loads(text) if text.strip() else {}
        except ValueError as error:
            raise _unreadable(str(error)) from error
        servers = document.setdefault(section, {}) if isinstance(document, dict) else None
        if not isinstance(servers, dict):
            raise _unreadable(f"{section!r} is no object")
        if entry is None:
            if servers.pop(name, None) is None:
                return text
        else:
            servers[name] = form(entry)
        return json.dumps(document, indent=_indent(text), ensure_ascii=False) + "\n"

    return merge


def _toml_merge(text: str, name: str, entry: ServerEntry | None) -> str:
    """Codex: replace, append or cut one table; every other line stays as it is."""
    table = "" if entry is None else _toml_table(name, entry)
    header = re.escape(f"[mcp_servers.{name}]")
    own = re.compile(rf"^{header}[ \t]*\n(?:(?!\[).*\n?)*", re.MULTILINE)
    try:
        tomllib.loads(text)
        if own.search(text):
            merged = own.sub(lambda _: table, text, count=1)
        elif entry is None:
            merged = text
        else:
            merged = text + ("" if not text or text.endswith("\n") else "\n") + ("\n" if text else "") + table
        tomllib.loads(merged)
    except tomllib.TOMLDecodeError as error:
        raise _unreadable(str(error)) from error
    return merged


def _toml_table(name: str, entry: ServerEntry) -> str:
    lines = [f"[mcp_servers.{name}]"]
    if entry.url:
        lines += [f"url = {json.dumps(entry.url)}"]
        lines += [f"http_headers = {{ Authorization = {json.dumps(f'Bearer {entry.token}')} }}"]
    else:
        lines += [
            f"command = {json.dumps(entry.command[0])}",
            f"args = {json.dumps(list(entry.command[1:]))}",
        ]
    return "\n".join(lines) + "\n"


CLIENTS: Mapping[str, Client] = {
    "claude": Client(lambda root, home: root / ".mcp.json", _json_merge("mcpServers", _typed)),
    "cursor": Client(lambda root, home: root / ".cursor" / "mcp.json", _json_merge("mcpServers", _untyped)),
    "vscode": Client(lambda root, home: root / ".vscode" / "mcp.json", _json_merge("servers", _typed)),
    "codex": Client(lambda root, home: home / ".codex" / "config.toml", _toml_merge),
    "claude-desktop": Client(
        lambda root, home: home / ".config" / "Claude" / "claude_desktop_config.json",
        _json_merge("mcpServers", _untyped),
    ),
    "windsurf": Client(
        lambda root, home: home / ".codeium" / "windsurf" / "mcp_config.json",
        _json_merge("mcpServers", _windsurf),
    ),
    "gemini": Client(
        lambda root, home: home / ".gemini" / "settings.json", _json_merge("mcpServers", _gemini)
    ),
}


class Change(Enum):
    """What is done to the client's file."""

    NONE = "none"
    INSTALL = "install"
    REMOVE = "remove"


@dataclass(frozen=True)
class ConfigRequest:
    """``file`` instead of the client's usual one; ``token`` is given for an entry by URL."""

    client: str
    name: str
    change: Change
    file: Path | None
    token: str | None


async def client_config(platform: Platform, request: ConfigRequest) -> AsyncIterator[Event]:
    """Print the client's configuration, merge it into the client's file, or take it out of that file.

    Raises:
        PloinkyError: ``CLIENT_CONFIG`` if the file cannot be understood; it is not changed then.
    """
    client = CLIENTS[request.client]
    entry = _entry(platform, request)
    home = Path(platform.environ.get("HOME") or Path.home())
    path = request.file or client.file(platform.layout.root, home)
    value: JsonObject = {
        "client": request.client,
        "file": str(path),
        "installed": request.change is Change.INSTALL,
        "removed": request.change is Change.REMOVE,
    }
    if request.change is Change.NONE:
        text = client.merge("", request.name, entry)
        yield Notice(message=f"For {path} (ploinky mcp config {request.client} --install writes it):")
        yield Output(text=text)
        yield Result(value={**value, "text": text})
        return
    wanted = entry if request.change is Change.INSTALL else None
    if platform.layout.root in path.parents:
        require_unlinked(path)  # agents in global mode write there, and what is read is copied
    with FileLock(platform.layout.lock("client-config")):
        before = read_text(path)
        merged = _merged(client, path, before or "", request, wanted)
        if merged == (before or ""):
            yield Notice(
                message=f"{path} has no {request.name!r}." if wanted is None else f"{path} is right."
            )
            yield Result(value={**value, "backup": None})
            return
        backup = None if before is None else _keep(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, merged.encode(), mode=_mode(path, entry))
    done = "Wrote" if wanted is not None else "Removed"
    where = f"{'to' if wanted is not None else 'from'} {path}"
    yield Notice(message=f"{done} '{request.name}' {where}" + (f" (before: {backup})" if backup else ""))
    yield Result(value={**value, "backup": str(backup) if backup else None})


def _merged(
    client: Client, path: Path, before: str, request: ConfigRequest, entry: ServerEntry | None
) -> str:
    try:
        return client.merge(before, request.name, entry)
    except PloinkyError as error:
        raise PloinkyError(
            error.code,
            f"{path}: {error.message}",
            hint=f"It was not changed. Do by hand what this prints: ploinky mcp config {request.client}",
        ) from error


def _mode(path: Path, entry: ServerEntry) -> int:
    """The file's own mode, so that what was private stays so; private where the owner's token is in it."""
    if entry.token:
        return 0o600
    return stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o644


def _entry(platform: Platform, request: ConfigRequest) -> ServerEntry:
    command = (sys.executable, "-m", "ploinky", "--workspace", str(platform.layout.root), "mcp", "stdio")
    if request.token is None:
        return ServerEntry(command)
    endpoint = find_endpoint(platform.layout)
    base = endpoint.url if endpoint else _usual_url(platform)
    return ServerEntry(command, f"{base}/mcp", request.token)


def _usual_url(platform: Platform) -> str:
    """Where a gateway would listen that does not run now."""
    from ploinky.operations.gateway_control import bind_host

    port = last_port(platform.layout) or platform.settings.gateway.port
    return f"http://{bind_host(platform)}:{port}"


def _keep(path: Path) -> Path:
    """The former file under a name of its own: ``NAME.bak``, ``NAME.bak2``, ..."""
    number = 1
    while (backup := path.with_name(f"{path.name}.bak{number if number > 1 else ''}")).exists():
        number += 1
    write_atomic(backup, path.read_bytes(), mode=0o600)
    return backup


def _indent(text: str) -> int | str:
    found = re.search(r"\n([ \t]+)\S", text)
    if found is None:
        return 2
    return "\t" if found.group(1).startswith("\t") else len(found.group(1))


def _unreadable(reason: str) -> PloinkyError:
    return PloinkyError("CLIENT_CONFIG", f"it cannot be understood ({reason}).")
