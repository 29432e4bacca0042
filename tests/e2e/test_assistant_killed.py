"""The gateway killed in the quiet stages of a turn: in the queue, before the model's first word, between a
tool's result and the next question, and while the answer is being kept. Nothing is lost, doubled or torn.
"""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ploinky.assistants.assistant import STORE
from tests.cli.stage import Stage, eventually, give_back, make_stage
from tests.e2e.test_assistant_loop import await_next_gateway, begin, follow, kill_gateway, said, settings
from tests.gateway.web import Web, web_of
from tests.models.llama import running_llama
from tests.models.scripted_gguf import Script
from tests.models.witness import Witness, witnessed

pytestmark = pytest.mark.bubblewrap
ANSWER = "It was said over the water."
SCRIPT = Script(calls=[("echo__say", {"text": "ahoy"})], answer=ANSWER, greeting="Good morning to you.")


@pytest.fixture(scope="module")
def pier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stage, Witness]]:
    """A workspace whose assistant asks its model through a witness that can hold."""
    runtime = Path(tempfile.mkdtemp(prefix="pq-", dir="/tmp"))
    with running_llama(SCRIPT, context=16384) as server, witnessed(server.url) as witness:
        stage = make_stage(tmp_path_factory.mktemp("pier"), runtime)
        tools = {"allow": ["echo.*"], "trust": ["echo.*"]}
        config = {**settings(f"{witness.url}/v1"), "tools": tools}
        stage.layout.config_file.write_text(json.dumps(config), encoding="utf-8")
        stage.run("start", "echo")
        try:
            yield stage, witness
        finally:
            give_back(stage)
    shutil.rmtree(runtime)


def thread(web: Web, session: str) -> list[tuple[str, str]]:
    messages = web.call("chat.getThread", sessionId=session)["messages"]
    return [(message["role"], message["content"]) for message in messages]


def killed(stage: Stage, witness: Witness) -> Web:
    kill_gateway(stage)
    witness.release()
    return web_of(stage)


def interrupted(web: Web, run_id: str) -> dict[str, Any]:
    ended: dict[str, Any] = web.call("agent.wait", runId=run_id)
    assert (ended["status"], ended["error"]["code"]) == ("interrupted", "RUN_INTERRUPTED")
    return ended


def test_killed_before_the_first_word_and_in_the_queue(pier: tuple[Stage, Witness]) -> None:
    stage, witness = pier
    web, before = web_of(stage), len(witness.asked)
    witness.hold_after(before)
    first = begin(web, "queue", "Please say ahoy.")
    witness.wait_for(before + 1)
    second = begin(web, "queue", "Once more.")
    assert web.call("agent.wait", runId=second, block=False)["status"] == "queued"
    web = killed(stage, witness)
    assert interrupted(web, first)["text"] == ""
    ended = web.call("agent.wait", runId=second)
    assert (ended["status"], ended["text"]) == ("done", ANSWER)
    kept = thread(web, "queue")
    assert kept[:2] == [("user", "Please say ahoy."), ("user", "Once more.")]
    assert [role for role, _ in kept[2:]] == ["assistant", "tool", "assistant"]


def test_killed_between_a_result_and_the_next_question(pier: tuple[Stage, Witness]) -> None:
    stage, witness = pier
    web, before = web_of(stage), len(witness.asked)
    # the agent's answer comes after the first question, and the second is held
    witness.hold_after(before + 1)
    run_id = begin(web, "between", "Please say ahoy.")
    follow(web, "between", "tool_result")
    witness.wait_for(before + 2)
    kept = thread(web, "between")
    assert [role for role, _ in kept] == ["user", "assistant", "tool"]
    assert "ahoy" in kept[-1][1]
    web = killed(stage, witness)
    interrupted(web, run_id)
    assert thread(web, "between") == kept
    again = web.call("agent.wait", runId=begin(web, "between", "And now?"))
    assert (again["status"], again["text"]) == ("done", ANSWER)
    assert thread(web, "between")[: len(kept)] == kept


def test_killed_while_the_answer_is_kept(pier: tuple[Stage, Witness]) -> None:
    stage, witness = pier
    web = web_of(stage)
    web.call("profile.update", profileId="default", settings={"tools": {"allow": []}})
    witness.hold_end()
    run_id = begin(web, "keeping", "Good morning.")
    spoken = ""
    with web.events("/default?sessionId=keeping", "0") as events:
        for _, value in events:
            spoken += value["data"]["text"] if value["event"] == "assistant_delta" else ""
            if spoken == SCRIPT.greeting:
                break
    store = next(stage.root.rglob(STORE))
    with sqlite3.connect(store, isolation_level=None) as lock:
        lock.execute("BEGIN IMMEDIATE")  # so that nothing of what follows the last word can be written
        ends = witness.ended
        witness.release()
        eventually(lambda: witness.ended > ends, "the answer to end")
        before = stage.endpoint.process
        before.signal(signal.SIGKILL)
        eventually(lambda: not before.alive, "the gateway to be gone")
        lock.execute("ROLLBACK")
    lock.close()
    await_next_gateway(stage, before)
    web = web_of(stage)
    assert interrupted(web, run_id)["text"] == SCRIPT.greeting
    assert thread(web, "keeping") == [("user", "Good morning."), ("assistant", SCRIPT.greeting)]
    told = follow(web, "keeping", "done")
    assert said(told) == SCRIPT.greeting
    web.call("profile.update", profileId="default", settings={"tools": None})
