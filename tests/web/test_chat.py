"""The conversation: kept, the same on two devices while a third client writes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.cli.stage import Stage, eventually
from tests.gateway.web import Web
from tests.web.browser import Window, open_window

pytestmark = pytest.mark.bubblewrap


def say(window: Window, text: str) -> None:
    box = window.page.get_by_label("Message", exact=True)
    box.fill(text)
    expect(window.page.get_by_role("button", name="Send", exact=True)).to_be_enabled()
    box.press("Enter")


def test_a_risky_call_waits_in_the_flow_and_goes_on_once_approved(window: Window, api: Web) -> None:
    page = window.page
    window.go("/chat/default/cards")
    request = page.get_by_role("region", name="Approval of echo.fail")
    say(window, "/call echo.fail {}")
    expect(request).to_contain_text("does not say that this tool only reads")
    expect(page.get_by_role("link", name=re.compile("^Approvals 1"))).to_be_visible()
    request.get_by_role("button", name="Approve").click()
    expect(request).to_be_hidden()
    card = page.locator(".tool-card").filter(has_text="echo.fail").first
    expect(card.get_by_label("failed")).to_be_visible()
    card.locator("summary").click()
    expect(card.locator("pre")).not_to_be_empty()
    say(window, "/call echo.fail {}")
    request.get_by_role("button", name="Deny").click()
    expect(request).to_be_hidden()
    window.go("/approvals")
    expect(page.get_by_role("row", name=re.compile("echo.fail")).filter(has_text="denied")).to_be_visible()
    assert {each["status"] for each in api.call("approval.list")} == {"approved", "denied"}


def test_one_thread_on_two_devices_while_a_third_client_writes(
    browser: Browser, harbour: Stage, api: Web
) -> None:
    with open_window(browser, harbour) as desk, open_window(browser, harbour, phone=True, dark=True) as phone:
        for each in (desk, phone):
            each.go("/chat/default/shared")
        say(desk, "from the desk")
        expect(phone.page.locator(".said", has_text="from the desk")).to_be_visible()
        api.call("chat.send", sessionId="shared", text="from a program")
        say(phone, "from the phone")
        for each in (desk, phone):
            for text in ("from the desk", "from a program", "from the phone"):
                expect(each.page.locator(".bubble.mine .said", has_text=text)).to_be_visible()

        def order(each: Window) -> list[str]:
            script = "all => all.map((x) => x.dataset.message)"
            found: list[str] = each.page.locator("[data-message]").evaluate_all(script)
            return found

        kept = [
            message["id"]
            for message in api.call("chat.getThread", sessionId="shared")["messages"]
            if message["role"] != "tool"
        ]
        eventually(lambda: len(order(desk)) >= 6 and order(desk) == order(phone), "the same order on both")
        assert order(desk) == kept[: len(order(desk))]
        assert desk.faults + phone.faults == []


def test_a_message_that_cannot_be_sent_is_never_shown_as_kept(browser: Browser, harbour: Stage) -> None:
    with open_window(browser, harbour) as window:
        window.go("/chat/default/lost")
        page = window.page
        expect(page.get_by_role("heading", name=re.compile("Say something"))).to_be_visible()
        page.route("**/rpc", lambda route: route.abort())
        say(window, "into the void")
        expect(page.get_by_text("Not sent")).to_be_visible()
        page.unroute("**/rpc")
        page.get_by_role("button", name="Send again").click()
        expect(page.locator(".bubble.mine[data-message]")).to_contain_text("into the void")
        expect(page.get_by_text("Not sent")).to_be_hidden()


def test_a_file_is_attached_into_the_assistants_workspace(
    window: Window, harbour: Stage, tmp_path: Path
) -> None:
    note = tmp_path / "tide table.txt"
    note.write_text("high at noon", encoding="utf-8")
    window.go("/chat/default/attached")
    window.page.get_by_label("Files to attach").set_input_files(note)
    expect(window.page.get_by_label("Message", exact=True)).to_have_value(re.compile("tide table.txt"))
    kept = harbour.root / "assistants" / "default" / "workspace" / "tide table.txt"
    assert kept.read_text(encoding="utf-8") == "high at noon"


def test_a_conversation_is_made_and_deleted(window: Window, api: Web) -> None:
    page = window.page
    window.go("/chat/default/main")
    page.get_by_role("button", name="New conversation").click()
    expect(page).to_have_url(re.compile("/chat/default/web-"))
    say(window, "a passing thought")
    session = page.locator(".session", has_text="a passing thought")
    expect(session).to_be_visible()
    session.get_by_role("button", name=re.compile("Delete")).click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(session).to_be_hidden()
    assert all(row["title"] != "a passing thought" for row in api.call("chat.sessions"))


def test_an_assistant_is_made_changed_and_deleted(window: Window, api: Web) -> None:
    page = window.page
    window.go("/assistants")
    page.get_by_role("button", name="New assistant").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Id").fill("pilot")
    dialog.get_by_label("Name").fill("Harbour pilot")
    dialog.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("heading", name="Harbour pilot")).to_be_visible()
    page.get_by_role("tab", name="Who it is").click()
    page.get_by_role("button", name=re.compile("SOUL.md")).click()
    page.get_by_label("SOUL.md").fill("Calm, whatever the tide.")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("button", name="Save")).to_be_disabled()
    page.get_by_role("tab", name="Context").click()
    expect(page.get_by_text("tokens").first).to_be_visible()
    page.locator("details", has_text="SOUL").first.click()
    expect(page.get_by_text("Calm, whatever the tide.")).to_be_visible()
    page.get_by_role("tab", name="Jobs").click()
    page.get_by_label("Name").fill("Morning")
    page.get_by_label("Schedule").fill("6h")
    page.get_by_label("What to say to it").fill("/help")
    page.get_by_role("button", name="Add job").click()
    expect(page.get_by_role("row", name=re.compile("Morning"))).to_contain_text("every 6h")
    page.get_by_role("tab", name="Overview").click()
    page.get_by_role("button", name="Delete assistant").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="Harbour pilot", exact=True)).to_be_hidden()
    assert "pilot" not in [each["profileId"] for each in api.call("profile.list")["profiles"]]
