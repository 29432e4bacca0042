"""``open``: the web UI in a browser, logged in by a link that is good once."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator

from ploinky.base.errors import PloinkyError
from ploinky.base.files import write_atomic
from ploinky.operations.endpoint import find_endpoint
from ploinky.operations.gateway_link import require_client
from ploinky.operations.platform import Platform
from ploinky.wire.events import Event, Notice, Result

_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 (only compared with)
_PAGE = """<!doctype html><meta charset="utf-8"><title>Ploinky</title>
<meta name="referrer" content="no-referrer"><meta http-equiv="refresh" content="0;url={url}">
<p>Opening Ploinky. <a href="{url}">Go on</a>.</p>
"""


async def open_ui(platform: Platform, *, only_print: bool) -> AsyncIterator[Event]:
    """Log a browser in and open it; where there is none to open, or if ``only_print``, give the link.

    The link is handed to the browser in a private file, for a command line can be read by others.

    Raises:
        PloinkyError: ``GATEWAY_DOWN``.
    """
    client = require_client(platform.layout)
    endpoint = find_endpoint(platform.layout)
    if endpoint is None:
        raise PloinkyError("GATEWAY_DOWN", "The gateway does not run.", hint="Start it: ploinky start")
    base = f"http://127.0.0.1:{endpoint.port}" if endpoint.host in _EVERYWHERE else endpoint.url
    url = f"{base}/login?code={await client.login_code()}"
    opener = None if only_print else _opener(platform)
    if opener is None:
        yield Result(value={"url": url, "opened": False})
        return
    page = platform.layout.running / "open.html"
    write_atomic(page, _PAGE.format(url=url).encode(), mode=0o600)
    subprocess.Popen(  # noqa: ASYNC220 (it returns at once and outlives this command)
        [opener, page.as_uri()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    yield Notice(message=f"Opened {base} in a browser.")
    yield Result(value={"url": base, "opened": True})


def _opener(platform: Platform) -> str | None:
    """The program that opens a page in a graphical browser here, or None."""
    environ = platform.environ
    if not (environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")):
        return None
    return shutil.which("xdg-open", path=environ.get("PATH"))
