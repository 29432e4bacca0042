"""The web UI's files: read once, served with strict headers, cached by their hashed names.

Vite builds them into ``static`` beside this file. Where they were not built (no Node), the start page says
how to; nothing else depends on them. A path of the UI's own is the start page: those below ``_VIEWS``.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ploinky.router.http import HeaderPair, HttpError, Scope, Send, send_empty

STATIC = Path(__file__).parent / "static"
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "worker-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types ploinky-worker",  # its one rule makes the address of the service worker
    )
)
SECURITY_HEADERS: tuple[HeaderPair, ...] = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
)
_VIEWS = (
    "",
    "activity",
    "agents",
    "approvals",
    "assistants",
    "chat",
    "settings",
    "skills",
    "terminal",
    "tools",
)
_BROTLI = ".br"  # made by the build
_FOREVER = b"public, max-age=31536000, immutable"
_ASK_FIRST = b"no-cache"
_WORTH_ZIPPING = ("text/", "application/javascript", "application/json", "image/svg+xml")
_NOT_BUILT = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Ploinky</title>
<h1>Ploinky runs, its web pages were not built</h1>
<p>They need Node 20 or newer at build time: install it, run <code>make web</code> in the checkout and
<code>ploinky restart router</code>. The command line, MCP at <code>/mcp</code> and JSON-RPC at
<code>/rpc</code> do without.</p>
</html>"""


@dataclass(frozen=True)
class _File:
    """``packed``: its body in other encodings, the best first."""

    data: bytes
    packed: tuple[tuple[bytes, bytes], ...]
    headers: tuple[HeaderPair, ...]
    tag: bytes


class Pages:
    """The files that were below ``folder`` when this was made, each kept as it was when first asked for."""

    def __init__(self, folder: Path = STATIC) -> None:
        self._paths: Mapping[str, Path] = {
            f"/{path.relative_to(folder).as_posix()}": path
            for path in sorted(folder.rglob("*"))
            if path.is_file() and not path.name.startswith(".") and path.suffix != _BROTLI
        }
        self._files: dict[str, _File] = {}

    @property
    def built(self) -> bool:
        return "/index.html" in self._paths

    async def serve(self, scope: Scope, send: Send) -> None:
        """Answer GET or HEAD for a file, or for a path of the UI's own.

        Raises:
            HttpError: 404, 405.
        """
        path: str = scope["path"]
        if scope["method"] not in ("GET", "HEAD"):
            raise HttpError(405, "Method Not Allowed", [(b"allow", b"GET, HEAD")])
        file = self._find(path)
        if file is None and path.split("/")[1] in _VIEWS:
            file = self._find("/index.html") or _not_built()
        if file is None:
            raise HttpError(404, "There is nothing at this path.")
        await _send_file(scope, send, file)

    def _find(self, name: str) -> _File | None:
        file, path = self._files.get(name), self._paths.get(name)
        if file is None and path is not None:
            try:
                file = self._files[name] = _file(path, name)
            except FileNotFoundError:
                return None  # another version was installed meanwhile
        return file


async def _send_file(scope: Scope, send: Send, file: _File) -> None:
    asked = {
        name: value for name, value in scope["headers"] if name in (b"if-none-match", b"accept-encoding")
    }
    if asked.get(b"if-none-match") == file.tag:
        await send_empty(send, 304, [*SECURITY_HEADERS, *file.headers])
        return
    headers = [*SECURITY_HEADERS, *file.headers]
    data = file.data
    accepted = _encodings(asked.get(b"accept-encoding", b""))
    for encoding, packed in file.packed:
        if encoding in accepted:
            data = packed
            headers.append((b"content-encoding", encoding))
            break
    headers.append((b"content-length", str(len(data)).encode()))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else data})


def _encodings(header: bytes) -> set[bytes]:
    """What an Accept-Encoding header names and does not rule out."""
    rows = [[word.strip() for word in each.split(b";")] for each in header.lower().split(b",")]
    return {name for name, *more in rows if not any(word in (b"q=0", b"q=0.0") for word in more)}


def _file(path: Path, name: str) -> _File:
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    if name.endswith(".js"):
        kind = "application/javascript"
    beside = path.with_name(path.name + _BROTLI)
    packed = ((b"br", beside.read_bytes()),) if beside.is_file() else ()
    return _made(path.read_bytes(), kind, forever=name.startswith("/assets/"), packed=packed)


def _not_built() -> _File:
    return _made(_NOT_BUILT, "text/html", forever=False)


def _made(data: bytes, kind: str, *, forever: bool, packed: tuple[tuple[bytes, bytes], ...] = ()) -> _File:
    worth = kind.startswith(_WORTH_ZIPPING) and len(data) > 1024
    tag = f'"{hashlib.sha256(data).hexdigest()[:24]}"'.encode()
    textual = kind.startswith("text/") or kind in ("application/javascript", "application/json")
    headers: tuple[HeaderPair, ...] = (
        (b"content-type", f"{kind}{'; charset=utf-8' if textual else ''}".encode()),
        (b"cache-control", _FOREVER if forever else _ASK_FIRST),
        (b"etag", tag),
        (b"vary", b"accept-encoding"),
    )
    zipped = ((b"gzip", gzip.compress(data, 9)),) if worth else ()
    return _File(data, (*packed, *zipped), headers, tag)
