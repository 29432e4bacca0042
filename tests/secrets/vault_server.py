"""A Vault to test against: the real ``bao`` or ``vault`` in development mode where the machine has one, else
an emulation of the parts that are used, as their public API describes them.

Tests prepare both by hvac, the client of Vault's own users, so that the emulation cannot be made to fit ours.
The emulation has a character too: it can be sealed, fall silent, and revoke tokens; it counts reads.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ROOT = "root-token-for-tests"
_RULE = re.compile(r'path\s+"([^"]+)"\s*\{\s*capabilities\s*=\s*\[([^\]]*)\]')


@dataclass
class State:
    """What the emulated server knows."""

    sealed: bool = False
    silent: bool = False
    reads: int = 0
    tokens: dict[str, tuple[str, ...]] = field(default_factory=lambda: {ROOT: ("root",)})
    policies: dict[str, dict[str, str]] = field(default_factory=dict)
    roles: dict[str, dict[str, Any]] = field(default_factory=dict)
    secret_ids: dict[str, str] = field(default_factory=dict)
    data: dict[str, list[Any]] = field(default_factory=dict)
    released: threading.Event = field(default_factory=threading.Event)

    def allows(self, token: str, path: str, capability: str) -> bool:
        names = self.tokens.get(token, ())
        rules = [rule for name in names for rule in self.policies.get(name, {}).items()]
        return "root" in names or any(
            (path.startswith(glob[:-1]) if glob.endswith("*") else path == glob) and capability in can
            for glob, can in rules
        )


@dataclass(frozen=True)
class VaultServer:
    """Where it listens; ``state`` is None if it is a real one."""

    address: str
    state: State | None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: State

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PUT(self) -> None:
        self._answer("PUT")

    def do_DELETE(self) -> None:
        self._answer("DELETE")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing."""

    def _answer(self, method: str) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.state.silent:
            self.state.released.wait(60)
        status, value = self._decide(method, self.path.removeprefix("/v1/"), json.loads(body or b"{}"))
        data = json.dumps(value).encode() if value is not None else b""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _decide(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        state = self.state
        if state.sealed:
            return 503, {"errors": ["Vault is sealed"]}
        if path == "auth/approle/login":
            return self._login(body)
        token = self.headers.get("X-Vault-Token", "")
        verb = {"GET": "read", "POST": "update", "PUT": "update", "DELETE": "delete"}[method]
        if not state.allows(token, path, verb):
            return 403, {"errors": ["permission denied"]}
        if path.startswith("sys/policies/acl/"):
            state.policies[path.rpartition("/")[2]] = dict(_RULE.findall(body["policy"]))
            return 204, None
        if path.startswith("sys/auth/"):
            return 204, None
        if path.startswith("auth/approle/role/"):
            return self._role(path.split("/")[3:], body)
        if path.startswith("secret/data/"):
            return self._kv(method, path.removeprefix("secret/data/"), body)
        return 404, {"errors": [f"no handler for route '{path}'"]}

    def _login(self, body: dict[str, Any]) -> tuple[int, Any]:
        role = self.state.secret_ids.get(body.get("secret_id", ""))
        if role is None or self.state.roles[role]["id"] != body.get("role_id"):
            return 400, {"errors": ["invalid role or secret ID"]}
        token = "hvs." + secrets.token_urlsafe(16)
        self.state.tokens[token] = tuple(self.state.roles[role]["policies"])
        return 200, {"auth": {"client_token": token, "lease_duration": 3600, "renewable": True}}

    def _role(self, words: list[str], body: dict[str, Any]) -> tuple[int, Any]:
        name = words[0]
        if len(words) == 1:
            policies = body["token_policies"]
            names = policies.split(",") if isinstance(policies, str) else policies
            self.state.roles[name] = {"id": secrets.token_hex(8), "policies": names}
            return 204, None
        if words[1] == "role-id":
            return 200, {"data": {"role_id": self.state.roles[name]["id"]}}
        made = secrets.token_hex(8)
        self.state.secret_ids[made] = name
        return 200, {"data": {"secret_id": made}}

    def _kv(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        versions = self.state.data.setdefault(path, [])
        if method in ("POST", "PUT"):
            versions.append(body["data"])
            return 200, {"data": {"version": len(versions)}}
        if method == "DELETE":
            versions.append(None)
            return 204, None
        self.state.reads += 1
        if not versions:
            return 404, {"errors": []}
        metadata = {"version": len(versions), "deletion_time": "" if versions[-1] is not None else "now"}
        status = 200 if versions[-1] is not None else 404
        return status, {"data": {"data": versions[-1], "metadata": metadata}}


@contextmanager
def vault_server() -> Iterator[VaultServer]:
    """A Vault of its own on a free port of the loopback."""
    binary = shutil.which("bao") or shutil.which("vault")
    if binary is None:
        with emulated_vault() as server:
            yield server
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    argv = [binary, "server", "-dev", f"-dev-root-token-id={ROOT}", f"-dev-listen-address=127.0.0.1:{port}"]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _await_port(port)
            yield VaultServer(f"http://127.0.0.1:{port}", None)
        finally:
            process.terminate()


@contextmanager
def emulated_vault() -> Iterator[VaultServer]:
    """The emulation, whose mood a test may change by its ``state``."""
    state = State()
    handler = type("Handler", (_Handler,), {"state": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield VaultServer(f"http://127.0.0.1:{server.server_address[1]}", state)
    finally:
        state.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _await_port(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline, "the Vault did not begin to listen"
            time.sleep(0.05)
        else:
            return
