"""What hooks and installs of one start printed: shown live, kept in a file, remembered for the error.

Text is cut into lines before secrets are taken out, so that none slips through between two chunks. A file
that cannot be written (the disk is full) is told once and ends nothing.
"""

from __future__ import annotations

import codecs
import os
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ploinky.base.clock import now_iso
from ploinky.base.redaction import Redactor
from ploinky.lifecycle.emitting import Emit
from ploinky.wire.events import Notice, Output
from ploinky.workspace.layout import Layout

StreamName = Literal["stdout", "stderr"]
TAIL_LINES = 20
_LONGEST_LINE = 16 * 1024


def start_log(layout: Layout, key: str) -> Path:
    """Where the output of an agent's last start lies."""
    return layout.logs / f"{key}.start.log"


@dataclass
class _Line:
    """A stream's text since its last line end; ``tail`` holds its last whole lines."""

    decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace")
    )
    text: str = ""
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))


class Transcript:
    """The output of one start. ``begin`` starts a new piece (a hook, an install)."""

    def __init__(self, path: Path, agent: str, redactor: Redactor, emit: Emit) -> None:
        self._path = path
        self._agent = agent
        self._redactor = redactor
        self._emit = emit
        self._fresh = True
        self._lost: OSError | None = None
        self._told = False
        self._lines: dict[StreamName, _Line] = {}

    def begin(self, title: str) -> None:
        """Head a new piece in the file and forget the tails of the former."""
        self._lines = {"stdout": _Line(), "stderr": _Line()}
        self._write(f"== {now_iso()} {self._redactor.scrub(title)}\n")

    async def feed(self, stream: StreamName, data: bytes) -> None:
        line = self._lines[stream]
        text = line.text + line.decoder.decode(data)
        whole, newline, rest = text.rpartition("\n")
        if len(rest) > _LONGEST_LINE:
            end = self._redactor.settled(text) or len(text)
            whole, newline, rest = text[:end], "\n", text[end:]
        line.text = rest
        if newline:
            await self._say(stream, whole + newline)

    async def end(self) -> None:
        """Hand out what has no line end yet."""
        for stream, line in self._lines.items():
            if line.text:
                text, line.text = line.text + "\n", ""
                await self._say(stream, text)

    def tail(self, stream: StreamName) -> tuple[str, ...]:
        """The last lines of the present piece, scrubbed."""
        return tuple(self._lines[stream].tail) if stream in self._lines else ()

    async def _say(self, stream: StreamName, text: str) -> None:
        clean = self._redactor.scrub(text)
        self._lines[stream].tail.extend(clean.splitlines())
        self._write(clean)
        if self._lost is not None and not self._told:
            self._told = True
            message = f"{self._path} is not complete: {self._lost.strerror}."
            await self._emit(Notice(level="warning", message=message, agent=self._agent))
        await self._emit(Output(agent=self._agent, stream=stream, text=clean))

    def _write(self, text: str) -> None:
        mode = os.O_TRUNC if self._fresh else os.O_APPEND
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | mode, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            self._lost = error
        else:
            self._fresh = False
