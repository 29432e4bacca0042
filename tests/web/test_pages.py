"""Every page's main task, in a real browser, against a real gateway with real agents."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, expect

from tests.cli.stage import Stage, eventually
from tests.gateway.web import Web
from tests.web.browser import Window, open_window, stored

pytestmark = pytest.mark.bubblewrap


def test_home_stops_and_starts_an_agent_and_follows_its_log(window: Window, harbour: Stage) -> None:
    page = window.page
    card = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="second"))
    expect(card.get_by_text("Ready", exact=True)).to_be_visible()
    expect(card.get_by_text(re.compile(r"\d+(\.\d)? (kB|MB)"))).to_be_visible()
    card.get_by_role("button", name="Stop second").click()
    expect(card.get_by_text("Stopped", exact=True)).to_be_visible()
    card.get_by_role("button", name="Start second").click()
    expect(card.get_by_text("Ready", exact=True)).to_be_visible()
    card.get_by_role("button", name="Details of second").click()
    dialog = page.get_by_role("dialog", name="second")
    harbour.run("exec", "second", "--", "sh", "-c", "echo a-line-from-inside > /proc/1/fd/1")
    expect(dialog.get_by_role("log")).to_contain_text("a-line-from-inside")
    dialog.get_by_role("tab", name="Facts").click()
    expect(dialog.get_by_text("crew/worker")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_home_enables_an_agent_that_a_repository_has(window: Window, api: Web) -> None:
    page = window.page
    page.get_by_role("button", name="Add agent").click()
    dialog = page.get_by_role("dialog", name="Add an agent")
    dialog.get_by_label("Find").fill("hooked")
    dialog.get_by_role("button", name="Enable hooked", exact=True).click()
    expect(dialog.get_by_text("Enabled")).to_be_visible()
    assert any(row["name"] == "hooked" for row in api.call("agents.status")["agents"])
    api.call("agents.disable", agent="hooked")


def test_home_draws_who_needs_whom_and_what_the_profile_lacks(window: Window) -> None:
    graph = window.page.get_by_role("group", name="Dependency graph")
    expect(graph.get_by_role("button", name=re.compile("^team: "))).to_be_visible()
    assert "team needs second" in graph.inner_html()
    expect(window.page.get_by_role("heading", name="Profile")).to_be_visible()
    expect(window.page.get_by_text(re.compile("agents need is there|missing or wrong"))).to_be_visible()


def test_tools_makes_a_form_of_a_schema_and_shows_the_answer(window: Window) -> None:
    page = window.page
    window.go("/tools")
    page.get_by_role("link", name=re.compile("search_text")).click()
    expect(page.get_by_role("heading", name="Search text")).to_be_visible()
    page.get_by_label("pattern").fill("harbour")
    page.get_by_label("limit").fill("2")
    page.get_by_role("button", name="Call", exact=True).click()
    expect(page.get_by_text("Done")).to_be_visible()
    expect(page.locator("pre.code").last).to_contain_text("harbour")
    expect(page.get_by_role("row", name=re.compile("search_text")).first).to_be_visible()
    page.get_by_label("limit").fill("2.5")
    page.get_by_role("button", name="Call", exact=True).click()
    expect(page.get_by_text("This is no whole number.")).to_be_visible()
    expect(page.get_by_label("limit")).to_be_focused()


def test_a_tool_that_fails_is_shown_to_fail(window: Window) -> None:
    window.go("/tools/echo/fail")
    window.page.get_by_role("button", name="Call", exact=True).click()
    expect(window.page.get_by_text("The tool failed")).to_be_visible()


def test_settings_refuse_a_public_address_beside_its_field(window: Window, api: Web) -> None:
    page = window.page
    window.go("/settings")
    page.get_by_label("Address").fill("0.0.0.0")
    page.get_by_role("button", name="Save address").click()
    expect(page.locator(".fault")).to_contain_text("does not listen on 0.0.0.0")
    page.get_by_label("Address").fill("127.0.0.3")
    page.get_by_role("button", name="Save address").click()
    expect(page.get_by_text("counts once the gateway is started anew")).to_be_visible()
    assert api.call("config.get")["settings"]["gateway"]["bindAddress"] == "127.0.0.3"
    page.get_by_label("Address").fill("127.0.0.1")
    page.get_by_role("button", name="Save address").click()
    eventually(
        lambda: api.call("config.get")["settings"]["gateway"]["bindAddress"] == "127.0.0.1", "the address"
    )


def test_a_secret_is_set_and_deleted_and_is_nowhere_in_the_browser(window: Window, api: Web) -> None:
    page, value = window.page, "correct-horse-7731"
    answers: list[bytes] = []
    page.on("response", lambda answer: answers.append(answer.body()) if "/rpc" in answer.url else None)
    window.go("/settings/environment")
    page.get_by_label("Name").fill("PIER_KEY")
    page.get_by_label("Value").fill(value)
    page.get_by_role("button", name="Set secret").click()
    row = page.get_by_role("row", name=re.compile("PIER_KEY"))
    expect(row.get_by_text(re.compile("^Set"))).to_be_visible()
    assert value not in stored(window)
    assert not any(value.encode() in each for each in answers)
    row.get_by_role("button", name="Delete PIER_KEY").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(row).to_be_hidden()
    assert all(each["name"] != "PIER_KEY" for each in api.call("secrets.list"))


def test_a_key_of_a_provider_is_set_and_deleted_and_never_shown(window: Window, api: Web) -> None:
    page, value = window.page, "sk-tide-4410"
    window.go("/settings/models")
    page.get_by_label("Provider key").fill(value)
    page.get_by_role("button", name="Set key").click()
    delete = page.get_by_role("button", name="Delete apiKey of openai-compatible")
    expect(delete).to_be_visible()
    assert value not in stored(window)
    delete.click()
    expect(delete).to_be_hidden()
    assert api.call("provider.credentials.list")["providers"] == {}


def test_the_profile_is_changed_for_all_who_watch(window: Window, api: Web) -> None:
    page = window.page
    window.go("/settings/environment")
    page.get_by_role("button", name="Use profile prod").click()
    expect(page.get_by_role("row", name=re.compile("^prod")).get_by_text("active")).to_be_visible()
    api.call("envprofile.use", name="dev")
    expect(page.get_by_role("row", name=re.compile("^dev")).get_by_text("active")).to_be_visible()


def test_activity_charts_calls_and_filters_the_log(window: Window, api: Web) -> None:
    api.call("tools.call", agent="echo", tool="say", arguments={"text": "x"})
    api.call("tools.call", agent="echo", tool="fail")
    window.go("/activity")
    page = window.page
    expect(page.get_by_role("figure", name=re.compile(r"\d+ calls, \d+ of them failed"))).to_be_visible()
    expect(page.locator(".recharts-bar-rectangle").first).to_be_visible()
    page.get_by_label("Kind").select_option(label="Tool calls")
    page.get_by_label("Outcome").select_option(label="Failed")
    rows = page.get_by_role("group", name="Audit log").get_by_role("row")
    expect(rows.filter(has_text="echo.fail").first).to_be_visible()
    expect(rows.filter(has_text="echo.say")).to_have_count(0)


def test_a_terminal_opens_inside_an_agent(window: Window) -> None:
    page = window.page
    window.go("/terminal/echo")
    shell = page.get_by_role("group", name="Shell inside echo")
    expect(page.get_by_text("Inside echo")).to_be_visible()
    shell.click()
    page.keyboard.type("ls /code; echo sum-$((40+2))\n")
    expect(shell).to_contain_text("sum-42")
    expect(shell).to_contain_text("say.sh")
    page.keyboard.press("Shift+Escape")
    expect(page.locator("#main")).to_be_focused()
    page.evaluate("document.querySelector('.xterm textarea').focus()")
    page.keyboard.type("exit 3\n")
    expect(page.get_by_text("The shell has ended (3)")).to_be_visible()


def test_logging_out_leaves_nothing_and_a_token_logs_in(browser: Browser, harbour: Stage, api: Web) -> None:
    with open_window(browser, harbour) as window:
        page = window.page
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_label("Token")).to_be_visible()
        page.get_by_label("Token").fill("wrong")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("alert")).to_contain_text("not right")
        page.get_by_label("Token").fill(api.token)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", name="Home")).to_be_visible()
        assert api.token not in stored(window)
