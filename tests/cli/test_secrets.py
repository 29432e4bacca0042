"""``secrets`` and ``vars``: values go in and out of files, rest encrypted, and are rotated; none is shown."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.cli.stage import Stage
from tests.secrets.vault_server import ROOT, vault_server

VALUE = "s3cret-value-4711"
CLERK = "printf '%s\\n' \"pass=$PASS key=$KEY\"; exec sleep 1000"
RUN = f"sh -c '{CLERK}'"


def add_agent(stage: Stage, name: str, manifest: Mapping[str, object]) -> None:
    folder = stage.layout.repo("crew") / name
    folder.mkdir()
    whole = {"container": "docker.io/library/alpine:3", "health": {"readiness": {"protocol": "none"}}}
    folder.joinpath("manifest.json").write_text(json.dumps(whole | dict(manifest)), encoding="utf-8")
    stage.run("enable", "agent", name)


def audit(stage: Stage) -> list[Any]:
    lines = (stage.layout.logs / "audit.log").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def values(stage: Stage, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    shown: dict[str, str] = stage.run("vars", "--show", "--yes", "--json", environ=environ).json
    return shown


def test_a_dotenv_file_is_imported_whole_or_not_at_all(stage: Stage) -> None:
    stage.run("var", "B", "old")
    file = stage.root / "prod.env"
    file.write_text(f"# ours\nexport A='{VALUE}'\nB=new\nC=$A\n", encoding="utf-8")
    refused = stage.run("secrets", "import", "prod.env", code=1)
    assert "another value already: B" in refused.err
    assert stage.run("vars").out == "B\n"
    done = stage.run("secrets", "import", "prod.env", "--replace", "--json")
    assert done.json == {"added": ["A", "C"], "replaced": ["B"], "unchanged": 0}
    assert sorted(stage.run("vars").out.splitlines()) == ["A", "B", "C → A"]
    stage.run("secrets", "import", "-", stdin="D=1\n")
    assert stage.run("secrets", "import", "prod.env", "--json").json["unchanged"] == 3
    assert VALUE not in refused.out + refused.err + done.out + done.err
    torn = stage.run("secrets", "import", "-", stdin=f"E={VALUE}\nF='{VALUE}\n", code=1)
    assert "line 2" in torn.err
    assert VALUE not in torn.err
    assert "E" not in values(stage)
    assert stage.run("secrets", "import", "nowhere.env", code=3).err


def test_values_leave_only_after_somebody_agreed_and_into_a_private_file(stage: Stage) -> None:
    stage.run("var", "A", stdin=VALUE)
    stage.run("var", "B", "$A")
    for words in (("vars", "--show"), ("secrets", "export", "-"), ("secrets", "export", "x.env")):
        done = stage.run(*words, code=4)
        assert VALUE not in done.out + done.err
    assert stage.run("vars", "--show", "--yes").out == f"A={VALUE}\nB=$A\n"
    assert stage.run("secrets", "export", "-", "--yes").out == f"A={VALUE}\nB=$A\n"
    done = stage.run("secrets", "export", "x.env", "--yes")
    assert VALUE not in done.out + done.err
    file = stage.root / "x.env"
    assert file.read_text(encoding="utf-8") == f"A={VALUE}\nB=$A\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    stage.run("secrets", "export", "x.env", "--yes", code=2)
    stage.run("secrets", "export", "x.env", "--yes", "--replace")
    stage.run("secrets", "import", "x.env")
    seen = [(line["event"], line["names"]) for line in audit(stage)]
    assert seen[:3] == [
        ("secrets_shown", ["A", "B"]),
        ("secrets_exported", ["A", "B"]),
        ("secrets_exported", ["A", "B"]),
    ]
    assert VALUE not in (stage.layout.logs / "audit.log").read_text(encoding="utf-8")


def test_secrets_rest_encrypted_and_are_used_as_before(stage: Stage) -> None:
    assert stage.run("secrets", "encrypt", code=3).err
    stage.run("var", "A", stdin=VALUE)
    with stage.layout.secrets_file.open("a", encoding="utf-8") as file:
        file.write("# a comment\n")
    before = stage.layout.secrets_file.read_bytes()
    place = Path(stage.run("secrets", "encrypt", "--json").json["key"])
    assert place.is_file()
    assert stage.root not in place.parents
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    stage.run("var", "B", stdin="another-4712")
    stage.run("var", "A", "--unset")
    stage.run("var", "A", stdin=VALUE)
    text = stage.layout.secrets_file.read_bytes()
    assert VALUE.encode() not in text
    assert b"another-4712" not in text
    assert stat.S_IMODE(stage.layout.secrets_file.stat().st_mode) == 0o600
    assert values(stage) == {"A": f"A={VALUE}\n", "B": "B=another-4712\n"}
    other = Path(stage.run("secrets", "encrypt", "--json").json["key"])
    assert other != place
    place.unlink()
    assert values(stage)["A"] == f"A={VALUE}\n"
    key = other.read_text(encoding="utf-8")
    other.unlink()
    lost = stage.run("vars", code=1)
    assert "nothing was changed" in lost.err
    assert stage.run("var", "C", "x", code=1).err
    assert values(stage, environ={"PLOINKY_MASTER_KEY": key})["A"] == f"A={VALUE}\n"
    other.write_text(key, encoding="utf-8")
    other.chmod(0o600)
    stage.run("secrets", "decrypt")
    after = stage.layout.secrets_file.read_bytes()
    assert after.startswith(b"# a comment\n")
    assert len(after) == len(before) + len("B=another-4712\n")
    assert "not encrypted" in stage.run("secrets", "decrypt").err


@pytest.mark.bubblewrap
def test_rotating_restarts_the_users_of_a_secret_in_order_and_nobody_else(stage: Stage) -> None:
    stage.run("var", "KEY", stdin=VALUE)
    stage.run("var", "OTHER", stdin="other-4713")
    secret = {"env": {"PASS": {"varName": "ALIAS"}}, "agent": RUN}
    stage.run("var", "ALIAS", "$KEY")
    add_agent(stage, "base", secret)
    add_agent(stage, "aaa", {"secrets": ["KEY"], "enable": ["base"], "agent": RUN})
    add_agent(stage, "bystander", {"env": {"KEY": "mine"}, "secrets": ["OTHER"]})
    add_agent(stage, "sleeper", {"secrets": ["KEY"]})
    stage.run("--profile", "prod", "start", "aaa")
    stage.run("start", "bystander")

    def started() -> dict[str, str]:
        rows = stage.run("status", "--json").json["agents"]
        return {row["name"]: row["started_at"] for row in rows}

    def seen(agent: str) -> str:
        return stage.run("exec", agent, "--", "sh", "-c", "echo $PLOINKY_PROFILE $KEY $PASS").out.strip()

    before = started()
    assert seen("base") == f"prod {VALUE}"
    assert stage.run("secrets", "rotate", "ALIAS", stdin="x", code=2).err
    assert stage.run("secrets", "rotate", "UNKNOWN", stdin="x", code=3).err
    assert stage.run("secrets", "rotate", "KEY", stdin="", code=2).err
    assert started() == before

    done = stage.run("secrets", "rotate", "KEY", stdin="new-value-4714\n", environ={"NO_COLOR": "1"})
    assert "new-value" not in done.out + done.err
    assert "Restarted with the new value: base, aaa." in done.err
    after = started()
    assert {name for name in after if after[name] != before[name]} == {"aaa", "base"}
    assert (seen("base"), seen("aaa")) == ("prod new-value-4714", "prod new-value-4714")
    assert after["base"] < after["aaa"]

    stage.run("secrets", "rotate", "KEY", "--generate")
    assert len(values(stage)["KEY"]) > 40
    rotated = [line for line in audit(stage) if line["event"] == "secret_rotated"]
    assert [(line["names"], line["agents"]) for line in rotated] == [(["KEY"], ["base", "aaa"])] * 2


@pytest.mark.bubblewrap
def test_a_gateway_that_began_without_the_master_key_is_launched_anew_with_it(stage: Stage) -> None:
    key = {"PLOINKY_MASTER_KEY": "ab" * 32}
    stage.run("enable", "agent", "echo")
    stage.run("start")
    before = stage.endpoint.process
    stage.run("var", "KEY", stdin=VALUE)
    stage.run("secrets", "encrypt", environ=key)
    assert stage.run("vars", code=1).err
    stage.run("start", environ=key)
    assert stage.endpoint.process != before
    assert "hello" in stage.run("call", "echo.say", "-p", "text=hello", environ=key).out
    assert stage.run("exec", "echo", "--", "sh", "-c", "echo x$PLOINKY_MASTER_KEY", environ=key).out == "x\n"


@pytest.mark.bubblewrap
def test_what_an_agent_prints_is_shown_without_its_secrets(stage: Stage) -> None:
    stage.run("var", "KEY", stdin=VALUE)
    add_agent(stage, "clerk", {"secrets": ["KEY"], "agent": RUN})
    stage.run("start", "clerk")
    assert "key=[redacted]" in stage.run("logs", "clerk").out
    assert VALUE not in stage.run("logs", "clerk", "--json").out
    stage.run("stop", "clerk")
    stage.run("var", "KEY", "--unset")
    environ = {"SOME_TOKEN": VALUE}
    assert VALUE not in stage.run("logs", "clerk", environ=environ).out


@pytest.mark.bubblewrap
def test_an_agent_gets_its_secrets_from_a_vault_and_a_rotated_one_after_a_restart(stage: Stage) -> None:
    with vault_server() as vault:
        vault.keep("shop/prod", KEY=VALUE)
        settings = json.loads(stage.layout.config_file.read_text(encoding="utf-8"))
        place = {"address": vault.address, "path": "shop/{profile}", "caFile": str(vault.ca_file)}
        store = {"type": "vault", **place}
        settings["secrets"] = {"stores": [store]}
        stage.layout.config_file.write_text(json.dumps(settings), encoding="utf-8")
        add_agent(stage, "clerk", {"profiles": {"default": {}, "prod": {"secrets": ["KEY"]}}, "agent": RUN})
        environ = {"VAULT_TOKEN": ROOT, "PLOINKY_PROFILE": "prod"}
        shown = stage.run("profile", "validate", "prod", environ=environ).out
        assert "  KEY: ✓ Found in HashiCorp Vault" in shown
        stage.run("start", "clerk", environ=environ)
        echo = ("exec", "clerk", "--", "sh", "-c", "echo $PLOINKY_SECRETS_SOURCE $KEY")
        assert stage.run(*echo, environ=environ).out == f"vault {VALUE}\n"
        held = [
            path for path in stage.root.rglob("*") if path.is_file() and VALUE in path.read_text("latin1")
        ]
        assert [path.name for path in held] == ["clerk.log"], "it printed its own secret"
        vault.keep("shop/prod", KEY="another-4715")
        assert stage.run("secrets", "rotate", "KEY", stdin="x", code=2, environ=environ).err
        stage.run("secrets", "rotate", "KEY", "--unchanged", environ=environ)
        assert stage.run(*echo, environ=environ).out == "vault another-4715\n"
        vault.client().sys.seal()
        down = stage.run("restart", "clerk", code=1, environ=environ)
        assert "sealed" in down.err
        assert ROOT not in down.err
