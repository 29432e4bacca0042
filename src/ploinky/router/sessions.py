"""Sessions of the session era: who opened each, its requests under way, its streams, its conversations.

A session belongs to the caller and the endpoint that opened it; for anybody else it does not exist. An
idle one is forgotten, and the number is bounded: the client initialises again when it gets a 404. No
agent can take so many that others lose theirs.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import anyio

from ploinky.base.jsontypes import JsonObject
from ploinky.mcp.messages import (
    CANCELLED,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    Reply,
    RequestId,
    RpcError,
    notification,
    request_body,
)
from ploinky.mcp.upstream import ClientFacts
from ploinky.router.callers import Caller, CallerKind
from ploinky.router.streams import Feed, StreamLog, stream_id
from ploinky.router.talks import Talks

_SHARES = 4
_MOST_LOGS = 16
_MOST_LOGGED_BYTES = 4 * 1024 * 1024
_MOST_QUESTIONS = 64
_PATIENCE_S = 600.0
_ASKED_FOR = {
    "elicitation/create": "elicitation",
    "sampling/createMessage": "sampling",
    "roots/list": "roots",
}


@dataclass(slots=True, eq=False)
class Question:
    """Something asked of the client, until it answers."""

    answered: anyio.Event = field(default_factory=anyio.Event)
    reply: Reply | None = None


@dataclass(slots=True, eq=False)
class Session:
    """One client; ``agent`` is its endpoint, None for all agents; ``shown`` the lists it knows of.

    ``life`` counts the gateways that it had before this one; ``made_by`` are the requests that made its
    state, by what they are about.
    """

    id: str
    caller: Caller
    agent: str | None
    client: ClientFacts
    last_used: float
    calls: dict[RequestId, anyio.CancelScope] = field(default_factory=dict)
    feed: Feed = field(default_factory=Feed)
    logs: dict[str, StreamLog] = field(default_factory=dict)
    questions: dict[RequestId, Question] = field(default_factory=dict)
    shown: tuple[bytes, ...] = ()
    talks: Talks | None = None
    counted: int = 0
    life: int = 0
    made_by: dict[str, tuple[str, JsonObject]] = field(default_factory=dict)

    @property
    def busy(self) -> bool:
        return self.feed.listening or bool(self.calls)

    def begin_life(self, life: int) -> None:
        """It comes from a former gateway: what it numbers here is told from what was numbered there."""
        self.life = life
        self.feed = Feed(f"r{life}")

    def count(self) -> int:
        """A number that this session has not used yet."""
        self.counted += 1
        return self.counted

    def new_log(self, request_id: RequestId) -> StreamLog:
        """A log for one more stream; of many, or of long ones, the oldest are forgotten."""
        log = StreamLog(stream_id(self.life, self.count(), request_id))
        self.logs[log.id] = log
        while len(self.logs) > _MOST_LOGS or (len(self.logs) > 1 and self._logged > _MOST_LOGGED_BYTES):
            del self.logs[next(iter(self.logs))]
        return log

    @property
    def _logged(self) -> int:
        return sum(log.size for log in self.logs.values())

    def answer(self, reply: Reply) -> None:
        """Hand the client's answer to whoever waits for it."""
        question = self.questions.get(reply.id)
        if question is not None and question.reply is None:
            question.reply = reply
            question.answered.set()

    async def ask(self, method: str, params: JsonObject, send: Callable[[bytes], None]) -> JsonObject:
        """Ask the client by ``send`` and wait for its answer.

        Raises:
            RpcError: the client did not say that it can be asked this, is asked too much already, does not
                answer in time, or answers with an error.
        """
        check_can_be_asked(self.client.capabilities, method)
        if len(self.questions) >= _MOST_QUESTIONS:
            raise RpcError(INVALID_REQUEST, "The client has too many questions to answer already.")
        question_id = f"ploinky-{self.count()}"
        question = self.questions[question_id] = Question()
        send(request_body(question_id, method, params))
        try:
            with anyio.fail_after(_PATIENCE_S):
                await question.answered.wait()
        except TimeoutError as error:
            raise RpcError(CANCELLED, "The client did not answer in time.") from error
        finally:
            del self.questions[question_id]
            if question.reply is None:
                send(notification("notifications/cancelled", {"requestId": question_id}))
        assert question.reply is not None
        if question.reply.result is None:
            assert question.reply.error is not None
            raise question.reply.error
        return question.reply.result


def check_can_be_asked(capabilities: JsonObject, method: str) -> None:
    """Raises:
    RpcError: a client with these capabilities cannot be asked that.
    """
    needed = _ASKED_FOR.get(method)
    if method != "ping" and (needed is None or needed not in capabilities):
        raise RpcError(METHOD_NOT_FOUND, f"The client cannot be asked {method}.")


class SessionStore:
    """All sessions, least recently used first; ``end`` is called with each that is closed."""

    def __init__(self, *, most: int, idle_s: float, end: Callable[[Session], None]) -> None:
        self._most = most
        self._idle_s = idle_s
        self._end = end
        self._sessions: dict[str, Session] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[Session]:
        return iter(tuple(self._sessions.values()))

    def open(self, caller: Caller, agent: str | None, client: ClientFacts) -> Session | None:
        """A new session, in place of the longest idle one if there are too many; None if all are busy.

        An agent has a quarter of them at most, and beyond that takes its own.
        """
        self.sweep()
        rivals = self._rivals(caller)
        if rivals is not None:
            idle = next((session for session in rivals if not session.busy), None)
            if idle is None:
                return None
            self.close(idle)
        session = Session(client.session_id or new_session_id(), caller, agent, client, time.monotonic())
        self._sessions[session.id] = session
        return session

    def _rivals(self, caller: Caller) -> Iterable[Session] | None:
        """The sessions of which one must go for a new one of ``caller``; None if there is room."""
        if caller.kind is CallerKind.AGENT:
            own = [session for session in self if session.caller == caller]
            if len(own) >= max(1, self._most // _SHARES):
                return own
        return self._sessions.values() if len(self) >= self._most else None

    def find(self, session_id: str, caller: Caller, agent: str | None) -> Session | None:
        """The session, if this caller opened it at this endpoint; it counts as used now."""
        session = self._sessions.get(session_id)
        if session is None or session.caller != caller or session.agent != agent:
            return None
        session.last_used = time.monotonic()
        self._sessions[session_id] = self._sessions.pop(session_id)
        return session

    def close(self, session: Session) -> None:
        """Forget it, end its stream and cancel its calls."""
        self._sessions.pop(session.id, None)
        session.feed.close()
        for scope in tuple(session.calls.values()):
            scope.cancel()
        self._end(session)

    def sweep(self) -> None:
        """Forget what has been idle for too long."""
        oldest_kept = time.monotonic() - self._idle_s
        first = next(iter(self._sessions.values()), None)
        if first is None or first.last_used >= oldest_kept:
            return
        for session in self:
            if session.last_used >= oldest_kept:
                break
            if not session.busy:
                self.close(session)


def new_session_id() -> str:
    return secrets.token_urlsafe(24)
