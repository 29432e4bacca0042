"""A skill in the browser: seen whole before anything runs, installed, its key set and deleted, removed."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.cli.stage import Stage
from tests.gateway.web import Web
from tests.models.llama import MODEL, running_llama
from tests.models.scripted_gguf import Script
from tests.web.browser import Window, stored
from tests.web.conftest import Calls

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


def test_a_key_that_a_skill_lacks_is_asked_for_in_the_flow_and_never_comes_back(
    window: Window, harbour: Stage, api: Web
) -> None:
    """A real model server asks; the person's value goes to the skill's shelf and to nobody else."""
    folder = harbour.root / "wares" / "ebb"
    folder.mkdir(parents=True)
    (folder / "SKILL.md").write_text(SKILL.replace("# Tide", "# Ebb"), encoding="utf-8")
    wanted = {"kind": "skill", "owner": "ebb", "name": "TIDE_API_KEY", "why": "The tables are behind a key."}
    calls: Calls = [("request_credential", wanted)]
    page, value, sent = window.page, "gull-on-a-post-3307", []
    page.on("response", lambda answer: sent.append(answer.body()) if "/rpc" in answer.url else None)
    with running_llama(Script(calls=calls, answer="Once it is there."), context=65536) as server:
        entry = {"provider": "openai-compatible", "baseURL": server.openai_url, "openaiModelId": MODEL}
        api.call("config.patch", patch={"models": {"asker": entry}})
        api.call("profile.create", id="asker", name="Asker", modelId="asker")
        window.go("/skills")
        page.get_by_label("Assistant").select_option(label="Asker")
        page.get_by_label("Where it is").fill("wares/ebb")
        page.get_by_role("button", name="Look at it").click()
        page.get_by_role("button", name="Approve and install").click()
        expect(page.get_by_role("region", name="Skill ebb")).to_be_visible()
        window.go("/chat/asker/keys")
        page.get_by_label("Message", exact=True).fill("When is low water?")
        page.get_by_role("button", name="Send", exact=True).click()
        card = page.get_by_role("form", name="TIDE_API_KEY of ebb")
        expect(card).to_contain_text("The tables are behind a key.")
        card.get_by_label("TIDE_API_KEY of ebb").fill(value)
        card.get_by_role("button", name="Keep it and ask again").click()
        expect(page.get_by_text("TIDE_API_KEY is kept.")).to_be_visible()
        keys = api.call("skills.credentials.list", profileId="asker", skillId="ebb")
        assert [(key["name"], key["present"]) for key in keys] == [("TIDE_API_KEY", True)]
        assert value not in stored(window)
        assert not any(value.encode() in body for body in sent)
        assert value not in str(api.call("chat.getThread", profileId="asker", sessionId="keys"))
    api.call("profile.delete", profileId="asker")
    api.call("config.patch", patch={"models": {"asker": None}})
