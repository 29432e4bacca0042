"""For everybody: no serious fault by axe on any page, light and dark; keyboard alone; a phone; quick."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

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
    "terminal": "/terminal/echo",
    "settings": "/settings/gateway",
    "environment": "/settings/environment",
    "models": "/settings/models",
    "policy": "/settings/policy",
    "repositories": "/settings/repositories",
    "health": "/settings/health",
}
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


def test_the_first_load_is_small_and_quick_on_a_slow_machine(browser: Browser, harbour: Stage) -> None:
    page_text = (STATIC / "index.html").read_text(encoding="utf-8")
    scripts = re.findall(r'(?:src|href)="/(assets/[^"]+\.js)"', page_text)
    sizes = [len(gzip.compress((STATIC / name).read_bytes(), 9)) for name in scripts]
    assert scripts
    assert sum(sizes) <= BUDGET_BYTES
    with open_window(browser, harbour) as window:
        slow = window.page.context.new_cdp_session(window.page)
        slow.send("Emulation.setCPUThrottlingRate", {"rate": 4})
        window.page.reload()
        window.page.get_by_role("heading", name="Home").wait_for()
        paint = window.page.evaluate(
            "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? performance.now()"
        )
        assert paint < 6000  # 1.5 s on an idle machine; tests share theirs
