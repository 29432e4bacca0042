"""A skill from its install to its use in a turn, every part real; its key is nowhere but in its program.

The key is planted: it is looked for in every prompt that the model server got, every event, every answer of
the RPC, every file of the workspace and of the home, and what the commands printed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.cli.stage import Done, Stage, give_back, make_stage
from tests.e2e.test_assistant_loop import approve, follow, said, settings
from tests.gateway.web import web_of
from tests.models.llama import running_llama
from tests.models.scripted_gguf import Script
from tests.models.witness import Witness, witnessed
from tests.skills.sandboxes import ENGINES, require_engine

KEY = "quay/side+4711=lantern"
ANSWER = "High water is at noon, the skill says."
SCRIPT = Script(
    calls=[("skill_load", {"skill": "tide"})],
    then=[("skill_run", {"skill": "tide", "argv": ["sh", "scripts/tide.sh", "harbour"]})],
    answer=ANSWER,
)
SKILL = """---
name: tide
description: Tells tides of a place.
metadata: {"openclaw": {"requires": {"env": ["TIDE_KEY"]}}}
---
Run `sh scripts/tide.sh PLACE`, then say when high water is.
"""
PROGRAM = """\
printf '%s' "$TIDE_KEY" | sha256sum
echo "high water at $1: noon"
echo "asked with $TIDE_KEY"
printf 'user:%s' "$TIDE_KEY" | base64
echo "warning: $TIDE_KEY is old" >&2
"""


@dataclass
class Told:
    """What came out of one turn with the skill."""

    stage: Stage
    witness: Witness
    commands: list[Done] = field(default_factory=list)
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    thread: list[dict[str, Any]] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)

    def run(self, *words: str, stdin: str = "") -> Done:
        self.commands.append(self.stage.run(*words, stdin=stdin))
        return self.commands[-1]


@pytest.fixture(scope="module", params=ENGINES[:2])
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    require_engine(request.param)
    runtime = Path(tempfile.mkdtemp(prefix="pk-", dir="/tmp"))
    with running_llama(SCRIPT, context=16384) as server, witnessed(server.url) as witness:
        stage = make_stage(tmp_path_factory.mktemp("quay"), runtime)
        config = {
            **settings(f"{witness.url}/v1"),
            "tools": {"allow": ["skill_*"]},
            "sandbox": {"engine": request.param},
        }
        stage.layout.config_file.write_text(json.dumps(config), encoding="utf-8")
        _write_skill(stage.root / "tide")
        told = Told(stage, witness)
        told.run("start")
        try:
            _turn(told)
            yield told
        finally:
            give_back(stage)
    shutil.rmtree(runtime)


def _write_skill(folder: Path) -> None:
    (folder / "scripts").mkdir(parents=True)
    (folder / "SKILL.md").write_text(SKILL, encoding="utf-8")
    (folder / "scripts" / "tide.sh").write_text(PROGRAM, encoding="utf-8")


def _turn(told: Told) -> None:
    told.run("skill", "install", "tide")
    told.run("skill", "credentials", "set", "tide", "TIDE_KEY", stdin=f"{KEY}\n")
    told.run("skill", "credentials", "list", "tide")
    web = web_of(told.stage)
    asked = web.call("agent.run", session={"sessionId": "quay"}, messages=[{"content": "When is the tide?"}])
    told.events += follow(web, "quay", "approval_needed")
    approve(web, asked["runId"])
    told.events += follow(web, "quay", "done", after=told.events[-1][0])
    told.answers += [
        web.call("chat.getThread", sessionId="quay"),
        web.call("agent.wait", runId=asked["runId"]),
        web.call("approval.list"),
        web.call("skills.list"),
        web.call("skills.credentials.list", skillId="tide"),
    ]
    told.thread += told.answers[0]["messages"]
    told.run("skill", "run", "tide", "sh", "scripts/tide.sh", "pier")


def test_the_model_finds_loads_and_runs_a_skill_and_answers(told: Told) -> None:
    assert b"Tells tides of a place." in told.witness.asked[0]
    roles = [message["role"] for message in told.thread]
    assert roles == ["user", "assistant", "tool", "assistant", "tool", "assistant"]
    assert "sh scripts/tide.sh PLACE" in told.thread[2]["content"]
    assert "high water at harbour: noon" in told.thread[4]["content"]
    assert told.thread[5]["content"] == said(told.events) == ANSWER
    needed = next(value["data"] for _, value in told.events if value["event"] == "approval_needed")
    assert needed["tool"] == "skill_run"
    assert b"high water at harbour: noon" in told.witness.asked[2]
    assert len(told.witness.asked) == 3


def test_the_program_has_its_key_and_nothing_else_has(told: Told) -> None:
    assert hashlib.sha256(KEY.encode()).hexdigest() in told.thread[4]["content"]
    assert "asked with [redacted]" in told.thread[4]["content"]
    assert hashlib.sha256(KEY.encode()).hexdigest() in told.commands[-1].out
    told.stage.run("shutdown")  # what is still in memory is written
    places = {
        **{f"prompt {number}": body for number, body in enumerate(told.witness.asked)},
        "events": json.dumps(told.events).encode(),
        "answers": json.dumps(told.answers).encode(),
        **{f"command {number}": (done.out + done.err).encode() for number, done in enumerate(told.commands)},
        **_files(told.stage),
    }
    assert any(name.endswith("state.db") for name in places)
    assert any("log" in name for name in places)
    assert [name for name, data in places.items() if _shows(data)] == []


def _files(stage: Stage) -> dict[str, bytes]:
    """Every file of the workspace, of its home and of its sockets' folder, and the rows of its databases."""
    found = {}
    for path in (*stage.root.rglob("*"), *stage.runtime.rglob("*")):
        if path.is_file() and not path.is_symlink():
            found[str(path)] = path.read_bytes()
            if path.suffix == ".db":
                with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as rows:
                    found[f"{path} as text"] = "\n".join(rows.iterdump()).encode()
                rows.close()
    return found


def _shows(data: bytes) -> bool:
    """Whether the key is there, as it is or in a form that is quickly undone."""
    inside = base64.b64encode(f"user:{KEY}".encode())[8:24]
    forms = (KEY.encode(), json.dumps(KEY).encode()[1:-1], base64.b64encode(KEY.encode()), inside)
    return any(form in data for form in (*forms, quote(KEY, safe="").encode()))
