"""Conversations of a few frames: a question and its answer, a watch on the state, a file that is read."""

from __future__ import annotations

from collections import deque

from ploinky.base.errors import PloinkyError
from ploinky.channel import errors
from ploinky.channel.frames import (
    FrameType,
    MalformedError,
    ReplyTag,
    RequestTag,
    decode_entries,
    entry,
    integer,
)
from ploinky.channel.link import Conversation, FlowWindow, Link
from ploinky.channel.model import (
    LauncherState,
    LauncherStatus,
    LaunchRequest,
    RemoteFile,
    RestartPolicy,
    milliseconds,
)

_STATES = tuple(LauncherState)
_POLICIES = tuple(RestartPolicy)


class Answer(Conversation):
    """One question, one answer."""

    expected: FrameType | None = None
    facts: dict[int, bytes] | None = None
    error: PloinkyError | None = None

    def on_frame(self, kind: int, payload: bytes) -> None:
        if self.facts is not None or self.error is not None:
            raise MalformedError("two answers to one question")
        if kind == FrameType.ERROR:
            self.error = errors.refusal(payload, self.subject)
        elif kind == self.expected:
            self.facts = decode_entries(payload)
        else:
            raise MalformedError("an answer to another question")


class Watch(Conversation):
    def __init__(self, link: Link, subject: str) -> None:
        super().__init__(link, subject)
        self.seen: deque[LauncherStatus] = deque(maxlen=64)

    def on_frame(self, kind: int, payload: bytes) -> None:
        if kind != FrameType.STATE:
            raise MalformedError("not a state")
        self.seen.append(decode_status(decode_entries(payload)))


class Reading(Conversation):
    def __init__(self, link: Link, path: str, max_bytes: int) -> None:
        super().__init__(link, path)
        self._max_bytes = max_bytes
        self._window = FlowWindow()
        self._data = bytearray()
        self._facts: tuple[int, int] | None = None
        self._done = False
        self._error: PloinkyError | None = None
        self.emit(FrameType.READ_FILE, entry(RequestTag.PATH, path) + entry(RequestTag.MAX_BYTES, max_bytes))

    async def result(self, timeout_s: float) -> RemoteFile | None:
        await self.until(
            lambda: self._done or self._error is not None,
            timeout_s=timeout_s,
            what=f"the file {self.subject}",
        )
        if self._error is not None:
            if self._error.code == "REMOTE_FILE_NOT_FOUND":
                return None
            raise self._error
        assert self._facts is not None
        return RemoteFile(bytes(self._data), *self._facts)

    def end(self) -> None:
        if not self._done and self._error is None:
            self.emit(FrameType.KILL)
        self.forget()

    def on_frame(self, kind: int, payload: bytes) -> None:
        if kind == FrameType.ERROR:
            self._error = errors.refusal(payload, self.subject)
        elif kind == FrameType.FILE and self._facts is None:
            facts = decode_entries(payload)
            self._facts = (integer(facts, ReplyTag.SIZE) or 0, integer(facts, ReplyTag.MTIME_NS) or 0)
        elif kind == FrameType.DATA and self._facts is not None:
            self._window.received(len(payload))
            self._data += payload
            if len(self._data) > self._max_bytes:
                raise MalformedError("more of a file than was asked for")
            due = self._window.taken(len(payload))
            if due is not None:
                self.emit(FrameType.WINDOW, due)
        elif kind == FrameType.EOF and self._facts is not None:
            self._done = True
        else:
            raise MalformedError("a frame that does not fit its file")


def launch_payload(request: LaunchRequest) -> bytes:
    parts = [entry(RequestTag.ARGV, word) for word in request.main or ()]
    parts += [entry(RequestTag.SIDECAR, word) for word in request.sidecar or ()]
    parts += [entry(RequestTag.ENV, f"{name}={value}") for name, value in request.env]
    parts += [
        entry(RequestTag.CWD, request.cwd),
        entry(RequestTag.POLICY, _POLICIES.index(request.restart)),
        entry(RequestTag.BACKOFF_FIRST_MS, milliseconds(request.backoff_first_s)),
        entry(RequestTag.BACKOFF_MAX_MS, milliseconds(request.backoff_max_s)),
        entry(RequestTag.GRACE_MS, milliseconds(request.grace_s)),
    ]
    return b"".join(parts)


def _state(number: int | None) -> LauncherState:
    if number is None or number >= len(_STATES):
        raise MalformedError("unknown state")
    return _STATES[number]


def _seconds(number: int | None) -> float | None:
    return None if number is None else number / 1000


def decode_status(facts: dict[int, bytes]) -> LauncherStatus:
    sidecar = integer(facts, ReplyTag.SIDECAR_STATE)
    return LauncherStatus(
        state=_state(integer(facts, ReplyTag.STATE)),
        main_pid=integer(facts, ReplyTag.PID),
        restarts=integer(facts, ReplyTag.RESTARTS) or 0,
        last_code=integer(facts, ReplyTag.LAST_CODE),
        last_signal=integer(facts, ReplyTag.LAST_SIGNAL),
        uptime_s=_seconds(integer(facts, ReplyTag.UPTIME_MS)),
        next_restart_s=_seconds(integer(facts, ReplyTag.NEXT_RESTART_MS)),
        sidecar_state=None if sidecar is None else _state(sidecar),
        sidecar_pid=integer(facts, ReplyTag.SIDECAR_PID),
        sidecar_restarts=integer(facts, ReplyTag.SIDECAR_RESTARTS) or 0,
        programs=integer(facts, ReplyTag.PROGRAMS) or 0,
    )
