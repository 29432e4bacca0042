"""What a running program writes: stdout gathered, stderr split into progress and text."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ploinky.channel.model import ProgramChunk
from ploinky.toolhost.progress import Progress, StderrReader

OnProgress = Callable[[Progress], Awaitable[None]]


class OutputReader:
    """Takes chunks as they come; who starts the program bounds how many."""

    def __init__(self, on_progress: OnProgress | None) -> None:
        self.stdout = bytearray()
        self.stderr = StderrReader()
        self._on_progress = on_progress

    @property
    def wants_progress(self) -> bool:
        return self._on_progress is not None

    async def take(self, chunk: ProgramChunk) -> None:
        if chunk.stream == "stdout":
            self.stdout += chunk.data
            return
        for progress in self.stderr.feed(chunk.data):
            if self._on_progress is not None:
                await self._on_progress(progress)
