"""Whatever a tool, a file or an assistant says: it runs nothing, loads nothing, and looks like what it is."""

from __future__ import annotations

import contextlib
import re

import pytest
from playwright.sync_api import Browser, Error, expect

from tests.cli.stage import Stage
from tests.gateway.web import Web
from tests.models.llama import MODEL, running_llama
from tests.models.scripted_gguf import Script
from tests.web.browser import Window, open_window
from tests.web.conftest import Calls

pytestmark = pytest.mark.bubblewrap

HOSTILE = """<script>window.pwned = 1</script>

<img src=x onerror="window.pwned = 1">

<svg onload="window.pwned = 1"><script>window.pwned = 1</script></svg>

<iframe srcdoc="<script>parent.pwned = 1</script>"></iframe>

<a href="javascript:window.pwned = 1">press</a>

[press](javascript:window.pwned=1) [data](data:text/html,<script>1</script>)

![spy](https://evil.example/spy.png) ![svg](data:image/svg+xml,<svg onload=alert(1)>)

<style>body { display: none }</style><form action="https://evil.example"><button>press</button></form>

<https://evil.example/x> https://evil.example/y
"""


def check(window: Window) -> None:
    page = window.page
    assert page.evaluate("window.pwned") is None
    for name in (
        "script:not([src])",
        "iframe",
        "object",
        "embed",
        "style",
        "form[action]",
        "svg script",
    ):
        assert page.locator(f"#main {name}").count() == 0, name
    assert page.locator("#main img").count() == 0
    for link in page.locator("#main .markdown a[href]").all():
        assert re.match(r"https?://", link.get_attribute("href") or "")
        assert link.get_attribute("target") == "_blank"
        assert "noopener" in (link.get_attribute("rel") or "")
    assert window.foreign == []


def test_markdown_of_anybody_runs_and_loads_nothing(browser: Browser, harbour: Stage, api: Web) -> None:
    messages = [{"role": "user", "content": HOSTILE}, {"role": "assistant", "content": HOSTILE}]
    api.call("thread.set", sessionId="hostile", messages=messages)
    with open_window(browser, harbour) as window:
        window.go("/chat/default/hostile")
        expect(window.page.locator(".bubble.theirs")).to_be_visible()
        expect(window.page.locator(".bubble.theirs")).to_contain_text("[image: spy]")
        check(window)
        assert window.faults == []


def test_the_answer_of_a_tool_is_text(window: Window) -> None:
    window.go("/tools/echo/say")
    window.page.get_by_label("text").fill(HOSTILE)
    window.page.get_by_role("button", name="Call", exact=True).click()
    expect(window.page.locator("pre.code").last).to_contain_text("onerror=")
    check(window)


def test_a_name_of_a_file_is_text(window: Window, harbour: Stage) -> None:
    name = "<img src=x onerror=window.pwned=1>.md"
    (harbour.root / name).write_text("x", encoding="utf-8")
    window.go("/tools/files/find_files")
    window.page.get_by_label("pattern").fill("*onerror*")
    window.page.get_by_role("button", name="Call", exact=True).click()
    expect(window.page.locator("pre.code").last).to_contain_text("onerror")
    check(window)
    (harbour.root / name).unlink()


def test_what_a_model_says_and_asks_for_is_text(browser: Browser, harbour: Stage, api: Web) -> None:
    """A real model server says it, as its answer and as the argument of a call."""
    calls: Calls = [("echo__say", {"text": HOSTILE})]
    with running_llama(Script(calls=calls, answer=HOSTILE), context=65536) as server:
        entry = {"provider": "openai-compatible", "baseURL": server.openai_url, "openaiModelId": MODEL}
        api.call("config.patch", patch={"models": {"rogue": entry}})
        api.call("profile.create", id="rogue", name="<b>Rogue</b>", modelId="rogue")
        with open_window(browser, harbour) as window:
            window.go("/chat/rogue/hostile")
            page = window.page
            page.get_by_label("Message", exact=True).fill("Say it")
            page.get_by_role("button", name="Send", exact=True).click()
            request = page.get_by_role("region", name="Approval of echo.say")
            expect(request).to_contain_text("onerror=")
            check(window)
            request.get_by_role("button", name="Approve").click()
            expect(page.locator(".bubble.theirs .markdown")).to_contain_text("[image: spy]")
            for card in page.locator(".tool-card summary").all():
                card.click()
            expect(page.locator(".tool-card pre").first).to_contain_text("onerror=")
            check(window)
            assert window.faults == []
        api.call("profile.delete", profileId="rogue")
        api.call("config.patch", patch={"models": {"rogue": None}})


def test_a_drawing_opened_by_its_address_runs_nothing_here(
    browser: Browser, harbour: Stage, api: Web
) -> None:
    """An SVG that somebody stored is a download."""
    drawing = b'<svg xmlns="http://www.w3.org/2000/svg"><script>fetch("/rpc")</script></svg>'
    kept = api.send("POST", "/blobs", drawing, {"content-type": "image/svg+xml"}).json
    with open_window(browser, harbour) as window:
        with window.page.expect_download() as download, contextlib.suppress(Error):
            window.page.goto(f"{window.base}{kept['url']}")
        assert download.value.url.endswith(kept["url"])
        assert window.foreign == []
    assert "sandbox" in api.send("GET", kept["url"]).headers["content-security-policy"]


def test_every_page_comes_with_strict_headers(api: Web) -> None:
    for path in ("/", "/chat/default/main", "/index.html", "/sw.js", "/icon.svg"):
        headers = api.send("GET", path).headers
        policy = dict(
            part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";")
        )
        assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert policy["require-trusted-types-for"] == "'script'"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-opener-policy"] == "same-origin"


def test_a_page_of_another_origin_can_do_nothing_with_the_cookie(
    browser: Browser, harbour: Stage, api: Web
) -> None:
    with open_window(browser, harbour) as window:
        context = window.page.context
        stranger = context.new_page()
        stranger.route(
            "http://localhost:1/**", lambda route: route.fulfill(body="<p>hello", content_type="text/html")
        )
        stranger.goto("http://localhost:1/")
        call = """async (url) => { try {
            const answer = await fetch(url, {method: 'POST', credentials: 'include', mode: 'no-cors',
              headers: {'content-type': 'text/plain'},
              body: JSON.stringify({jsonrpc: '2.0', id: 1, method: 'agents.stop', params: {agent: 'echo'}})});
            return answer.type + answer.status } catch (error) { return 'failed' } }"""
        outcome = stranger.evaluate(call, f"{window.base}/rpc")
        assert outcome in ("failed", "opaque0")
        socket = """(url) => new Promise((done) => { const ws = new WebSocket(url);
            ws.onopen = () => done('open'); ws.onerror = () => done('refused') })"""
        assert stranger.evaluate(socket, f"{window.base.replace('http', 'ws', 1)}/ws") == "refused"
        echo = next(row for row in api.call("agents.status")["agents"] if row["name"] == "echo")
        assert echo["ready"] is True
