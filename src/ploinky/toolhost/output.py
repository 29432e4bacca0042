"""One call's ear: stdout gathered, what stderr says passed on, questions of the program answered."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import assert_never

import anyio
import orjson

from ploinky.base.jsontypes import JsonObject
from ploinky.channel.model import ProgramChunk
from ploinky.channel.program import Program
from ploinky.toolhost.listener import Listener
from ploinky.toolhost.said import (
    LogMessage,
    Printed,
    Progress,
    Question,
    Questions,
    Said,
    StderrReader,
    Updated,
)

LONGEST_QUESTION_S = 3600.0
_CANNOT = -32021


class Patience:
    """A time limit that stands still while the client is asked."""

    def __init__(self, limit_s: float) -> None:
        self.scope = anyio.CancelScope(deadline=anyio.current_time() + limit_s)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        began = anyio.current_time()
        left_s = self.scope.deadline - began
        self.scope.deadline = began + LONGEST_QUESTION_S
        try:
            yield
        finally:
            self.scope.deadline = anyio.current_time() + left_s


class OutputReader:
    """Takes chunks as they come; who starts the program bounds how many."""

    def __init__(self, listener: Listener, asks: frozenset[str], patience: Patience) -> None:
        self.stdout = bytearray()
        self.stderr = StderrReader()
        self._listener = listener
        self._asks = asks
        self._patience = patience

    async def take(self, chunk: ProgramChunk, program: Program | None = None) -> None:
        """Take a piece of output; questions are answered on the input of ``program``."""
        if chunk.stream == "stdout":
            self.stdout += chunk.data
            return
        for said in self.stderr.feed(chunk.data):
            await self._heard(said, program)

    async def _heard(self, said: Said, program: Program | None) -> None:
        match said:
            case Printed(data):
                self._listener.printed(data)
            case Progress():
                self._listener.progress(said)
            case LogMessage():
                self._listener.log(said)
            case Updated(uri):
                self._listener.updated(uri)
            case Questions(by_key):
                if program is not None:
                    await program.send(orjson.dumps({"answers": await self._answers(by_key)}) + b"\n")
            case _:
                assert_never(said)

    async def _answers(self, asked: Mapping[str, Question]) -> JsonObject:
        able = self._asks & self._listener.capabilities
        fit = {key: question for key, question in asked.items() if question.capability in able}
        answers: JsonObject = {
            key: {"error": {"code": _CANNOT, "message": f"The client cannot be asked for {each.capability}."}}
            for key, each in asked.items()
            if key not in fit
        }
        if fit:
            with self._patience.paused():
                answers |= await self._listener.ask(fit)
        return answers
