"""A person's path through the README, section "On the pages": what it says to press is there and does it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.cli.stage import Stage
from tests.gateway.web import Web
from tests.web.browser import Window

pytestmark = pytest.mark.bubblewrap
PROJECT = Path(__file__).parents[2]


class Reader:
    """Presses only what the text names next, in its order."""

    def __init__(self, text: str) -> None:
        found = re.finditer(r"(?<!\*)\*([^*\n]+)\*(?!\*)|`([^`\n]+)`", text)
        self._words: Iterator[str] = (each[1] or each[2] for each in found)

    def until(self, word: str) -> str:
        """``word``, which must come next or later in the text."""
        if word not in self._words:
            raise AssertionError(f"the README does not say {word!r} here")
        return word


@pytest.fixture
def reader() -> Reader:
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    section = text.partition("## On the pages")[2].partition("\n## ")[0]
    return Reader(re.sub(r"```.*?```", "", section, flags=re.DOTALL))


def test_the_readme_leads_a_person_to_agent_assistant_skill_and_profile(
    window: Window, harbour: Stage, api: Web, reader: Reader
) -> None:
    page, says = window.page, reader.until

    def place(name: str) -> None:
        page.get_by_role("navigation", name="Pages", exact=True).get_by_role("link", name=name).click()

    place(says("Home"))
    page.get_by_role("button", name=says("Add agent")).click()
    adding = page.get_by_role("dialog", name="Add an agent")
    agent = says("formatter")
    adding.get_by_label("Find").fill(agent)
    adding.get_by_role("button", name=f"{says('Enable')} {agent}", exact=True).click()
    expect(adding.get_by_text("Enabled")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name=f"{says('Start')} {agent}")).to_be_enabled()

    place(says("Assistants"))
    page.get_by_role("button", name=says("New assistant")).click()
    making = page.get_by_role("dialog", name="New assistant")
    making.get_by_label("Id").fill(says("pilot"))
    making.get_by_role("button", name=says("Make it")).click()
    expect(page.get_by_role("heading", name="pilot")).to_be_visible()
    page.locator("#main").get_by_role("link", name=says("Chat")).click()
    page.get_by_label("Message", exact=True).fill(says("/help"))
    page.keyboard.press("Enter")
    expect(page.locator(".bubble.theirs[data-message]")).to_contain_text("/tools")
    place(says("Settings"))
    page.get_by_role("tab", name=says("Models and keys")).click()
    expect(page.get_by_role("heading", name="Models", exact=True)).to_be_visible()

    place(says("Skills"))
    skill = says("wares/tide-table")
    shutil.copytree(PROJECT / "examples" / "skills" / "tide-table", harbour.root / skill)
    page.get_by_label("Where it is").fill(skill)
    page.get_by_role("button", name=says("Look at it")).click()
    page.get_by_role("button", name=says("Approve and install")).click()
    expect(page.get_by_role("region", name="Skill tide-table")).to_be_visible()

    place(says("Settings"))
    page.get_by_role("tab", name=says("Profiles and secrets")).click()
    use = says("Use")
    page.get_by_role("button", name=f"{use} profile {says('prod')}").click()
    expect(page.get_by_role("row", name=re.compile("^prod")).get_by_text("active")).to_be_visible()

    api.call("envprofile.use", name="dev")
    api.call("profile.delete", profileId="pilot")
    api.call("skills.uninstall", skillId="tide-table")
    api.call("agents.disable", agent=agent)
