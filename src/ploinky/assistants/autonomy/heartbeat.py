"""The heartbeat of one assistant: now and then it looks after what HEARTBEAT.md says, and speaks only if it
must.

Skipped, with the reason told, while the file says nothing, outside its hours, in an incident, or while a
person talks; a person who begins to talk pushes it aside. ``HEARTBEAT_OK`` means that there is nothing to
say.
"""

from __future__ import annotations

import contextlib
import logging
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import anyio

from ploinky.assistants.assistant import Assistant, RunRequest
from ploinky.assistants.autonomy.jobs import JobStore, iso
from ploinky.assistants.messages import NewMessage, Role
from ploinky.assistants.runs import RunKind, RunStatus
from ploinky.assistants.sessions import ChannelKind, Session
from ploinky.assistants.settings import ActiveHours
from ploinky.assistants.substrate import has_content
from ploinky.base.errors import NotFoundError, PloinkyError
from ploinky.base.jsontypes import JsonObject

_log = logging.getLogger(__name__)
FILE = "HEARTBEAT.md"
SESSION = "heartbeat"
QUIET = "HEARTBEAT_OK"
LOOK_EVERY_S = 15.0
_LAST, _OUTCOME = "heartbeat.lastAt", "heartbeat.outcome"
_PROMPT = (
    "This is your heartbeat; nobody has written to you. Look after what stands below, with your tools if"
    " needed. "
    f"If there is nothing to tell the person, answer only {QUIET}. Else answer with the message to them.\n\n"
)
_AROUND = 40


class Heartbeat:
    """The heartbeat of ``assistant``; ``run`` must be running. ``jitter`` gives 0 to 1."""

    def __init__(
        self,
        assistant: Assistant,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        jitter: Callable[[], float] = random.random,
        *,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._assistant = assistant
        self._clock = clock
        self._jitter = jitter
        self._look_every_s = look_every_s
        self._store = JobStore(assistant.database)
        self._shift = jitter()

    def next_at(self) -> datetime:
        """When it beats next, if nothing keeps it from it."""
        settings = self._assistant.settings.heartbeat
        last = self._store.fact(_LAST)
        began = datetime.fromisoformat(last) if last else self._clock()
        return began + timedelta(seconds=settings.every + settings.jitter * self._shift)

    def why_not(self) -> str | None:
        """Why it would not beat now, None if it would."""
        settings = self._assistant.settings.heartbeat
        text = self._assistant.substrate.read(FILE)
        if not settings.enabled:
            return "heartbeat.enabled is false"
        if text is None or not has_content(text):
            return f"{FILE} is missing, empty or only comments"
        if settings.active_hours is not None and not is_active(settings.active_hours, self._clock()):
            return "it is outside heartbeat.activeHours"
        if self._assistant.incidents.current is not None:
            return "an incident is open"
        if any(run.kind is not RunKind.HEARTBEAT for run in self._assistant.active_runs()):
            return "the assistant is busy"
        try:
            self._assistant.spending.require_proactive(self._assistant.settings.budgets)
            self._assistant.spending.require_turn(self._assistant.settings.budgets)
        except PloinkyError as error:
            return error.message
        return None

    def poll(self) -> JsonObject:
        """How it stands."""
        return {
            "enabled": self._assistant.settings.heartbeat.enabled,
            "nextAt": iso(self.next_at()),
            "lastAt": self._store.fact(_LAST),
            "lastOutcome": self._store.fact(_OUTCOME),
            "skips": self.why_not(),
        }

    async def run(self) -> None:
        """Beat at its times until cancelled."""
        if self._store.fact(_LAST) is None:
            await self._store.set_fact(_LAST, iso(self._clock()))
        while True:
            if self._clock() >= self.next_at():
                try:
                    await self.beat()
                except Exception:
                    _log.exception("the heartbeat of %s failed inside", self._assistant.id)
            left_s = (self.next_at() - self._clock()).total_seconds()
            await anyio.sleep(max(0.05, min(self._look_every_s, left_s)))

    async def beat(self) -> str:
        """Beat now; what came of it: ``skipped: ...``, ``ok``, ``said``, ``preempted`` or ``failed: ...``."""
        reason = self.why_not()
        outcome = f"skipped: {reason}" if reason is not None else await self._look_after()
        self._shift = self._jitter()
        await self._store.set_fact(_LAST, iso(self._clock()))
        await self._store.set_fact(_OUTCOME, outcome)
        return outcome

    async def _look_after(self) -> str:
        assistant = self._assistant
        with contextlib.suppress(NotFoundError):
            await assistant.threads.delete(SESSION)  # every beat begins anew
        text = assistant.substrate.read(FILE) or ""
        message = NewMessage(Role.USER, _PROMPT + text, data={"source": "heartbeat"})
        session = Session(SESSION, ChannelKind.DM)
        run = await assistant.start_run(RunRequest(session, [message], RunKind.HEARTBEAT))
        ended = await assistant.wait_run(run.id, assistant.settings.turn.timeout + 60)
        if ended.status is RunStatus.CANCELLED:
            return "preempted"
        if ended.status is not RunStatus.DONE:
            return f"failed: {ended.error.message if ended.error else ended.status.value}"
        said = last_words(assistant, run.id)
        if is_quiet(said):
            return "ok"
        try:
            target = Session(assistant.settings.heartbeat.session, ChannelKind.DM)
            await assistant.say(target, said, source="heartbeat", run_id=run.id)
        except PloinkyError as error:
            return f"failed: {error.message}"
        return "said"


def last_words(assistant: Assistant, run_id: str) -> str:
    """The last message of a run: what it came to, without the words between tools."""
    said = [
        message.content
        for message in assistant.threads.messages(SESSION)
        if message.run_id == run_id and message.role is Role.ASSISTANT
    ]
    return said[-1].strip() if said else ""


def is_quiet(text: str) -> bool:
    """Whether the answer says that there is nothing to say: the word alone, or with a few around it."""
    return not text or (QUIET in text and len(text) <= len(QUIET) + _AROUND)


def is_active(hours: ActiveHours, moment: datetime) -> bool:
    """Whether ``moment`` lies in the hours, which may go over midnight."""
    clock = moment.astimezone(ZoneInfo(hours.time_zone)).strftime("%H:%M")
    if hours.start <= hours.end:
        return hours.start <= clock <= hours.end
    return clock >= hours.start or clock <= hours.end
