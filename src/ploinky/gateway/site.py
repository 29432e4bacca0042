"""``/site/``: the static pages of one agent, as any web server would serve them.

They lie in ``site/``, ``public/`` or ``www/`` of the agent's code; nothing else of it is shown. Anyone who
reaches the gateway may read them, and no page can act in the reader's name: the browser is told to give it
an origin of its own, so that it has none of the gateway's cookies.
"""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Callable
from pathlib import Path

import anyio.to_thread

from ploinky.base.errors import PloinkyError, UsageError
from ploinky.base.files import open_inside
from ploinky.gateway.file_answers import FileAnswer, send_file
from ploinky.router.http import HeaderPair, HttpError, Scope, Send, send_empty

PATH = "/site"
FOLDERS = ("site", "public", "www")
_HEADERS: tuple[HeaderPair, ...] = (
    (b"content-security-policy", b"sandbox allow-scripts allow-forms allow-popups allow-downloads"),
    (b"access-control-allow-origin", b"*"),  # modules and fonts of a page whose origin is opaque
    (b"cross-origin-resource-policy", b"cross-origin"),
    (b"cache-control", b"no-cache"),
    (b"referrer-policy", b"no-referrer"),
)


class Site:
    """``code_folder`` names the code of the agent whose pages these are; None if there is no such agent."""

    def __init__(self, code_folder: Callable[[], Path | None]) -> None:
        self._code_folder = code_folder

    async def handle(self, scope: Scope, send: Send) -> None:
        """Raises:
        HttpError: 404, 405.
        """
        if scope["method"] not in ("GET", "HEAD"):
            raise HttpError(405, "Method Not Allowed", [(b"allow", b"GET, HEAD")])
        path = str(scope["path"])[len(PATH) :]
        if not path:
            await send_empty(send, 308, [(b"location", f"{PATH}/".encode())])
            return
        root = await anyio.to_thread.run_sync(self._root)
        found = await anyio.to_thread.run_sync(_open, root, path[1:])
        if found is None:
            raise HttpError(404, "There is no such page.")
        await send_file(scope, send, found)

    def _root(self) -> Path:
        code = self._code_folder()
        for name in FOLDERS if code is not None else ():
            assert code is not None
            folder = code / name
            if folder.is_dir() and code.resolve() in folder.resolve().parents:
                return folder
        raise HttpError(404, "No agent has pages here: start one that has a folder site/ in its code.")


def _open(root: Path, path: str) -> FileAnswer | None:
    steps = path.split("/")
    if any(step in (".", "..") or step.startswith(".") or "\0" in step for step in steps):
        return None
    target = root.joinpath(*steps)
    if not path or path.endswith("/"):
        target /= "index.html"
    try:
        descriptor = open_inside(root, target)
    except FileNotFoundError:
        return None
    except (UsageError, PloinkyError):  # leads out, is a folder, cannot be read: not for readers
        return None
    facts = os.fstat(descriptor)
    kind = mimetypes.guess_type(target.name)[0] or "application/octet-stream"
    kind += "; charset=utf-8" if kind.startswith("text/") else ""
    return FileAnswer(descriptor, facts.st_size, kind, f'"{facts.st_mtime_ns:x}-{facts.st_size:x}"', _HEADERS)
