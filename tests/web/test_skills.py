"""A skill in the browser: seen whole before anything runs, installed, its key set and deleted, removed."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.cli.stage import Stage
from tests.gateway.web import Web
from tests.web.browser import Window, stored

pytestmark = pytest.mark.bubblewrap

SKILL = """# Tide

## Description

Tells tides.

## Install

```sh
mkdir -p data
echo low > data/state
```

## Credentials

`TIDE_API_KEY`

## Usage

`cat data/state`
"""


def test_a_skill_is_judged_installed_given_a_key_and_removed(
    window: Window, harbour: Stage, api: Web
) -> None:
    folder = harbour.root / "wares" / "tide"
    folder.mkdir(parents=True)
    (folder / "SKILL.md").write_text(SKILL, encoding="utf-8")
    page, value = window.page, "moon-and-sun-2291"
    window.go("/skills")
    page.get_by_label("Where it is").fill("wares/tide")
    page.get_by_role("button", name="Look at it").click()
    expect(page.get_by_text("What would run")).to_be_visible()
    expect(page.locator("ol pre.code", has_text="mkdir -p data")).to_be_visible()
    assert api.call("skills.list") == []
    page.get_by_role("button", name="Approve and install").click()
    card = page.get_by_role("region", name=re.compile("^Skill tide", re.IGNORECASE))
    expect(card).to_be_visible()
    card.get_by_label("TIDE_API_KEY", exact=True).fill(value)
    card.get_by_role("button", name="Set TIDE_API_KEY").click()
    expect(card.get_by_role("button", name="Delete key TIDE_API_KEY")).to_be_visible()
    assert value not in stored(window)
    assert window.serious_faults() == []
    card.get_by_role("button", name="Delete key TIDE_API_KEY").click()
    expect(card.get_by_role("button", name="Delete key TIDE_API_KEY")).to_be_hidden()
    card.get_by_role("button", name="Remove skill").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(card).to_be_hidden()
    assert api.call("skills.list") == []


def test_a_skill_that_is_refused_cannot_be_approved(window: Window, harbour: Stage) -> None:
    folder = harbour.root / "wares" / "rough"
    folder.mkdir(parents=True)
    text = SKILL.replace("# Tide", "# Rough").replace("mkdir -p data", "sudo mkdir -p data")
    (folder / "SKILL.md").write_text(text, encoding="utf-8")
    window.go("/skills")
    window.page.get_by_label("Where it is").fill("wares/rough")
    window.page.get_by_role("button", name="Look at it").click()
    expect(window.page.get_by_role("alert")).to_contain_text("refused")
    expect(window.page.get_by_role("button", name="Approve and install")).to_be_disabled()
