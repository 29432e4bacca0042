"""``PUT /upload/<path>``: a file into the workspace, for its owner alone.

The path is relative to the workspace and leads through no link and never into ``.ploinky``. The file appears
whole or not at all; one that is there is replaced only if the query says ``overwrite=true``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs

import anyio.to_thread
import orjson

from ploinky.base.errors import PloinkyError
from ploinky.base.files import open_folder
from ploinky.base.jsontypes import JsonValue
from ploinky.router.callers import Caller, CallerKind
from ploinky.router.http import HttpError, Receive, Scope, Send, body_parts, send_json
from ploinky.workspace.layout import CONTROL_FOLDER

PATH = "/upload/"
UPLOAD_TIMEOUT_S = 3600.0
IDLE_S = 30.0
_MOST_STEPS = 64


class Uploads:
    """Answers requests below ``/upload/``. ``most_bytes`` bounds one file."""

    def __init__(self, root: Path, *, most_bytes: int) -> None:
        self._root = root
        self._most_bytes = most_bytes

    async def handle(self, scope: Scope, receive: Receive, send: Send, caller: Caller) -> None:
        """Raises:
        HttpError: the request is wrong or refused; nothing was changed then.
        """
        if caller.kind is not CallerKind.OWNER:
            raise HttpError(403, "Only the owner may upload.")
        if scope["method"] not in ("PUT", "POST"):
            raise HttpError(405, "Method Not Allowed", [(b"allow", b"PUT, POST")])
        path = _checked(str(scope["path"])[len(PATH) :])
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        overwrite = query.get("overwrite") == ["true"]
        target = self._root.joinpath(*path.parts)
        await anyio.to_thread.run_sync(self._make_folder, path.parent)
        try:
            with open_folder(target.parent) as folder:
                size = await self._receive(scope, receive, folder, target.name, overwrite=overwrite)
        except OSError as error:
            raise _refusal(path, error) from error
        facts: JsonValue = {"path": str(path), "size": size}
        await send_json(send, 201, orjson.dumps(facts))

    async def _receive(
        self, scope: Scope, receive: Receive, folder: int, name: str, *, overwrite: bool
    ) -> int:
        partial = f".tmp-upload-{secrets.token_hex(8)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(partial, flags, 0o644, dir_fd=folder)
        size = 0
        try:
            parts = body_parts(
                scope, receive, limit=self._most_bytes, timeout_s=UPLOAD_TIMEOUT_S, idle_s=IDLE_S
            )
            async for part in parts:
                await anyio.to_thread.run_sync(_write_all, descriptor, part)
                size += len(part)
            await anyio.to_thread.run_sync(os.fsync, descriptor)
            if overwrite:
                os.rename(partial, name, src_dir_fd=folder, dst_dir_fd=folder)
            else:
                os.link(partial, name, src_dir_fd=folder, dst_dir_fd=folder)
        finally:
            os.close(descriptor)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(partial, dir_fd=folder)
        return size

    def _make_folder(self, path: PurePosixPath) -> None:
        """Make the missing folders of ``path``, step by step from the root, through no link."""
        for depth in range(1, len(path.parts) + 1):
            step = self._root.joinpath(*path.parts[:depth])
            try:
                with open_folder(step.parent) as parent, contextlib.suppress(FileExistsError):
                    os.mkdir(step.name, dir_fd=parent)
            except OSError as error:
                raise _refusal(path, error) from error


def _checked(text: str) -> PurePosixPath:
    """The path of a request (already decoded by the server), as a plain relative one."""
    steps = text.split("/")
    plain = all(step and step not in (".", "..") and "\0" not in step and "\\" not in step for step in steps)
    if not plain or len(steps) > _MOST_STEPS:
        raise HttpError(400, "Give the path of a file inside the workspace: /upload/folder/name")
    if steps[0].lower() == CONTROL_FOLDER:
        raise HttpError(403, f"{CONTROL_FOLDER} is not for uploads.")
    return PurePosixPath(*steps)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _refusal(path: PurePosixPath, error: OSError) -> Exception:
    if error.errno == errno.EEXIST:
        return HttpError(409, f"{path} exists; add ?overwrite=true to replace it.")
    if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG):
        return HttpError(400, f"{path} cannot be a file here: {error.strerror}.")
    return PloinkyError("FILE_WRITE", f"{path} cannot be written: {error.strerror}.")
