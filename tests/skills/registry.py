"""A package index and a registry of one package each, and a plain page: a real server on the loopback."""

from __future__ import annotations

import base64
import functools
import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

TOOL = b"#!/bin/sh\necho tide-tool\n"


def wheel() -> bytes:
    """A Python package ``tide`` with one module."""
    files = {
        "tide.py": "HEIGHT = 3\n",
        "tide-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tide\nVersion: 1.0\n",
        "tide-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in files) + "tide-1.0.dist-info/RECORD,,\n"
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, text in {**files, "tide-1.0.dist-info/RECORD": record}.items():
            archive.writestr(name, text)
    return data.getvalue()


@functools.cache  # the time stands in a gzip's head: made twice, it has two digests
def tarball() -> bytes:
    """A Node package ``tide-node`` with one module."""
    files = {
        "package/package.json": json.dumps({"name": "tide-node", "version": "1.0.0", "main": "index.js"}),
        "package/index.js": "module.exports = 3;\n",
    }
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return data.getvalue()


async def _answer(request: web.Request) -> web.StreamResponse:
    path = request.path.strip("/")
    if path == "simple/tide":
        return web.Response(text='<a href="/files/tide-1.0-py3-none-any.whl">x</a>', content_type="text/html")
    if path == "files/tide-1.0-py3-none-any.whl":
        return web.Response(body=wheel(), content_type="application/octet-stream")
    if path == "tide-node":
        return web.json_response(_packument(f"http://{request.host}"))
    if path == "tide-node.tgz":
        return web.Response(body=tarball(), content_type="application/octet-stream")
    if path == "tool":
        return web.Response(body=TOOL, content_type="application/octet-stream")
    return web.Response(status=404)


def _packument(base: str) -> dict[str, object]:
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(tarball()).digest()).decode()
    dist = {"tarball": f"{base}/tide-node.tgz", "integrity": integrity}
    version = {"name": "tide-node", "version": "1.0.0", "main": "index.js", "dist": dist}
    return {"name": "tide-node", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}


@asynccontextmanager
async def serving() -> AsyncIterator[int]:
    """The port of the server while the context is open."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", _answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
