"""A file as an HTTP answer: ranges, conditions, HEAD; read in pieces, never whole.

Knows nothing of where files lie: it is given an open descriptor, which it closes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass

import anyio.to_thread

from ploinky.router.http import HeaderPair, HttpError, Scope, Send, send_empty

PIECE_BYTES = 256 * 1024
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


@dataclass(frozen=True)
class FileAnswer:
    """``etag`` is quoted and strong; ``headers`` go with every answer that has a body or says 304."""

    descriptor: int
    size: int
    kind: str
    etag: str
    headers: Iterable[HeaderPair] = ()


async def send_file(scope: Scope, send: Send, answer: FileAnswer) -> None:
    """Answer a GET or HEAD with the file, a part of it (206), or that it did not change (304).

    Several ranges at once are answered with the whole, as HTTP allows.

    Raises:
        HttpError: 416 for a range outside the file.
    """
    try:
        headers = [(b"etag", answer.etag.encode()), *answer.headers]
        if _matches(scope, b"if-none-match", answer.etag):
            await send_empty(send, 304, headers)
            return
        part = _wanted(scope, answer)
        start, end = part or (0, answer.size)
        headers += [
            (b"content-type", answer.kind.encode()),
            (b"content-length", str(end - start).encode()),
            (b"accept-ranges", b"bytes"),
            (b"x-content-type-options", b"nosniff"),
        ]
        if part is not None:
            headers.append((b"content-range", f"bytes {start}-{end - 1}/{answer.size}".encode()))
        await send({"type": "http.response.start", "status": 206 if part else 200, "headers": headers})
        if scope["method"] == "HEAD":
            end = start
        await _send_bytes(send, answer.descriptor, start, end)
    finally:
        os.close(answer.descriptor)


async def _send_bytes(send: Send, descriptor: int, start: int, end: int) -> None:
    while start < end:
        wanted = min(PIECE_BYTES, end - start)
        piece = await anyio.to_thread.run_sync(os.pread, descriptor, wanted, start)
        if not piece:  # it became shorter: the length was promised, so the connection must break
            raise RuntimeError("a file became shorter while it was sent")
        start += len(piece)
        await send({"type": "http.response.body", "body": piece, "more_body": start < end})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _wanted(scope: Scope, answer: FileAnswer) -> tuple[int, int] | None:
    """The part asked for as ``[start, end)``; None for the whole."""
    text = _header(scope, b"range")
    found = _RANGE.fullmatch(text.replace(" ", "")) if text else None
    if found is None or found.group(0) == "bytes=-":
        return None
    condition = _header(scope, b"if-range")
    if condition and condition != answer.etag:
        return None
    first, last = found.groups()
    if first:
        start, end = int(first), min(int(last) + 1 if last else answer.size, answer.size)
    else:
        start, end = max(0, answer.size - int(last)), answer.size
    if last and first and int(last) < int(first):
        return None
    if start >= end:
        unsatisfied = (b"content-range", f"bytes */{answer.size}".encode())
        raise HttpError(416, "The range lies outside the file.", [unsatisfied])
    return start, end


def _matches(scope: Scope, name: bytes, etag: str) -> bool:
    tags = [tag.strip().removeprefix("W/") for tag in _header(scope, name).split(",")]
    return etag in tags or "*" in tags


def _header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")
