"""``ploinky skill``: judged, shown, approved by digest, installed, run with its key, removed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.stage import Stage
from tests.engines import absent

pytestmark = pytest.mark.bubblewrap

SKILL = """---
name: tide
description: Tells tides.
metadata: {"openclaw": {"requires": {"env": ["TIDE_KEY"]}}}
---
Run `sh scripts/tide.sh`.
"""
PLAIN = "# Tide\n\n## Description\n\nTells tides.\n\n## Install\n\n```sh\n%s\n```\n"


@pytest.fixture
def tide(stage: Stage) -> Path:
    if shutil.which("bwrap") is None:
        absent("bubblewrap", "bwrap is not installed")
    config = {"models": {"m": {"provider": "offline", "model": "offline"}}, "defaultModel": "m"}
    stage.layout.config_file.write_text(json.dumps(config), encoding="utf-8")
    stage.run("assistant", "create", "helper")
    folder = stage.root / "tide"
    (folder / "scripts").mkdir(parents=True)
    (folder / "SKILL.md").write_text(SKILL, encoding="utf-8")
    (folder / "scripts" / "tide.sh").write_text(
        'echo "key: $TIDE_KEY"; test -n "$TIDE_KEY"\n', encoding="utf-8"
    )
    return folder


def test_a_skill_from_its_look_to_its_removal(stage: Stage, tide: Path) -> None:
    assert stage.run("skill", "analyze", "tide", "--json").json["verdict"] == "allow"
    assert "TIDE_KEY" in stage.run("skill", "install", "tide").err
    assert [each["id"] for each in stage.run("skill", "list", "--json").json] == ["tide"]
    stage.run("skill", "run", "tide", "sh", "scripts/tide.sh", code=1)
    set_done = stage.run("skill", "credentials", "set", "tide", "TIDE_KEY", stdin="planted-value\n")
    shown = stage.run("skill", "credentials", "list", "tide")
    assert "present" in shown.out
    ran = stage.run("skill", "run", "tide", "sh", "scripts/tide.sh")
    assert ran.out == "key: [redacted]\n"
    assert "planted" not in set_done.out + set_done.err + shown.out + shown.err + ran.err
    stage.run("skill", "credentials", "delete", "tide", "TIDE_KEY")
    assert "absent" in stage.run("skill", "credentials", "list", "tide").out
    stage.run("skill", "uninstall", "tide")
    assert stage.run("skill", "list", "--json").json == []
    assert "is installed" in stage.run("skill", "run", "tide", "sh", code=3).err


def test_what_needs_approval_is_installed_by_the_digest_that_was_shown(stage: Stage, tide: Path) -> None:
    (tide / "SKILL.md").write_text(PLAIN % "frobnicate || true", encoding="utf-8")
    looked = stage.run("skill", "analyze", "tide", "--json").json
    assert looked["verdict"] == "needs-approval"
    assert [each["rule"] for each in looked["findings"]] == ["unknown-command"]
    assert looked["steps"][0]["label"] == "frobnicate || true"
    refused = stage.run("skill", "install", "tide", code=4)
    assert "not approved" in refused.err
    stage.run("skill", "install", "tide", "--approve", "0" * 64, code=4)
    stage.run("skill", "install", "tide", "--approve", looked["digest"])
    assert stage.run("skill", "list", "--json").json[0]["approved_by"] == "owner"


def test_a_denied_skill_is_refused_with_its_reason(stage: Stage, tide: Path) -> None:
    (tide / "SKILL.md").write_text(PLAIN % "sudo id", encoding="utf-8")
    looked = stage.run("skill", "analyze", "tide")
    assert "privilege" in looked.out
    refused = stage.run("skill", "install", "tide", "--approve", "0" * 64, code=1)
    assert "refused" in refused.err
    assert stage.run("skill", "list", "--json").json == []


def test_validate_is_strict(stage: Stage, tide: Path) -> None:
    assert "STRICT_METADATA" in stage.run("skill", "validate", "tide", code=1).err
    (tide / "SKILL.md").write_text(
        "---\nname: tide\ndescription: Tells tides.\n---\nWords.\n", encoding="utf-8"
    )
    stage.run("skill", "validate", "tide")
