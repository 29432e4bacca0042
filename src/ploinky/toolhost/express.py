"""Calls of kept programs that wait for nothing and need no task: handed over and answered in callbacks.

For the tools that are called most: a program that is kept, runs already, and asks the client nothing. What
does not fit is left to ``ToolHost.call``, which also starts programs and takes changed environments up:
``is_open`` only for a moment after a call went that way.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from enum import Enum

from ploinky.channel.model import Exit, ProgramChunk
from ploinky.channel.program import Program
from ploinky.toolhost.results import Ended
from ploinky.toolhost.said import StderrReader, Updated
from ploinky.toolhost.workers import MAX_ANSWER_BYTES, Worker, WorkerPool, ended_line

FRESH_S = 2.0
RENEW_S = 1.0
MOST_WAITING = 4096


class Outcome(Enum):
    """How a call ended that brought no answer."""

    NOT_BEGUN = "not begun"  # it may go the other way
    LATE = "late"
    ENDED = "ended"
    LOST = "lost"


Done = Callable[[Ended | Outcome], None]


class ExpressCall:
    """One call; ``done`` hears of its end once."""

    __slots__ = ("_answer", "_done", "_lane", "_line", "_program", "_stderr", "_timer", "_worker")

    def __init__(self, lane: ExpressLane, line: bytes, done: Done) -> None:
        self._lane = lane
        self._line = line
        self._done: Done | None = done
        self._answer = b""
        self._stderr = StderrReader()
        self._worker: Worker | None = None
        self._program: Program | None = None
        self._timer: asyncio.TimerHandle | None = None

    def starts(self, worker: Worker, limit_s: float) -> bool:
        """Hand the line over; False if it cannot be."""
        program = worker.program
        if program is None or not program.send_now(self._line):
            return False
        self._worker, self._program = worker, program
        program.hear(self._take)
        self._timer = asyncio.get_running_loop().call_later(limit_s, self._finish, Outcome.LATE)
        return True

    def cancel(self) -> None:
        """Nobody waits any more: the program is ended, for its answer would be taken for the next call's."""
        self._done = None
        if self._worker is None:
            self._lane.forget(self)
        else:
            self._finish(Outcome.ENDED)

    def tell(self, outcome: Ended | Outcome) -> None:
        """Tell whoever waits, once."""
        done, self._done = self._done, None
        if done is not None:
            done(outcome)

    def _take(self, chunk: ProgramChunk | None) -> None:
        if chunk is None:
            assert self._program is not None
            self._finish(Outcome.ENDED if self._program.exit is not None else Outcome.LOST)
        elif chunk.stream == "stderr":
            for said in self._stderr.feed(chunk.data):
                if isinstance(said, Updated):
                    self._lane.on_updated(said.uri)
        elif b"\n" in chunk.data:
            line = (self._answer + chunk.data).partition(b"\n")[0]
            self._finish(ended_line(line, self._stderr))
        else:
            self._answer += chunk.data
            if len(self._answer) > MAX_ANSWER_BYTES:
                self._finish(Ended(Exit(None, None, output_limited=True), b"", self._stderr.text))

    def _finish(self, outcome: Ended | Outcome) -> None:
        worker, program = self._worker, self._program
        if worker is None or program is None:
            return
        self._worker = None
        program.hear(None)
        if self._timer is not None:
            self._timer.cancel()
        self._lane.free(worker, answered=isinstance(outcome, Ended) and not outcome.exit.output_limited)
        self.tell(outcome)


class ExpressLane:
    """The calls of one kept program. ``end`` ends a process without waiting."""

    def __init__(
        self,
        pool: WorkerPool,
        limit_s: float,
        end: Callable[[Program], None],
        on_updated: Callable[[str], None],
    ) -> None:
        self.on_updated = on_updated
        self._pool = pool
        self._limit_s = limit_s
        self._end = end
        self._waiting: deque[ExpressCall] = deque()
        self._fresh_until = 0.0
        pool.on_free = self._next

    def open(self, now: float) -> None:
        """A call went the other way, so that the programs have the environment of ``now``."""
        self._fresh_until = now + FRESH_S

    def is_open(self, now: float) -> bool:
        """Whether a call may come this way; when it is time, one is sent the other way and the rest go on."""
        if now < self._fresh_until:
            return True
        self._fresh_until = now + RENEW_S
        return False

    def call(self, line: bytes, done: Done) -> ExpressCall | None:
        """Begin a call, or put it behind others; None if the other way must be taken."""
        call = ExpressCall(self, line, done)
        worker = None if self._waiting else self._pool.take_idle()
        if worker is not None:
            if call.starts(worker, self._limit_s):
                return call
            self._pool.give_back(worker)
            return None
        if not self._pool.has_busy or len(self._waiting) >= MOST_WAITING:
            return None
        self._waiting.append(call)
        return call

    def forget(self, call: ExpressCall) -> None:
        """A waiting call is not wanted any more."""
        if call in self._waiting:
            self._waiting.remove(call)

    def free(self, worker: Worker, *, answered: bool) -> None:
        """A process is done with its call; the next one gets it."""
        if not answered and (program := worker.discard()) is not None:
            self._end(program)
        while self._waiting and worker.is_idle and not self._pool.has_waiting:
            if self._begin(worker, self._waiting.popleft(), give_back=False):
                return
        self._pool.give_back(worker)
        self._next()

    def _next(self) -> None:
        """Give processes that are free to those who wait; if none is left that could be, let them go."""
        while self._waiting and (worker := self._pool.take_idle()) is not None:
            self._begin(worker, self._waiting.popleft())
        if self._waiting and not self._pool.has_busy:
            self._give_up_waiting()

    def _begin(self, worker: Worker, call: ExpressCall, *, give_back: bool = True) -> bool:
        if call.starts(worker, self._limit_s):
            return True
        if give_back:
            self._pool.give_back(worker)
        call.tell(Outcome.NOT_BEGUN)
        return False

    def _give_up_waiting(self) -> None:
        """No process is left that would take them; they were not begun."""
        waiting, self._waiting = self._waiting, deque()
        for call in waiting:
            call.tell(Outcome.NOT_BEGUN)
