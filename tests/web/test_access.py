"""For everybody: no serious fault by axe on any page, light and dark; keyboard; phones; little code."""

from __future__ import annotations

import contextlib
import gzip
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Error, Route, expect

from ploinky.gateway.pages import STATIC
from tests.cli.stage import Stage
from tests.gateway.web import Web
from tests.web.browser import open_window

pytestmark = pytest.mark.bubblewrap

PAGES = {
    "home": "/",
    "details": "/agents/echo",
    "chat": "/chat/default/looked-at",
    "tools": "/tools/files/search_text",
    "assistants": "/assistants/default",
    "skills": "/skills",
    "approvals": "/approvals",
    "activity": "/activity",
    "tasks": "/activity/tasks",
    "spending": "/activity/spending",
    "terminal": "/terminal/echo",
    "settings": "/settings/gateway",
    "environment": "/settings/environment",
    "models": "/settings/models",
    "policy": "/settings/policy",
    "repositories": "/settings/repositories",
    "health": "/settings/health",
}
TABS = ("Who it is", "Context", "Memory", "Heartbeat", "Jobs")
BUDGET_BYTES = 350_000
SHOTS = Path(__file__).parents[2] / "build" / "screenshots"


@pytest.mark.parametrize(("dark", "phone"), [(False, False), (True, True), (True, False), (False, True)])
def test_every_page_has_no_serious_fault_fits_and_is_pictured(
    browser: Browser, harbour: Stage, api: Web, dark: bool, phone: bool
) -> None:
    for text in ("/help", '/call files.search_text {"pattern": "tide", "limit": 2}'):
        run = api.call("chat.send", sessionId="looked-at", text=text)
        api.call("agent.wait", runId=run["runId"])
    SHOTS.mkdir(parents=True, exist_ok=True)
    faults: list[str] = []
    look = f"{'dark' if dark else 'light'}-{'phone' if phone else 'desktop'}"
    with open_window(browser, harbour, dark=dark, phone=phone) as window:
        for name, path in PAGES.items():
            window.go(path)
            expect(window.page.locator(".skeleton")).to_have_count(0)
            if name == "home":  # until there is a sample of live use
                expect(window.page.locator(".agent-use").first).to_contain_text("%")
            if name == "terminal":
                expect(window.page.get_by_text("Inside echo")).to_be_visible()
            faults += [f"{name}: {each}" for each in window.serious_faults()]
            if (wide := window.page.evaluate("document.documentElement.scrollWidth - innerWidth")) > 0:
                faults.append(f"{name} is {wide} pixels too wide")
            window.page.screenshot(path=SHOTS / f"{name}-{look}.png")
        window.go("/assistants/mate")
        for tab in TABS:
            window.page.get_by_role("tab", name=tab).click()
            expect(window.page.locator(".skeleton")).to_have_count(0)
            faults += [f"{tab}: {each}" for each in window.serious_faults()]
            window.page.screenshot(path=SHOTS / f"assistant-{tab.split()[0].lower()}-{look}.png")
        faults += [*window.faults, *window.foreign]
        assert not faults, "\n".join(faults)


def test_all_pages_are_reached_and_used_by_keyboard(browser: Browser, harbour: Stage) -> None:
    with open_window(browser, harbour) as window:
        page = window.page
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()
        for _ in range(4):
            page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Tools")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Tools", level=1)).to_be_visible()
        page.get_by_role("link", name=re.compile("^say")).focus()
        page.keyboard.press("Enter")
        page.get_by_label("text").focus()
        page.keyboard.type("by keyboard")
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Call", exact=True)).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("pre.code").last).to_contain_text("by keyboard")
        window.go("/settings")
        page.get_by_role("tab", name="Gateway").focus()
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("tab", name="Profiles and secrets")).to_be_focused()
        expect(page.get_by_role("heading", name="Secrets")).to_be_visible()


def test_a_phone_reaches_every_page(browser: Browser, harbour: Stage) -> None:
    with open_window(browser, harbour, phone=True) as window:
        page = window.page
        bar = page.get_by_role("navigation", name="Pages, short")
        bar.get_by_role("link", name="Chat").tap()
        expect(page.get_by_label("Message", exact=True)).to_be_visible()
        page.get_by_role("button", name="Conversations").tap()
        expect(page.get_by_role("button", name="New conversation")).to_be_visible()
        bar.get_by_role("button", name="More").tap()
        page.get_by_role("dialog", name="More").get_by_role("link", name="Settings").tap()
        expect(page.get_by_role("heading", name="Settings", level=1)).to_be_visible()


def test_the_first_view_needs_little_code(browser: Browser, harbour: Stage) -> None:
    """How long it takes is measured by ``make bench BENCH=pages``."""
    with open_window(browser, harbour) as window:
        page = window.page
        names: set[str] = set()
        page.on("response", lambda answer: names.add(urlsplit(answer.url).path))
        page.reload()
        expect(page.get_by_role("group", name="Dependency graph")).to_be_visible()
    scripts = [STATIC / name.lstrip("/") for name in names if name.endswith(".js")]
    assert STATIC / "early.js" in scripts
    assert sum(len(gzip.compress(path.read_bytes(), 9)) for path in scripts) <= BUDGET_BYTES


BROKEN = {
    "jsonrpc": "2.0",
    "id": 1,
    "error": {"code": -32000, "message": "The state is unreadable.", "data": {"hint": "ploinky doctor"}},
}


@pytest.mark.parametrize("state", ["loading", "failing", "offline"])
def test_a_page_without_its_answers_says_so_has_no_serious_fault_and_fits(
    browser: Browser, harbour: Stage, state: str
) -> None:
    held: list[Route] = []
    answers: dict[str, Callable[[Route], None]] = {
        "loading": lambda route: held.append(route),  # noqa: PLW0108 - no builtin: it gets a mark
        "failing": lambda route: route.fulfill(json=BROKEN),
        "offline": lambda route: route.abort(),
    }
    faults: list[str] = []
    SHOTS.mkdir(parents=True, exist_ok=True)
    with open_window(browser, harbour, dark=state == "failing", phone=state != "loading") as window:
        page = window.page
        page.route("**/rpc", answers[state])
        if state == "offline":
            page.route("**/events*", answers[state])
        if state == "loading":  # what was read before would be there at once
            page.add_init_script("indexedDB.deleteDatabase('ploinky')")
        for name in ("home", "chat", "tools", "assistants", "skills", "approvals", "activity", "settings"):
            page.goto(f"{window.base}{PAGES[name]}", wait_until="commit")
            sign = {
                "loading": page.locator(".skeleton"),
                "failing": page.get_by_text("The state is unreadable."),
                "offline": page.get_by_text("Offline: you see what was loaded"),
            }
            expect(sign[state].first).to_be_visible()
            faults += [f"{name}: {each}" for each in window.serious_faults()]
            if (wide := page.evaluate("document.documentElement.scrollWidth - innerWidth")) > 0:
                faults.append(f"{name} is {wide} pixels too wide")
            page.screenshot(path=SHOTS / f"{name}-{state}.png")
        for route in held:
            with contextlib.suppress(Error):  # of a page that was left
                route.abort()
        page.unroute_all(behavior="ignoreErrors")
    assert not faults, "\n".join(faults)
