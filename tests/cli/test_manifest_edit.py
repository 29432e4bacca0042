"""``manifest migrate`` and ``profile new`` change a file as little as they can, or not at all."""

from __future__ import annotations

import json

from tests.cli.stage import Stage
from tests.manifest.test_migration import NEW, OLD


def test_migrate_rewrites_a_file_and_shows_what_it_did(bare: Stage) -> None:
    file = bare.root / "manifest.json"
    file.write_text(OLD, encoding="utf-8")
    shown = bare.run("manifest", "migrate", "manifest.json", "--dry-run").out
    assert '-    "install": "npm install",' in shown
    assert '+            "install": "npm install",' in shown
    assert "would move install, postinstall, env, ports into profiles.default" in shown
    assert file.read_text(encoding="utf-8") == OLD
    done = bare.run("manifest", "migrate", ".", "--json").json
    assert (done["moved"], done["written"]) == (["install", "postinstall", "env", "ports"], True)
    assert file.read_text(encoding="utf-8") == NEW
    assert "nothing to migrate" in bare.run("manifest", "migrate", ".").out
    assert bare.run("manifest", "validate", ".").out


def test_migrate_leaves_what_it_does_not_understand(bare: Stage) -> None:
    file = bare.root / "manifest.json"
    torn = OLD.replace('"install"', "install")
    file.write_text(torn, encoding="utf-8")
    assert "line 4" in bare.run("manifest", "migrate", ".", code=1).err
    assert file.read_text(encoding="utf-8") == torn
    assert bare.run("manifest", "migrate", "nowhere.json", code=3).err


def test_a_new_profile_is_written_into_the_manifest_of_one_agent(stage: Stage) -> None:
    file = stage.layout.repo("crew") / "guarded" / "manifest.json"
    before = json.loads(file.read_text(encoding="utf-8"))
    assert "--agent" in stage.run("profile", "new", "qa", code=2).err
    stage.run("enable", "agent", "guarded")
    stage.run("enable", "agent", "guarded", "as", "twin")
    stage.run("profile", "new", "qa")
    after = json.loads(file.read_text(encoding="utf-8"))
    added = after["profiles"].pop("qa")
    assert after == before
    assert added["env"]["NODE_ENV"] == "test"
    assert added["mounts"] == {"code": "ro", "skills": "ro"}
    stage.run("enable", "agent", "echo")
    assert stage.run("profile", "new", "staging", code=2).err
    stage.run("profile", "new", "staging", "--agent", "guarded", "--extends", "prod", "--template", "empty")
    stage.run("profile", "staging")
    assert stage.run("profile", "--json").json["agents"][0]["secrets"][1]["name"] == "PROD_SSL_CERT"
    assert stage.run("profile", "new", "qa", "--agent", "guarded", code=2).err
    assert "did you mean" in stage.run("profile", "new", "x", "--template", "pro", code=3).err.lower()
    assert stage.run("profile", "new", "Bad!", "--agent", "guarded", code=2).err
