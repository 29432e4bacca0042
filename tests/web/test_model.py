"""A conversation with a model that really streams: token by token, stopped, cut off and resumed, with
approvals and keys in its flow."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.cli.stage import Stage, eventually
from tests.gateway.web import Web
from tests.web.browser import Window, open_window, stored
from tests.web.spoken import GREETING, LOCK, SAID
from tests.web.test_chat import say

pytestmark = pytest.mark.bubblewrap

LIVE = "li.bubble.theirs[aria-busy=true] .markdown"


def spoken(page: Page) -> int:
    """How long the answer under way is by now."""
    return len(page.locator(LIVE).last.inner_text())


def await_growth(page: Page, least: int) -> int:
    page.wait_for_function(f"n => (document.querySelector('{LIVE}')?.innerText.length ?? 0) > n", arg=least)
    return spoken(page)


def test_an_answer_grows_token_by_token_until_it_is_stopped(window: Window, api: Web) -> None:
    page = window.page
    window.go("/chat/mate/stopped")
    say(window, "Tell me how the clock goes, forever")
    expect(page.locator(LIVE)).to_contain_text("tick tock")
    seen = [await_growth(page, 0)]
    for _ in range(3):
        seen.append(await_growth(page, seen[-1]))
    assert seen == sorted(set(seen)), "every look shows more"
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_role("button", name="Stop", exact=True)).to_be_hidden()
    kept = page.locator(".bubble.theirs[data-message]")
    expect(kept).to_contain_text("tick tock")
    expect(kept).to_contain_text("stopped")
    assert [run["status"] for run in api.call("agent.runs", profileId="mate", sessionId="stopped")] == [
        "cancelled"
    ]


def test_a_model_calls_tools_of_agents_and_waits_for_a_person_in_the_flow(window: Window, api: Web) -> None:
    page = window.page
    window.go("/chat/mate/tools")
    say(window, "When is high water?")
    request = page.get_by_role("region", name="Approval of echo.say")
    expect(request).to_contain_text(SAID)
    search = page.locator(".tool-card").filter(has_text="files.search_text")
    expect(search.get_by_label("done")).to_be_visible()
    request.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("table")).to_contain_text("12:02")
    expect(page.locator("pre.code", has_text="def clearance")).to_be_visible()
    said = page.locator(".tool-card").filter(has_text="echo.say")
    said.locator("summary").click()
    expect(said.locator("pre")).to_contain_text(SAID)
    roles = [
        each["role"] for each in api.call("chat.getThread", profileId="mate", sessionId="tools")["messages"]
    ]
    assert roles == ["user", "assistant", "tool", "tool", "assistant"]


def test_a_page_cut_off_in_the_middle_of_an_answer_misses_none_of_it(
    browser: Browser, harbour: Stage, api: Web
) -> None:
    with open_window(browser, harbour) as desk, open_window(browser, harbour, phone=True) as phone:
        for each in (desk, phone):
            each.go("/chat/mate/cut")
        run = api.call("chat.send", profileId="mate", sessionId="cut", text="forever, please")
        heard = await_growth(phone.page, 0)
        await_growth(desk.page, 0)
        desk.page.context.set_offline(True)
        expect(desk.page.get_by_text("Offline: you see what was loaded")).to_be_visible()
        await_growth(phone.page, heard + 200)
        desk.page.context.set_offline(False)
        api.call("agent.cancel", profileId="mate", runId=run["runId"])
        thread = api.call("chat.getThread", profileId="mate", sessionId="cut")["messages"]
        words = len(re.findall("tick tock", thread[-1]["content"]))
        for each in (desk, phone):
            bubble = each.page.locator(".bubble.theirs[data-message]")
            expect(bubble).to_have_count(1)
            found = re.findall("tick tock", bubble.inner_text())
            assert len(found) == words


def test_a_page_loaded_in_the_middle_of_an_answer_goes_on_with_it(window: Window, api: Web) -> None:
    page = window.page
    run = api.call("chat.send", profileId="mate", sessionId="late", text="go on forever")
    window.go("/chat/mate/late")
    before = await_growth(page, 0)
    page.reload()
    assert await_growth(page, before) > before
    api.call("agent.cancel", profileId="mate", runId=run["runId"])
    expect(page.locator(".bubble.theirs[data-message]")).to_contain_text("tick tock")


def test_a_key_that_a_model_lacks_is_asked_for_in_the_flow_and_never_comes_back(
    window: Window, api: Web
) -> None:
    page = window.page
    answers: list[bytes] = []
    window.go("/chat/locked/keys")
    say(window, "Good morning?")
    card = page.get_by_role("form", name="apiKey of openai-compatible")
    expect(card).to_contain_text("There is no key")
    page.reload()  # it is asked for until it is there
    page.on("response", lambda answer: answers.append(answer.body()) if "/rpc" in answer.url else None)
    card.get_by_label("apiKey of openai-compatible").fill("sk-wrong-one")
    card.get_by_role("button", name="Keep it and ask again").click()
    expect(card).to_contain_text("Another key is needed")
    card.get_by_label("apiKey of openai-compatible").fill(LOCK)
    card.get_by_role("button", name="Keep it and ask again").click()
    expect(page.locator(".bubble.theirs[data-message]")).to_contain_text(GREETING)
    expect(card).to_be_hidden()
    assert api.call("provider.credentials.list", profileId="locked")["providers"] == {
        "openai-compatible": ["apiKey"]
    }
    assert LOCK not in stored(window)
    assert len(answers) >= 2
    assert not any(LOCK.encode() in each for each in answers)
    events = api.call("agent.events", profileId="locked", sessionId="keys", limit=1000)
    assert LOCK not in str(events)


def test_a_model_is_chosen_from_what_its_provider_offers_and_tested(
    window: Window, api: Web, harbour: Stage
) -> None:
    page = window.page
    window.go("/assistants/mate")
    page.get_by_role("button", name="Test the model").click()
    dialog = page.get_by_role("dialog", name="Test of the model")
    expect(dialog).to_contain_text("mate answers.")
    expect(dialog).to_contain_text(re.compile(r"first word took \d"))
    page.keyboard.press("Escape")
    window.go("/settings/models")
    page.get_by_role("row", name=re.compile("^mate")).get_by_role(
        "button", name="What mate's provider offers"
    ).click()
    offer = page.get_by_role("dialog", name=re.compile("offers"))
    row = offer.get_by_role("row", name=re.compile("scripted"))
    expect(row).to_be_visible()
    expect(row.get_by_text("in use")).to_be_visible()
    page.keyboard.press("Escape")
    eventually(
        lambda: api.call("config.get")["settings"]["models"]["mate"]["openaiModelId"] == "scripted", "it"
    )
