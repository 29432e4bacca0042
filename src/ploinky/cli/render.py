"""Events as people read them: steps, output, notices, progress; one row of the table per kind.

On a terminal, what is being done now is one live line that is redrawn; elsewhere only what has ended is
printed, and progress that lasts longer than a second as plain lines. What took no time is told only when
asked for (``-v``).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ploinky.cli.console import Console, Tone
from ploinky.wire.events import (
    Event,
    Failure,
    Notice,
    Output,
    Progress,
    StateChanged,
    StepDone,
    StepStarted,
)

_QUIET_S = 1.0
_WORTH_TELLING_S = 0.5
_PASSING = ("CREATING", "STARTING")
_STATE_TONES = {"RUNNING": Tone.GOOD, "FAILED": Tone.BAD, "STOPPED": Tone.DIM}


class Renderer:
    """Shows the events of one operation on ``err``, and the text of programs on ``out``.

    ``failures`` holds code and message of every failure that was shown.
    """

    def __init__(self, console: Console, *, verbosity: int = 0) -> None:
        self._console = console
        self._verbosity = verbosity
        self._live_text = ""
        self.failures: set[tuple[str, str]] = set()
        self._said: dict[str, tuple[float, str]] = {}
        self._table: dict[type[Any], Callable[[Any], None]] = {
            StepStarted: self._step_started,
            StepDone: self._step_done,
            Output: self._output,
            Notice: self._notice,
            Progress: self._progress,
            StateChanged: self._state,
            Failure: self._failure,
        }

    def show(self, event: Event) -> None:
        handler = self._table.get(type(event))
        if handler is not None:
            handler(event)

    def finish(self) -> None:
        """Remove the live line."""
        self._live("")

    def _step_started(self, event: StepStarted) -> None:
        self._live(f"{event.agent}: {event.step}/12 {event.name} …")

    def _step_done(self, event: StepDone) -> None:
        self._live("")
        if not self._verbosity and (event.skipped is not None or event.seconds < _WORTH_TELLING_S):
            return
        took = f"{event.seconds:.2f} s" if event.skipped is None else event.skipped
        self._say(f"  {event.agent}: {event.step}/12 {event.name} ({took})", Tone.DIM)

    def _output(self, event: Output) -> None:
        self._live("")
        if event.agent is None:
            target = self._console.out if event.stream == "stdout" else self._console.err
            target.write(event.text)
            target.flush()
            return
        for line in filter(str.strip, event.text.splitlines()):
            self._say(f"  {event.agent} | {line}", Tone.DIM)

    def _notice(self, event: Notice) -> None:
        about = f"{event.agent}: " if event.agent else ""
        if event.level == "warning":
            self._say(f"Warning: {about}{event.message}", Tone.WARN)
        else:
            self._say(f"{about}{event.message}")
        if event.hint:
            self._say(f"  {event.hint}", Tone.DIM)

    def _progress(self, event: Progress) -> None:
        share = "" if event.fraction is None else f" {event.fraction:4.0%}"
        text = f"{event.label}{share} {event.message}".rstrip()
        if self._console.live:
            self._live(text)
            return
        moment, said = self._said.get(event.label, (0.0, ""))
        if text != said and time.monotonic() - moment >= _QUIET_S:
            self._said[event.label] = (time.monotonic(), text)
            self._say(text, Tone.DIM)

    def _state(self, event: StateChanged) -> None:
        if event.state in _PASSING and not self._verbosity:
            return
        state = self._console.styled(event.state.lower(), _STATE_TONES.get(event.state))
        plain = event.reason in ("", "ready", event.state.lower())
        reason = "" if plain else f" ({event.reason})"
        self._say(f"{event.agent}: {state}{reason}")

    def _failure(self, event: Failure) -> None:
        self.failures.add((event.code, event.message))
        about = f"Failed: {event.agent}" if event.agent else "Failed"
        if "\n" in event.message:  # a block of its own, which a search for "Error:" finds
            self._say(about, Tone.BAD)
            self._say(f"Error: {event.message}", Tone.BAD)
        else:
            self._say(f"{about}: {event.message}", Tone.BAD)
        if event.hint:
            self._say(event.hint if event.hint[0].isspace() else f"  {event.hint}", Tone.DIM)

    def _say(self, text: str, tone: Tone | None = None) -> None:
        self._live("")
        self._console.note(text, tone)

    def _live(self, text: str) -> None:
        if not self._console.live or text == self._live_text:
            return
        self._console.err.write("\r\x1b[2K" + text[: self._console.width - 1])
        self._console.err.flush()
        self._live_text = text
