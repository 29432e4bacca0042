"""A real Chromium for tests: contexts that are logged in, what went wrong on a page, what axe says of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, Playwright

from tests.cli.stage import Stage

AXE = Path(__file__).parents[1] / "peers" / "node_modules" / "axe-core" / "axe.min.js"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESKTOP = {"width": 1280, "height": 860}
PHONE = {"width": 390, "height": 844}
SERIOUS = ("serious", "critical")
PATIENCE_MS = 30_000


def chromium_path() -> str | None:
    """The system's Chromium, or None."""
    return next((path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), None)


def launch(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=chromium_path(), args=list(ARGUMENTS))


@dataclass
class Window:
    """A page of a logged-in browser, and everything that went wrong in it."""

    page: Page
    base: str
    faults: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def go(self, path: str) -> None:
        self.page.goto(f"{self.base}{path}")
        self.page.locator("h1").first.wait_for(state="attached")

    def serious_faults(self) -> list[str]:
        """What axe finds on the page as it is, in words."""
        # the policy forbids scripts from elsewhere, so axe comes in by the debugger
        self.page.evaluate(AXE.read_text(encoding="utf-8") + "\n;0")
        found: Any = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{each['id']}: {node['html'][:160]} ({node['any'][0]['message'] if node['any'] else ''})"
            for each in found["violations"]
            if each["impact"] in SERIOUS
            for node in each["nodes"]
        ]


def login_link(stage: Stage) -> str:
    url: str = stage.run("--json", "open", "--print").json["url"]
    return url


@contextmanager
def open_window(
    browser: Browser, stage: Stage, *, dark: bool = False, phone: bool = False, workers: bool = False
) -> Iterator[Window]:
    """A browser of its own, logged in by the link of ``ploinky open``. ``workers``: with the service worker,
    through which no request of a page can be caught."""
    context: BrowserContext = browser.new_context(
        color_scheme="dark" if dark else "light",
        viewport=PHONE if phone else DESKTOP,  # type: ignore[arg-type]
        has_touch=phone,
        reduced_motion="reduce",
        service_workers="allow" if workers else "block",
        locale="en-GB",
        timezone_id="Europe/Berlin",
    )
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    link = login_link(stage)
    window = Window(page, link.partition("/login")[0])
    page.on("pageerror", lambda error: window.faults.append(f"error: {error}"))
    page.on("console", lambda message: _note(window, message.type, message.text))
    page.on("request", lambda request: _foreign(window, request.url))
    page.goto(link)
    page.locator("h1").first.wait_for()
    try:
        yield window
    finally:
        context.close()


def _note(window: Window, kind: str, text: str) -> None:
    if kind == "error" and "net::ERR" not in text and "status of" not in text:
        window.faults.append(f"console: {text}")


def _foreign(window: Window, url: str) -> None:
    if not url.startswith((window.base, window.base.replace("http", "ws", 1), "data:", "blob:")):
        window.foreign.append(url)


def stored(window: Window) -> str:
    """All that the page keeps in the browser and shows: for looking whether a secret is in it."""
    script = """() => JSON.stringify({
        html: document.documentElement.outerHTML,
        values: [...document.querySelectorAll('input, textarea')].map((each) => each.value),
        local: {...localStorage}, session: {...sessionStorage}, cookie: document.cookie,
    })"""
    return json.dumps(window.page.evaluate(script))
