"""Threads: one order for all who write, nothing lost, nothing torn, nothing changed; also over processes.

``PLOINKY_APPENDS`` says how many messages the eight processes write together (``make test`` writes 12,000).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ploinky.assistants.incoming import new_messages
from ploinky.assistants.journal import EventJournal
from ploinky.assistants.messages import NewMessage, Role, ThreadMessage
from ploinky.assistants.schema import MIGRATIONS
from ploinky.assistants.sessions import Session
from ploinky.assistants.threads import MAX_MESSAGES, ThreadStore
from ploinky.base.database import Database, Migration
from ploinky.base.errors import PloinkyError, UsageError
from tests.cli.stage import eventually

ROOT = Path(__file__).parents[2]
MAIN = Session("main")
_WRITER = """
import sys
from pathlib import Path
from ploinky.assistants.journal import EventJournal
from ploinky.assistants.messages import NewMessage, Role
from ploinky.assistants.schema import MIGRATIONS
from ploinky.assistants.sessions import Session
from ploinky.assistants.threads import ThreadStore
from ploinky.base.database import Database
path, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
database = Database(path, MIGRATIONS)
store = ThreadStore(database, EventJournal(database))
for number in range(count):
    text = f"{name}:{number}:" + "x" * (number % 50)
    store.append_now(Session("main"), [NewMessage(Role.USER, text, id=f"{name}-{number}")])
"""


def open_store(folder: Path) -> ThreadStore:
    database = Database(folder / "state.db", MIGRATIONS)
    return ThreadStore(database, EventJournal(database))


def texts(messages: list[ThreadMessage]) -> list[str]:
    return [message.content for message in messages]


def start_writers(folder: Path, names: list[str], each: int) -> list[subprocess.Popen[bytes]]:
    path = str(folder / "state.db")
    return [
        subprocess.Popen([sys.executable, "-c", _WRITER, path, name, str(each)], cwd=ROOT) for name in names
    ]


def test_eight_processes_write_one_thread_and_lose_and_tear_nothing(tmp_path: Path) -> None:
    writers = 8
    each = int(os.environ.get("PLOINKY_APPENDS", "12000")) // writers
    store = open_store(tmp_path)
    processes = start_writers(tmp_path, [f"w{number}" for number in range(writers)], each)
    seen: dict[str, tuple[str, str, int]] = {}
    while any(process.poll() is None for process in processes):
        messages = store.messages("main")
        assert [m.position for m in messages] == sorted(m.position for m in messages)
        for message in messages:
            name, number, padding = message.content.split(":")
            assert message.id == f"{name}-{number}"
            assert padding == "x" * (int(number) % 50)
            facts = (message.content, message.at, message.position)
            assert seen.setdefault(message.id, facts) == facts
    assert [process.wait(60) for process in processes] == [0] * writers
    live = store.messages("main")
    older = store.archived("main", before=live[0].position, limit=each * writers)
    everything = older + live
    assert len(live) == MAX_MESSAGES
    assert {m.id for m in everything} == {f"w{w}-{n}" for w in range(writers) for n in range(each)}
    for writer in range(writers):
        own = [int(m.content.split(":")[1]) for m in everything if m.content.startswith(f"w{writer}:")]
        assert own == sorted(own)


def test_a_writer_that_is_killed_leaves_what_it_had_kept_and_disturbs_nobody(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    [killed] = start_writers(tmp_path, ["killed"], 10**9)
    eventually(lambda: len(store.messages("main")) > 5, "its first messages")
    [other] = start_writers(tmp_path, ["other"], 500)
    eventually(lambda: any(m.id == "other-5" for m in store.messages("main")), "both to write")
    killed.send_signal(signal.SIGKILL)
    assert (killed.wait(60), other.wait(60)) == (-signal.SIGKILL, 0)
    live = store.messages("main")
    everything = store.archived("main", before=live[0].position, limit=10**9) + live
    kept = [m.id for m in everything if m.id.startswith("killed-")]
    assert kept == [f"killed-{number}" for number in range(len(kept))]
    assert [m.id for m in everything if m.id.startswith("other-")] == [f"other-{n}" for n in range(500)]


def test_a_full_thread_moves_its_oldest_to_the_archive(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.append_now(MAIN, [NewMessage(Role.USER, str(number)) for number in range(MAX_MESSAGES + 7)])
    live = store.messages("main")
    assert texts(live) == [str(number) for number in range(7, MAX_MESSAGES + 7)]
    assert texts(store.archived("main", before=live[0].position, limit=100)) == [str(n) for n in range(7)]


def test_a_message_that_is_sent_twice_is_kept_once_and_never_changes(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    first = store.append_now(MAIN, [NewMessage(Role.USER, "hello", id="m1")])
    assert store.append_now(MAIN, [NewMessage(Role.USER, "hello", id="m1")]) == first
    with pytest.raises(UsageError) as fault:
        store.append_now(MAIN, [NewMessage(Role.USER, "other", id="m1")])
    assert fault.value.code == "MESSAGE_DIFFERS"
    assert texts(store.messages("main")) == ["hello"]


async def test_setting_a_thread_keeps_what_is_known_and_archives_the_rest(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    kept = store.append_now(MAIN, [NewMessage(Role.USER, text, id=text) for text in "abc"])
    wanted = [
        NewMessage(Role.USER, "a", id="a"),
        NewMessage(Role.USER, "c", id="c"),
        NewMessage(Role.USER, "d"),
    ]
    changed = await store.replace(MAIN, wanted, if_version=1)
    assert texts(changed) == ["a", "c", "d"]
    assert changed[:2] == [kept[0], kept[2]]
    assert texts(store.archived("main", before=2**40, limit=10)) == ["b"]
    for faulty in ([wanted[1], wanted[0]], [NewMessage(Role.USER, "new"), wanted[0]]):
        with pytest.raises(UsageError, match="left as it is"):
            await store.replace(MAIN, faulty)
    with pytest.raises(UsageError, match="changed it meanwhile"):
        await store.replace(MAIN, wanted, if_version=1)


@pytest.mark.parametrize("name", ["", "x" * 257, "a\nb", "\x00", "\x1b[2J"])
def test_a_session_that_is_no_text_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError) as fault:
        open_store(tmp_path).append_now(Session(name), [NewMessage(Role.USER, "x")])
    assert fault.value.details["field"] == "sessionId"


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/abs", "a/b", "ünïcode ✓", "'; DROP TABLE threads; --"]
)
def test_a_session_is_text_and_never_a_path(tmp_path: Path, name: str) -> None:
    store = open_store(tmp_path)
    store.append_now(Session(name), [NewMessage(Role.USER, "x")])
    assert texts(store.messages(name)) == ["x"]
    assert {path.name for path in tmp_path.iterdir()} <= {"state.db", "state.db-wal", "state.db-shm"}


def message(role: str, text: str, run: str | None = None) -> ThreadMessage:
    return ThreadMessage(f"{role}-{text}", Role(role), text, "now", run_id=run)


_TURNS = st.lists(
    st.tuples(st.text(max_size=5), st.lists(st.text(max_size=5), min_size=1, max_size=3)), max_size=6
)


@settings(max_examples=60)
@given(_TURNS, st.text(max_size=5), st.integers(min_value=0, max_value=20))
def test_a_client_that_sends_its_whole_list_adds_only_what_is_new(
    turns: list[tuple[str, list[str]]], new: str, forgotten: int
) -> None:
    thread, known = [], []
    for number, (question, pieces) in enumerate(turns):
        thread.append(message("user", question))
        thread += [message("assistant", piece, f"run{number}") for piece in pieces]
        known += [NewMessage(Role.USER, question), NewMessage(Role.ASSISTANT, "".join(pieces))]
    window = known[min(forgotten, len(known)) :]
    added = new_messages(thread, [*window, NewMessage(Role.USER, new)])
    assert [each.content for each in added] == [new]


def test_a_broken_store_and_a_newer_one_are_errors_and_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(b"this is no database, whatever its name says" * 100)
    before = path.read_bytes()
    with pytest.raises(PloinkyError) as fault:
        Database(path, MIGRATIONS)
    assert fault.value.code == "DATABASE_BROKEN"
    assert path.read_bytes() == before
    newer = tmp_path / "newer.db"
    Database(newer, [*MIGRATIONS, Migration("9999_future", ("CREATE TABLE future (x)",))]).close()
    with pytest.raises(PloinkyError) as fault:
        Database(newer, MIGRATIONS)
    assert fault.value.code == "DATABASE_NEWER"


def test_a_store_of_every_earlier_step_is_brought_up_to_date(tmp_path: Path) -> None:
    for count in range(len(MIGRATIONS) + 1):
        path = tmp_path / f"step{count}.db"
        Database(path, MIGRATIONS[:count]).close()
        database = Database(path, MIGRATIONS)
        names = database.read(lambda db: [row[0] for row in db.execute("SELECT name FROM migrations")])
        assert names == [migration.name for migration in MIGRATIONS]
        database.close()
        assert path.stat().st_mode & 0o777 == 0o600
