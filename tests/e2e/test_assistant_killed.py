"""The gateway killed in the quiet stages of a turn: in the queue, before the model's first word, between a
tool's result and the next question, and while the answer is being kept. Nothing is lost, doubled or torn.
"""

from __future__ import annotations

import signal
import sqlite3

import pytest

from ploinky.assistants.assistant import STORE
from tests.cli.stage import Stage, eventually
from tests.e2e.held_turns import ANSWER, SCRIPT, interrupted, killed, thread
from tests.e2e.test_assistant_loop import await_next_gateway, begin, follow, said
from tests.gateway.web import web_of
from tests.models.witness import Witness

pytestmark = pytest.mark.bubblewrap


def test_killed_before_the_first_word_and_in_the_queue(quay: tuple[Stage, Witness]) -> None:
    stage, witness = quay
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


def test_killed_between_a_result_and_the_next_question(quay: tuple[Stage, Witness]) -> None:
    stage, witness = quay
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


def test_killed_while_the_answer_is_kept(quay: tuple[Stage, Witness]) -> None:
    stage, witness = quay
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
