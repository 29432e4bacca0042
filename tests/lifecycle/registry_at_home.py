"""A registry of packages on the loopback: the files of npm's and pip's protocols, served as they are."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@contextmanager
def serving(files: Mapping[str, bytes]) -> Iterator[str]:
    """Serve ``files`` (path to content; may be filled later); the base URL, without a slash at its end."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self.wfile.write(self._answer())

        def _answer(self) -> bytes:
            content = files.get(self.path.rstrip("/"))
            self.send_response(404 if content is None else 200)
            is_page = content is not None and content.startswith(b"<")
            is_json = content is not None and content.startswith(b"{")
            kind = "text/html" if is_page else "application/json" if is_json else "application/octet-stream"
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            return content or b""

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def node_package(name: str, version: str) -> bytes:
    """A tarball as npm downloads it; importing it gives its version."""
    package = json.dumps({"name": name, "version": version, "type": "module", "main": "i.js"})
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for path, text in (("package.json", package), ("i.js", f"export default '{version}';\n")):
            facts = tarfile.TarInfo(f"package/{path}")
            facts.size = len(text)
            tar.addfile(facts, io.BytesIO(text.encode()))
    return packed.getvalue()


def node_registry(url: str, name: str, versions: tuple[str, ...]) -> dict[str, bytes]:
    """The files of a registry at ``url`` that has one package in several versions, the last being newest."""
    files: dict[str, bytes] = {}
    described = {}
    for version in versions:
        data = node_package(name, version)
        files[f"/{name}/-/{name}-{version}.tgz"] = data
        described[version] = {
            "name": name,
            "version": version,
            "dist": distribution(url, name, version, data),
        }
    about = {"name": name, "dist-tags": {"latest": versions[-1]}, "versions": described}
    files[f"/{name}"] = json.dumps(about).encode()
    return files


def distribution(url: str, name: str, version: str, data: bytes) -> dict[str, str]:
    digest = base64.b64encode(hashlib.sha512(data).digest()).decode()
    return {"tarball": f"{url}/{name}/-/{name}-{version}.tgz", "integrity": f"sha512-{digest}"}


def python_index(name: str, versions: tuple[str, ...]) -> dict[str, bytes]:
    """A simple index that has one package in several versions; ``name.WORD`` is its version."""
    files: dict[str, bytes] = {}
    for version in versions:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as wheel:
            info = f"{name}-{version}.dist-info"
            wheel.writestr(f"{name}.py", f"WORD = {version!r}\n")
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n")
        files[f"/files/{name}-{version}-py3-none-any.whl"] = packed.getvalue()
    links = "".join(f'<a href="{path}">{path.rsplit("/", 1)[-1]}</a>\n' for path in files)
    files[f"/simple/{name}"] = f"<!DOCTYPE html><html><body>{links}</body></html>".encode()
    return files
