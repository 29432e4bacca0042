"""Threads: the messages of every session of one assistant, in one order for all who look.

Appends are atomic over processes; an id, a time and an order never change once they are kept; a reader sees
one moment. A thread shows its newest ``MAX_MESSAGES``; older ones move to the archive and stay readable.
Every change leaves a ``thread`` event in the same transaction, by which watchers learn of it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from ploinky.assistants.ids import new_id
from ploinky.assistants.journal import EventJournal, EventKind, insert_event
from ploinky.assistants.messages import NewMessage, Role, ThreadMessage
from ploinky.assistants.sessions import ChannelKind, Session, require_session_id
from ploinky.base.clock import now_iso
from ploinky.base.database import Database
from ploinky.base.errors import NotFoundError, UsageError
from ploinky.base.jsontypes import JsonObject

MAX_MESSAGES = 1000
MAX_CONTENT = 2 * 1024 * 1024
_COLUMNS = "id, role, content, at, position, run_id, data"
_TITLE = 80


@dataclass(frozen=True)
class ThreadFacts:
    """A thread without its messages; ``version`` grows with every change."""

    session: Session
    title: str
    created_at: str
    updated_at: str
    version: int
    count: int
    summary: str | None
    summary_to: int

    def wire(self) -> JsonObject:
        return {
            "sessionId": self.session.id,
            "channelKind": self.session.kind.value,
            "channelId": self.session.channel,
            "userId": self.session.user,
            "title": self.title,
            "createdAt": self.created_at,
            "updatedAt": self.updated_at,
            "version": self.version,
            "count": self.count,
        }


class ThreadStore:
    """The threads in ``database``; ``journal`` is woken after every change made here."""

    def __init__(self, database: Database, journal: EventJournal) -> None:
        self._database = database
        self._journal = journal
        self._cache: dict[str, tuple[int, list[ThreadMessage]]] = {}
        self._arrays: dict[str, tuple[list[ThreadMessage], bytes]] = {}

    def find(self, session: str) -> ThreadFacts | None:
        """The thread of a session without its messages, or None if nothing was said yet."""
        return self._database.read(lambda db: _find_facts(db, session))

    def sessions(self) -> list[ThreadFacts]:
        """All threads, the one that changed last first."""

        def work(db: sqlite3.Connection) -> list[ThreadFacts]:
            return [_facts(row) for row in db.execute(f"{_SELECT_FACTS} ORDER BY updated_at DESC, session")]

        return self._database.read(work)

    def messages(self, session: str) -> list[ThreadMessage]:
        """The thread's messages, oldest first; empty if there is none. To be read only."""

        def work(db: sqlite3.Connection) -> list[ThreadMessage]:
            row = db.execute("SELECT version FROM threads WHERE session = ?", (session,)).fetchone()
            if row is None:
                return []
            kept = self._cache.get(session)
            if kept is None or kept[0] != row[0]:
                kept = self._cache[session] = (row[0], _live(db, session))
                while len(self._cache) > _CACHED:
                    self._cache.pop(next(iter(self._cache)))
            return kept[1]

        return self._database.read(work)

    def wire(self, session: str, limit: int | None = None) -> bytes:
        """Like ``messages``, as clients see them: a JSON array of the newest ``limit``, or of all."""
        messages = self.messages(session)
        if limit is not None:
            return _array(messages[-limit:])
        kept = self._arrays.get(session)
        if kept is None or kept[0] is not messages:
            kept = (messages, _array(messages))
            if len(kept[1]) > _CACHED_BYTES:
                return kept[1]
            self._arrays[session] = kept
            while len(self._arrays) > _CACHED:
                self._arrays.pop(next(iter(self._arrays)))
        return kept[1]

    def archived(self, session: str, *, before: int, limit: int) -> list[ThreadMessage]:
        """Up to ``limit`` messages that left the thread, from before ``position``, oldest first."""

        def work(db: sqlite3.Connection) -> list[ThreadMessage]:
            rows = db.execute(
                f"SELECT {_COLUMNS} FROM messages WHERE session = ? AND archived = 1 AND position < ?"  # noqa: S608
                " ORDER BY position DESC LIMIT ?",
                (session, before, limit),
            )
            return [_message(row) for row in rows][::-1]

        return self._database.read(work)

    async def append(self, session: Session, new: Sequence[NewMessage]) -> list[ThreadMessage]:
        """Add messages at the end; those that the thread has by id come back as they are.

        Raises:
            UsageError: ``BAD_SESSION``, ``MESSAGE_TOO_LONG``, or ``MESSAGE_DIFFERS`` if an id is taken by
                another text.
        """
        if not new:
            return []
        _require(session, new)
        kept = await self._database.commit(lambda db: append_in(db, session, new))
        self._journal.wake(session.id)
        return kept

    def append_now(self, session: Session, new: Sequence[NewMessage]) -> list[ThreadMessage]:
        """Like ``append``; blocks."""
        _require(session, new)
        kept = self._database.write(lambda db: append_in(db, session, new))
        self._journal.wake(session.id)
        return kept

    async def replace(
        self, session: Session, wanted: Sequence[NewMessage], *, if_version: int | None = None
    ) -> list[ThreadMessage]:
        """Make the thread be ``wanted``: what it has by id stays as it is, the rest is added at the end, and
        what is not wanted moves to the archive.

        Raises:
            UsageError: ``THREAD_CONFLICT`` if the thread is not at ``if_version`` any more, or the wanted
                messages stand in another order; as ``append``.
        """
        _require(session, wanted)

        def work(db: sqlite3.Connection) -> list[ThreadMessage]:
            _require_version(db, session.id, if_version)
            live = {message.id: message for message in _live(db, session.id)}
            ids = [message.id for message in wanted if message.id in live]
            if ids != [each for each in live if each in set(ids)]:
                raise _conflict("the messages stand in another order")
            if any(message.id not in live for message in wanted[: len(ids)]):
                raise _conflict("new messages stand before kept ones")
            for gone in live.keys() - set(ids):
                db.execute(
                    "UPDATE messages SET archived = 1 WHERE session = ? AND id = ?", (session.id, gone)
                )
            append_in(db, session, wanted)
            _recount(db, session.id)
            return _live(db, session.id)

        kept = await self._database.commit(work)
        self._journal.wake(session.id)
        return kept

    async def delete(self, session: str) -> None:
        """Forget a thread with its archive.

        Raises:
            NotFoundError: ``NO_THREAD``.
        """

        def work(db: sqlite3.Connection) -> None:
            if not db.execute("DELETE FROM threads WHERE session = ?", (session,)).rowcount:
                raise NotFoundError("NO_THREAD", "There is no such session.", hint="See: chat.sessions")
            db.execute("DELETE FROM messages WHERE session = ?", (session,))
            insert_event(db, session, EventKind.THREAD, {"change": "deleted"})

        await self._database.commit(work)
        self._cache.pop(session, None)
        self._journal.wake(session)

    async def summarise(self, session: str, summary: str, to: int) -> None:
        """Keep a summary of everything up to the message at position ``to``."""

        def work(db: sqlite3.Connection) -> None:
            db.execute(
                "UPDATE threads SET summary = ?, summary_to = ? WHERE session = ?", (summary, to, session)
            )

        await self._database.commit(work)


_CACHED = 64
_CACHED_BYTES = 2 * 1024 * 1024
_SELECT_FACTS = (
    "SELECT session, kind, channel, user, title, created_at, updated_at, version, count, summary, summary_to"
    " FROM threads"
)


def _array(messages: Sequence[ThreadMessage]) -> bytes:
    return orjson.dumps([each.wire() for each in messages])


def require_content(text: str) -> None:
    """Raises UsageError ``MESSAGE_TOO_LONG`` for a message that no thread takes."""
    if len(text) > MAX_CONTENT:
        raise UsageError(
            "MESSAGE_TOO_LONG",
            f"A message may have {MAX_CONTENT} characters; this one has {len(text)}.",
            hint="Put the text into a file of the assistant's workspace and name the file.",
        )


def _require(session: Session, new: Sequence[NewMessage]) -> None:
    require_session_id(session.id)
    for message in new:
        require_content(message.content)


def append_in(db: sqlite3.Connection, session: Session, new: Sequence[NewMessage]) -> list[ThreadMessage]:
    """Append within a transaction of the caller's, who wakes the journal afterwards."""
    if not new:
        return []
    now = now_iso()
    _ensure_thread(db, session, new, now)
    kept, added = [], []
    for message in new:
        known = _find_message(db, session.id, message.id) if message.id else None
        if known is None:
            known = _insert(db, session.id, message, now)
            added.append(known)
        elif (known.content, known.role) != (message.content, message.role):
            raise UsageError(
                "MESSAGE_DIFFERS",
                f"The thread has another message with the id {message.id!r}.",
                hint="Messages never change; give the new one an id of its own.",
            )
        kept.append(known)
    if added:
        version = _count_up(db, session.id, len(added), now)
        ids = [each.id for each in added]
        insert_event(
            db,
            session.id,
            EventKind.THREAD,
            {"change": "appended", "messageIds": list(ids), "version": version},
        )
    return kept


def _ensure_thread(db: sqlite3.Connection, session: Session, new: Sequence[NewMessage], now: str) -> None:
    title = next((message.content for message in new if message.role is Role.USER), "")
    values = (session.id, session.kind.value, session.channel, session.user, _title(title), now, now)
    db.execute(
        "INSERT INTO threads (session, kind, channel, user, title, created_at, updated_at, version, count)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0) ON CONFLICT (session) DO NOTHING",
        values,
    )


def _title(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _TITLE else line[: _TITLE - 1] + "…"


def _insert(db: sqlite3.Connection, session: str, message: NewMessage, now: str) -> ThreadMessage:
    made = ThreadMessage(
        message.id or new_id("msg"), message.role, message.content, now, 0, message.run_id, message.data
    )
    cursor = db.execute(
        "INSERT INTO messages (session, id, role, content, data, run_id, at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (session, made.id, made.role.value, made.content, made.data_text, made.run_id, now),
    )
    assert cursor.lastrowid is not None
    return ThreadMessage(made.id, made.role, made.content, now, cursor.lastrowid, made.run_id, made.data)


def _count_up(db: sqlite3.Connection, session: str, added: int, now: str) -> int:
    """Count what was added and move what is too much to the archive; the thread's new version."""
    count, version = db.execute(
        "UPDATE threads SET version = version + 1, count = count + ?, updated_at = ? WHERE session = ?"
        " RETURNING count, version",
        (added, now, session),
    ).fetchone()
    if count > MAX_MESSAGES:
        db.execute(
            "UPDATE messages SET archived = 1 WHERE position IN (SELECT position FROM messages"
            " WHERE session = ? AND archived = 0 ORDER BY position LIMIT ?)",
            (session, count - MAX_MESSAGES),
        )
        db.execute("UPDATE threads SET count = ? WHERE session = ?", (MAX_MESSAGES, session))
    return int(version)


def _recount(db: sqlite3.Connection, session: str) -> None:
    db.execute(
        "UPDATE threads SET version = version + 1, count = (SELECT count(*) FROM messages WHERE session = ?1"
        " AND archived = 0) WHERE session = ?1",
        (session,),
    )


def _live(db: sqlite3.Connection, session: str) -> list[ThreadMessage]:
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM messages WHERE session = ? AND archived = 0 ORDER BY position",  # noqa: S608
        (session,),
    )
    return [_message(row) for row in rows]


def _find_message(db: sqlite3.Connection, session: str, message_id: str) -> ThreadMessage | None:
    row = db.execute(
        f"SELECT {_COLUMNS} FROM messages WHERE session = ? AND id = ?",  # noqa: S608
        (session, message_id),
    ).fetchone()
    return None if row is None else _message(row)


def _message(row: tuple[str, str, str, str, int, str | None, str | None]) -> ThreadMessage:
    message_id, role, content, at, position, run_id, data = row
    return ThreadMessage(
        message_id, Role(role), content, at, position, run_id, json.loads(data) if data else {}
    )


def _find_facts(db: sqlite3.Connection, session: str) -> ThreadFacts | None:
    row = db.execute(f"{_SELECT_FACTS} WHERE session = ?", (session,)).fetchone()
    return None if row is None else _facts(row)


def _facts(row: sqlite3.Row | tuple[str, ...]) -> ThreadFacts:
    session, kind, channel, user, title, created, updated, version, count, summary, to = row
    known = Session(session, ChannelKind(kind), channel, user)
    return ThreadFacts(known, title or "", created, updated, int(version), int(count), summary, int(to))


def _require_version(db: sqlite3.Connection, session: str, wanted: int | None) -> None:
    if wanted is None:
        return
    row = db.execute("SELECT version FROM threads WHERE session = ?", (session,)).fetchone()
    if (0 if row is None else row[0]) != wanted:
        raise _conflict("somebody changed it meanwhile")


def _conflict(why: str) -> UsageError:
    return UsageError(
        "THREAD_CONFLICT", f"The thread was left as it is: {why}.", hint="Read it again, then set it again."
    )
