"""``skills.*`` over JSON-RPC: judged, approved by digest, installed, keys named and never shown."""

from __future__ import annotations

import shutil

import pytest

from tests.cli.stage import Stage
from tests.engines import absent
from tests.gateway.web import Web

pytestmark = pytest.mark.bubblewrap

SKILL = (
    "# Tide\n\n## Description\n\nTells tides.\n\n## Install\n\n```sh\n%s\n```\n"
    "\n## Credentials\n\n`TIDE_KEY`\n"
)


def test_a_skill_is_judged_approved_installed_and_removed(web: Web, town: Stage) -> None:
    if shutil.which("bwrap") is None:
        absent("bubblewrap", "bwrap is not installed")
    folder = town.root / "tide"
    folder.mkdir()
    (folder / "SKILL.md").write_text(SKILL % "frobnicate || true", encoding="utf-8")
    looked = web.call("skills.analyze", source="tide")
    assert looked["verdict"] == "needs-approval"
    refused = web.error("skills.install", source="tide", wait=True)
    assert refused["data"]["code"] == "SKILL_NEEDS_APPROVAL"
    assert refused["data"]["details"] == {"digest": looked["digest"]}
    assert [each["rule"] for each in looked["findings"]] == ["unknown-command"]
    assert [each["label"] for each in looked["steps"]] == ["frobnicate || true"]
    assert web.call("skills.list") == []
    stale = web.error("skills.install", source="tide", approve="0" * 64, wait=True)
    assert stale["data"]["code"] == "SKILL_NEEDS_APPROVAL"
    web.call("skills.install", source="tide", approve=looked["digest"], wait=True)
    assert [each["id"] for each in web.call("skills.list")] == ["tide"]
    web.call("skills.credentials.set", skillId="tide", keyName="TIDE_KEY", value="planted-value")
    listed = web.call("skills.credentials.list", skillId="tide")
    assert listed == [{"name": "TIDE_KEY", "present": True, "declared": True}]
    web.call("skills.uninstall", skillId="tide")
    assert web.call("skills.list") == []
    assert web.error("skills.uninstall", skillId="tide")["data"]["code"] == "SKILL_NOT_INSTALLED"
