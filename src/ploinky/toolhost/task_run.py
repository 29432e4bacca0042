"""One task while it runs: what its program says kept as the task's message, log and questions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from time import time

import anyio

from ploinky.base.jsontypes import JsonObject
from ploinky.base.redaction import Redactor
from ploinky.toolhost.said import LogMessage, Progress, Question
from ploinky.toolhost.task import Task, TaskState

_LONGEST_MESSAGE = 500


@dataclass(frozen=True)
class Ears:
    """Who is told: of each change of the task, of resources that its program changed."""

    changed: Callable[[Task], None]
    updated: Callable[[str], None]


class TaskRun:
    """A ``Listener``. ``task`` is its present moment.

    Nothing that it keeps holds a value that ``redactor`` knows.
    """

    def __init__(
        self,
        task: Task,
        ears: Ears,
        *,
        able: frozenset[str],
        redactor: Redactor,
        tail_bytes: int,
    ) -> None:
        self.task = task
        self.scope = anyio.CancelScope()
        self.capabilities = able
        self._ears = ears
        self._redactor = redactor
        self._tail_bytes = tail_bytes
        self._tail = bytearray()
        self._answers: dict[str, JsonObject] = {}
        self._answered = anyio.Event()
        self._used: set[str] = set()

    @property
    def moment(self) -> Task:
        """The task with its log as it is now."""
        text = self._redactor.scrub(self._tail.decode("utf-8", "replace"))
        return replace(self.task, log=text)

    def become(self, **news: object) -> None:
        """Change the task and tell."""
        self.task = replace(self.task, updated=time(), **news)  # type: ignore[arg-type]
        self._ears.changed(self.task)

    def progress(self, progress: Progress) -> None:
        message = self._redactor.scrub(progress.message or _share(progress))[:_LONGEST_MESSAGE]
        self.become(message=message, progress=progress.progress, total=progress.total)

    def log(self, message: LogMessage) -> None:
        self.printed(f"{message.level}: {message.data}\n".encode())

    def updated(self, uri: str) -> None:
        self._ears.updated(uri)

    def printed(self, data: bytes) -> None:
        self._tail += data
        if len(self._tail) > self._tail_bytes:
            del self._tail[: len(self._tail) - self._tail_bytes]

    async def ask(self, questions: Mapping[str, Question]) -> Mapping[str, JsonObject]:
        """Wait until the client has answered all, in as many messages as it likes."""
        own = {self._unused(key): key for key in questions}
        self._answers.clear()
        asked: JsonObject = {
            new: {"method": questions[key].method, "params": questions[key].params}
            for new, key in own.items()
        }
        self.become(state=TaskState.INPUT_REQUIRED, questions=asked)
        try:
            while self.task.questions:
                self._answered = anyio.Event()
                await self._answered.wait()
        finally:
            if self.task.state is TaskState.INPUT_REQUIRED:
                self.become(state=TaskState.RUNNING, questions={})
        return {key: self._answers[new] for new, key in own.items()}

    def answer(self, responses: Mapping[str, JsonObject]) -> None:
        """Take answers of the client; those that nobody asked for are ignored."""
        taken = {key: each for key, each in responses.items() if key in self.task.questions}
        if not taken:
            return
        self._answers |= taken
        left = {key: each for key, each in self.task.questions.items() if key not in taken}
        if left:
            self.become(questions=left)
        else:
            self.become(state=TaskState.RUNNING, questions={})
            self._answered.set()

    def _unused(self, key: str) -> str:
        """A key is never used for two questions of one task."""
        name, number = key, 1
        while name in self._used:
            number += 1
            name = f"{key}-{number}"
        self._used.add(name)
        return name


def _share(progress: Progress) -> str:
    if progress.total:
        return f"{100 * progress.progress / progress.total:.0f} %"
    return f"{progress.progress:g}"
