"""``/blobs`` over HTTP: bring one, fetch it or a part of it, list, delete.

The id is the right to read: whoever was told it may fetch. A blob may be deleted by who brought it and by
the owner, who alone sees the list. What is fetched never runs in a browser: it is an attachment.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

import anyio.to_thread
import orjson

from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonValue
from ploinky.gateway.blobs import Blob, BlobStore
from ploinky.gateway.file_answers import FileAnswer, send_file
from ploinky.router.callers import Caller, CallerKind
from ploinky.router.http import HttpError, Receive, Scope, Send, body_parts, send_empty, send_json

PATH = "/blobs"
UPLOAD_TIMEOUT_S = 3600.0
IDLE_S = 30.0
_KIND = re.compile(r"[a-z0-9][a-z0-9.+-]{0,63}/[a-z0-9][a-z0-9.+-]{0,63}(; ?charset=[a-z0-9-]{1,32})?")
_UNKNOWN_KIND = "application/octet-stream"
_MOST_NAME = 255


class BlobPaths:
    """Answers every request at ``/blobs`` and below."""

    def __init__(self, store: BlobStore) -> None:
        self._store = store

    async def handle(self, scope: Scope, receive: Receive, send: Send, caller: Caller) -> None:
        """Raises:
        HttpError: the request is wrong or refused.
        NotFoundError: ``BLOB_NOT_FOUND``.
        """
        blob_id = str(scope["path"])[len(PATH) :].removeprefix("/")
        method = scope["method"]
        if not blob_id and method == "POST":
            await self._add(scope, receive, send, caller)
        elif not blob_id and method == "GET":
            await self._list(send, caller)
        elif blob_id and method in ("GET", "HEAD"):
            await self._fetch(scope, send, blob_id)
        elif blob_id and method == "DELETE":
            await self._delete(send, blob_id, caller)
        else:
            allowed = b"GET, HEAD, DELETE" if blob_id else b"GET, POST"
            raise HttpError(405, "Method Not Allowed", [(b"allow", allowed)])

    async def _add(self, scope: Scope, receive: Receive, send: Send, caller: Caller) -> None:
        parts = body_parts(
            scope, receive, limit=self._store.limits.each, timeout_s=UPLOAD_TIMEOUT_S, idle_s=IDLE_S
        )
        try:
            blob = await self._store.add(parts, name=_name(scope), kind=_kind(scope), owner=str(caller))
        except PloinkyError as error:
            if error.code == "BLOB_QUOTA":
                raise HttpError(507, f"{error.message} {error.hint}", [(b"connection", b"close")]) from error
            raise
        location = [(b"location", f"{PATH}/{blob.id}".encode())]
        await send_json(send, 201, orjson.dumps(_facts(blob)), location)

    async def _list(self, send: Send, caller: Caller) -> None:
        if caller.kind is not CallerKind.OWNER:
            raise HttpError(403, "Only the owner may list blobs.")
        blobs = await anyio.to_thread.run_sync(self._store.list)
        value: JsonValue = {"blobs": [_facts(blob) for blob in blobs]}
        await send_json(send, 200, orjson.dumps(value))

    async def _fetch(self, scope: Scope, send: Send, blob_id: str) -> None:
        blob = self._store.find(blob_id)
        answer = FileAnswer(
            self._store.open(blob),
            blob.size,
            blob.type,
            blob.etag,
            [
                (b"content-disposition", f"attachment; filename*=UTF-8''{quote(blob.name)}".encode()),
                (b"content-security-policy", b"default-src 'none'; sandbox"),
                (b"cache-control", b"private, max-age=31536000, immutable"),
            ],
        )
        await send_file(scope, send, answer)

    async def _delete(self, send: Send, blob_id: str, caller: Caller) -> None:
        blob = self._store.find(blob_id)
        if caller.kind is not CallerKind.OWNER and str(caller) != blob.owner:
            raise HttpError(403, "Only the owner, and who brought a blob, may delete it.")
        self._store.delete(blob)
        await send_empty(send, 204)


def _facts(blob: Blob) -> JsonValue:
    facts: JsonValue = blob.model_dump(by_alias=True) | {"url": f"{PATH}/{blob.id}"}
    return facts


def _name(scope: Scope) -> str:
    """The name from ``X-Filename`` (percent-encoded UTF-8), made harmless; else ``blob``."""
    given = _header(scope, b"x-filename")
    name = unquote(given, errors="replace").replace("\\", "/").rsplit("/", 1)[-1]
    shown = "".join(sign for sign in name if sign.isprintable()).strip(" .")
    return shown[:_MOST_NAME] or "blob"


def _kind(scope: Scope) -> str:
    kind = _header(scope, b"content-type").strip().lower()
    return kind if _KIND.fullmatch(kind) else _UNKNOWN_KIND


def _header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")
