"""Without the gateway: a page that is loaded anew still shows what was read, says so, and changes nothing."""

from __future__ import annotations

import json
import re
import signal

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.cli.stage import Stage, eventually
from tests.gateway.web import Web
from tests.web.browser import Window, open_window, stored

pytestmark = pytest.mark.bubblewrap

KEPT = """async () => {
    const open = () => new Promise((done, fail) => {
        const request = indexedDB.open('ploinky', 1);
        request.onsuccess = () => done(request.result); request.onerror = () => fail(request.error) });
    const database = await open();
    const all = (store) => new Promise((done) => {
        const request = store.getAll(); request.onsuccess = () => done(request.result) });
    const answers = await all(database.transaction('answers').objectStore('answers'));
    database.close();
    const files = [];
    for (const name of await caches.keys())
        for (const each of await (await caches.open(name)).keys()) files.push(each.url);
    return JSON.stringify({ answers, files });
}"""


def await_worker(page: Page) -> None:
    """Until the service worker has the page: from then on it can be loaded without the gateway."""
    page.wait_for_function("() => navigator.serviceWorker.controller !== null")


def cut(stage: Stage) -> int:
    """End the gateway for good; its port."""
    port = stage.endpoint.port
    for process in stage.gateway_processes:  # its supervisor first, which would start it again
        process.signal(signal.SIGKILL)
    return port


def methods_kept(window: Window) -> set[str]:
    answers = json.loads(window.page.evaluate(KEPT))["answers"]
    return {json.loads(each["key"])[0] for each in answers}


def await_kept(window: Window, *methods: str) -> str:
    """All that is kept, once answers of these methods are in it."""
    eventually(lambda: set(methods) <= methods_kept(window), "what was read to be kept")
    kept: str = window.page.evaluate(KEPT)
    return kept


def test_a_page_loaded_anew_while_the_gateway_is_away_shows_what_was_read(
    browser: Browser, harbour: Stage, api: Web
) -> None:
    api.call("chat.send", sessionId="dry", text="before the cable was cut")
    with open_window(browser, harbour, workers=True) as window:
        page = window.page
        await_worker(page)
        expect(page.get_by_role("heading", name="echo")).to_be_visible()
        window.go("/chat/default/dry")
        expect(page.locator(".said", has_text="before the cable")).to_be_visible()
        await_kept(window, "chat.getThread", "chat.sessions", "agents.status", "profile.list")
        port = cut(harbour)
        try:
            page.reload()
            expect(page.get_by_text("Offline: you see what was loaded")).to_be_visible()
            expect(page.locator(".said", has_text="before the cable")).to_be_visible()
            page.get_by_label("Message", exact=True).fill("into the void")
            expect(page.get_by_role("button", name="Send", exact=True)).to_be_disabled()
            page.get_by_role("link", name="Home").first.click()
            card = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="echo"))
            expect(card.get_by_text("Last seen ready")).to_be_visible()
            expect(card.get_by_role("button", name="Stop echo")).to_be_disabled()
            expect(page.get_by_role("button", name="Add agent")).to_be_disabled()
            assert window.serious_faults() == []
        finally:
            harbour.run("start", "files", str(port))
        expect(page.get_by_text("Offline: you see what was loaded")).to_be_hidden()
        expect(card.get_by_text("Ready", exact=True)).to_be_visible()
        expect(card.get_by_role("button", name="Stop echo")).to_be_enabled()
        assert window.faults == []


def test_what_is_kept_in_the_browser_holds_no_secret_and_goes_at_logout(
    browser: Browser, harbour: Stage, api: Web
) -> None:
    value = "pearl-diver-5520"
    harbour.run("var", "DIVER_KEY", value)
    with open_window(browser, harbour, workers=True) as window:
        page = window.page
        await_worker(page)
        for path in ("/settings/environment", "/settings/models"):
            window.go(path)
            expect(page.locator(".skeleton")).to_have_count(0)
        window.go("/chat/default/dry")
        await_kept(window, "chat.getThread")
        window.go("/activity")
        kept = await_kept(window, "calls.statistics")
        secret_methods = re.compile(r"secrets|config|audit|.*credentials")
        assert not {name for name in methods_kept(window) if secret_methods.match(name)}
        assert all(
            "/assets/" in url or "." in url.rpartition("/")[2] or url.endswith("/")
            for url in json.loads(kept)["files"]
        )
        for secret in (value, api.token):
            assert secret not in kept
            assert secret not in stored(window)
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_label("Token")).to_be_visible()
        eventually(lambda: methods_kept(window) == set(), "what was kept to be gone")
