"""The gateway killed inside the transactions of a turn, and while it fits the context.

A trigger holds the store at the very statement. Whatever was begun is there whole or not at all, and every
run is found again.
"""

from __future__ import annotations

import contextlib
import signal
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ploinky.assistants.assistant import STORE
from tests.cli.stage import Stage, eventually
from tests.e2e.held_turns import ANSWER, SCRIPT, interrupted, killed, thread
from tests.e2e.test_assistant_loop import await_next_gateway, begin, follow, said
from tests.gateway.web import Web, web_of
from tests.models.witness import Witness

pytestmark = pytest.mark.bubblewrap
_FOREVER = "SELECT count(*) FROM " + ", ".join(f"sqlite_master AS m{number}" for number in range(9))
_SURELY = 15  # looks in a row at which the store is busy


def killed_at(stage: Stage, statement: str, session: str, text: str) -> str:
    """Send a message and kill the gateway within the transaction that does ``statement``; the run's id."""
    store = next(stage.root.rglob(STORE))
    before = stage.endpoint.process
    _execute(store, f"CREATE TRIGGER held {statement} BEGIN {_FOREVER}; END")
    with ThreadPoolExecutor(1) as pool:  # the answer to this may not come
        pool.submit(begin, web_of(stage), session, text)
        eventually(lambda: all(_is_busy(store) for _ in range(_SURELY)), "the store to be held")
        before.signal(signal.SIGKILL)
    eventually(lambda: not before.alive, "the gateway to be gone")
    _execute(store, "DROP TRIGGER held")
    await_next_gateway(stage, before)
    asked = web_of(stage).call("chat.getThread", sessionId=session)["messages"][-1:]
    [run_id] = {str(each["runId"]) for each in asked}
    return run_id


def _execute(store: Path, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(store, timeout=20, isolation_level=None)) as database:
        database.execute(statement)


def _is_busy(store: Path) -> bool:
    with contextlib.closing(sqlite3.connect(store, timeout=0.02, isolation_level=None)) as database:
        try:
            database.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
        return False


@contextlib.contextmanager
def without_tools(stage: Stage) -> Iterator[None]:
    """No tools are offered, so that the model greets."""
    web_of(stage).call("profile.update", profileId="default", settings={"tools": {"allow": []}})
    yield
    web_of(stage).call("profile.update", profileId="default", settings={"tools": None})


def told_to_the_end(web: Web, run_id: str, session: str) -> list[dict[str, Any]]:
    """All events of a run; there is one ``done``, the last, and no number is missing."""
    events = [value for _, value in follow(web, session, "done") if value.get("runId") == run_id]
    assert [value["seq"] for value in events] == list(range(1, len(events) + 1))
    return events


def test_killed_while_the_thread_is_loaded_the_run_begins_again(quay: tuple[Stage, Witness]) -> None:
    stage, _ = quay
    run_id = killed_at(
        stage, "BEFORE UPDATE ON runs WHEN new.status = 'running'", "loading", "Please say ahoy."
    )
    web = web_of(stage)
    ended = web.call("agent.wait", runId=run_id)
    assert (ended["status"], ended["text"]) == ("done", ANSWER)
    assert [role for role, _ in thread(web, "loading")] == ["user", "assistant", "tool", "assistant"]
    told_to_the_end(web, run_id, "loading")


def test_killed_while_the_context_is_fitted_nothing_is_changed(quay: tuple[Stage, Witness]) -> None:
    stage, witness = quay
    web, before = web_of(stage), len(witness.asked)
    long = [
        {"role": role, "content": f"{number}: " + "over the water " * 20}
        for number in range(40)
        for role in ("user", "assistant")
    ]
    web.call("thread.set", sessionId="fitting", messages=long)
    witness.hold_after(before)
    run_id = begin(web, "fitting", "Please say ahoy.")
    witness.wait_for(before + 1)
    assert b"Summarise this part" in witness.asked[before]
    web = killed(stage, witness)
    assert interrupted(web, run_id)["text"] == ""
    kept = thread(web, "fitting")
    assert kept == [(each["role"], each["content"]) for each in long] + [("user", "Please say ahoy.")]
    again = web.call("agent.wait", runId=begin(web, "fitting", "And now?"))
    assert again["status"] == "done"
    assert thread(web, "fitting")[: len(kept)] == kept


def test_killed_while_a_result_is_kept_the_call_has_one_that_says_so(quay: tuple[Stage, Witness]) -> None:
    stage, _ = quay
    statement = "AFTER INSERT ON messages WHEN new.role = 'tool' AND new.data NOT LIKE '%interrupted%'"
    run_id = killed_at(stage, statement, "result", "Please say ahoy.")
    web = web_of(stage)
    interrupted(web, run_id)
    kept = thread(web, "result")
    assert [role for role, _ in kept] == ["user", "assistant", "tool"]
    assert "may have run or not" in kept[-1][1]


def test_killed_between_the_kept_answer_and_done_the_run_is_done(quay: tuple[Stage, Witness]) -> None:
    stage, _ = quay
    with without_tools(stage):
        statement = "BEFORE UPDATE ON runs WHEN new.status = 'done'"
        run_id = killed_at(stage, statement, "ending", "Good morning.")
        web = web_of(stage)
        ended = web.call("agent.wait", runId=run_id)
        assert (ended["status"], ended["error"], ended["text"]) == ("done", None, SCRIPT.greeting)
        assert ended["usage"]["outputTokens"] > 0
        assert thread(web, "ending") == [("user", "Good morning."), ("assistant", SCRIPT.greeting)]
        told = told_to_the_end(web, run_id, "ending")
        assert said([("", each) for each in told]) == SCRIPT.greeting
        assert [each["event"] for each in told if each["event"] in ("done", "error")] == ["done"]


def test_killed_while_the_end_is_told_the_run_and_its_last_event_come_together(
    quay: tuple[Stage, Witness],
) -> None:
    stage, _ = quay
    with without_tools(stage):
        statement = "BEFORE INSERT ON events WHEN new.kind = 'done' AND new.data LIKE '%notes%'"
        run_id = killed_at(stage, statement, "telling", "Good morning.")
        web = web_of(stage)
        assert web.call("agent.wait", runId=run_id)["status"] == "done"
        assert told_to_the_end(web, run_id, "telling")[-1]["event"] == "done"
