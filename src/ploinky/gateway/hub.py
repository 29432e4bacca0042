"""What happens, pushed to whoever watches: numbered events by topic, kept a while so that nobody misses one.

An event belongs to a topic and may belong to an agent, an assistant and a session; a ``Watch`` says which a
listener wants. Ids are ``<epoch>-<number>``: the epoch is this gateway's, so a listener that comes back after
a restart, or too late, is told to look at everything anew (``reset``). A listener that is too slow is told
the same; it holds up nobody. To add a topic: a row in ``TOPICS``.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import anyio
import orjson

from ploinky.base.clock import now_iso
from ploinky.base.errors import UsageError
from ploinky.base.jsontypes import JsonObject
from ploinky.gateway.rpc.method import Scope

KEPT = 4000
KEPT_BYTES = 16 * 1024 * 1024
MOST_WAITING = 2000

TOPICS: Mapping[str, Scope] = MappingProxyType(
    {
        "agents": Scope.AGENTS_READ,  # states and health
        "usage": Scope.AGENTS_READ,  # live CPU and memory
        "operations": Scope.AGENTS_READ,  # progress of start, clone, install
        "calls": Scope.AGENTS_READ,  # tool calls that ended, and progress of those made here
        "runs": Scope.ASSISTANTS_USE,  # events of an assistant's runs
        "threads": Scope.ASSISTANTS_USE,  # messages of a thread, sessions
        "approvals": Scope.ASSISTANTS_USE,  # requests that wait and how they ended
        "assistants": Scope.ASSISTANTS_USE,  # assistants, their files, jobs, credentials by name
        "skills": Scope.ASSISTANTS_USE,  # installs and their progress
        "settings": Scope.ADMIN,  # configuration, secrets by name
    }
)


@dataclass(frozen=True)
class HubEvent:
    """One event; ``data`` is its JSON as sent. ``number`` 0: told to one listener only, not resumable."""

    number: int
    topic: str
    kind: str
    data: bytes
    agent: str | None = None
    assistant: str | None = None
    session: str | None = None


@dataclass(frozen=True)
class Watch:
    """What a listener wants: topics, and for each of the rest one value or (None) all."""

    topics: frozenset[str]
    agent: str | None = None
    assistant: str | None = None
    session: str | None = None

    def wants(self, event: HubEvent) -> bool:
        return event.topic in self.topics and all(
            wanted is None or had is None or wanted == had
            for wanted, had in (
                (self.agent, event.agent),
                (self.assistant, event.assistant),
                (self.session, event.session),
            )
        )


@dataclass(eq=False)
class _Listener:
    watch: Watch
    waiting: deque[HubEvent] = field(default_factory=deque)
    arrived: anyio.Event = field(default_factory=anyio.Event)


class EventHub:
    """``publish`` numbers an event, keeps it and hands it to those who watch. One event loop only."""

    def __init__(self) -> None:
        self.epoch = secrets.token_hex(4)
        self._number = 0
        self._kept: deque[HubEvent] = deque()
        self._kept_bytes = 0
        self._listeners: set[_Listener] = set()
        self._closed = False

    def publish(
        self,
        topic: str,
        kind: str,
        payload: JsonObject,
        *,
        agent: str | None = None,
        assistant: str | None = None,
        session: str | None = None,
    ) -> None:
        """Tell everybody who watches ``topic``; ``payload`` is free of secrets."""
        assert topic in TOPICS, topic
        self._number += 1
        facts: JsonObject = {"topic": topic, "kind": kind, "at": now_iso()}
        for name, value in (("agent", agent), ("profileId", assistant), ("sessionId", session)):
            if value is not None:
                facts[name] = value
        data = orjson.dumps({**facts, "data": payload})
        event = HubEvent(self._number, topic, kind, data, agent, assistant, session)
        self._keep(event)
        for listener in self._listeners:
            if listener.watch.wants(event):
                _give(listener, event)

    def id_of(self, event: HubEvent) -> str | None:
        """The id that a listener sends back to go on after this event."""
        return f"{self.epoch}-{event.number}" if event.number else None

    def is_watched(self, topic: str) -> bool:
        """Whether anybody watches ``topic`` now: for what is only worth asking if somebody looks."""
        return any(topic in listener.watch.topics for listener in self._listeners)

    def close(self) -> None:
        """End every listener's iterator."""
        self._closed = True
        for listener in self._listeners:
            listener.arrived.set()

    async def listen(self, watch: Watch, *, after: str | None = None) -> AsyncIterator[HubEvent]:
        """What was missed since the event ``after``, then everything that comes, until the hub closes."""
        listener = _Listener(watch)
        missed = self._since(after)
        if missed is None:
            listener.waiting.append(_reset("the events since then are not kept any more"))
        else:
            listener.waiting.extend(event for event in missed if watch.wants(event))
        self._listeners.add(listener)
        try:
            while True:
                while listener.waiting:
                    yield listener.waiting.popleft()
                if self._closed:
                    return
                listener.arrived = anyio.Event()
                await listener.arrived.wait()
        finally:
            self._listeners.discard(listener)

    def _keep(self, event: HubEvent) -> None:
        self._kept.append(event)
        self._kept_bytes += len(event.data)
        while len(self._kept) > KEPT or self._kept_bytes > KEPT_BYTES:
            self._kept_bytes -= len(self._kept.popleft().data)

    def _since(self, after: str | None) -> list[HubEvent] | None:
        """Events after that id; None if some of them are not known any more."""
        if after is None:
            return []
        epoch, _, text = after.partition("-")
        if epoch != self.epoch or not text.isdigit() or len(text) > 18:
            return None
        number = int(text)
        oldest = self._kept[0].number if self._kept else self._number + 1
        if number > self._number or number + 1 < oldest:
            return None
        return [event for event in self._kept if event.number > number]


def make_watch(
    topics: str, *, agent: str | None = None, assistant: str | None = None, session: str | None = None
) -> Watch:
    """A watch of ``topics`` (names with commas between; empty: all).

    Raises:
        UsageError: ``UNKNOWN_TOPIC``.
    """
    named = [name.strip() for name in topics.split(",") if name.strip()]
    for name in named:
        if name not in TOPICS:
            raise UsageError(
                "UNKNOWN_TOPIC",
                "There is no such topic of events.",
                hint=f"Topics: {', '.join(TOPICS)}.",
                details={"field": "topics"},
            )
    return Watch(frozenset(named or TOPICS), agent, assistant, session)


def _give(listener: _Listener, event: HubEvent) -> None:
    if len(listener.waiting) >= MOST_WAITING:
        listener.waiting.clear()
        listener.waiting.append(_reset("the listener was too slow"))
    listener.waiting.append(event)
    listener.arrived.set()


def _reset(why: str) -> HubEvent:
    data = orjson.dumps({"topic": "stream", "kind": "reset", "at": now_iso(), "data": {"reason": why}})
    return HubEvent(0, "stream", "reset", data)
