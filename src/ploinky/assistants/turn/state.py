"""What the stages of one turn share: the parts of the assistant that they use, and how far the turn is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from ploinky.assistants.approvals import Approvals
from ploinky.assistants.context import calls_of
from ploinky.assistants.incidents import Incidents
from ploinky.assistants.journal import EventJournal, EventKind, Told
from ploinky.assistants.lanes import Ticket
from ploinky.assistants.messages import Role, ThreadMessage
from ploinky.assistants.models import AssistantModel
from ploinky.assistants.runs import Run, RunStatus, RunStore
from ploinky.assistants.scrubbing import Scrubber
from ploinky.assistants.sessions import Session
from ploinky.assistants.settings import AssistantSettings
from ploinky.assistants.spending import Spending
from ploinky.assistants.substrate import Substrate
from ploinky.assistants.threads import ThreadStore
from ploinky.assistants.toolbox import Toolbox
from ploinky.base.jsontypes import JsonObject
from ploinky.providers.protocol import ToolCall

Named = Sequence[tuple[str, str]]


class Recollection(Protocol):
    """What an assistant remembers without being asked."""

    def for_turn(self, session: Session) -> Named:
        """Names and texts that belong into the context of a turn."""
        ...


@dataclass(frozen=True)
class TurnParts:
    """The assistant, as far as a turn needs it."""

    assistant: str
    threads: ThreadStore
    runs: RunStore
    journal: EventJournal
    approvals: Approvals
    incidents: Incidents
    spending: Spending
    substrate: Substrate
    memory: Recollection
    toolbox: Toolbox
    skills: Callable[[], Named]
    scrubber: Scrubber

    def scrub(self, text: str) -> str:
        return self.scrubber.scrub(text)


@dataclass
class TurnState:
    """One turn under way. ``settings`` and ``model`` are those of its beginning.

    ``waiting`` counts calls that wait for a person; ``partial`` is the id and the text of a message that is
    being said.
    """

    parts: TurnParts
    run: Run
    settings: AssistantSettings
    model: AssistantModel
    ticket: Ticket
    thread: list[ThreadMessage] = field(default_factory=list)
    first_turn: bool = False
    said: int = 0
    waiting: int = 0
    notes: list[str] = field(default_factory=list)
    partial: tuple[str, str] | None = None

    @property
    def session(self) -> Session:
        return self.run.session

    @property
    def tainted(self) -> bool:
        """Whether strangers' words were read in this run."""
        return any(each.run_id == self.run.id and each.data.get("tainted") is True for each in self.thread)

    def open_calls(self) -> tuple[ToolCall, ...]:
        """Calls that the model asked for in this run and that have no result yet."""
        own = [each for each in self.thread if each.run_id == self.run.id]
        answered = {str(each.data.get("toolCallId")) for each in own if each.role is Role.TOOL}
        return tuple(call for each in own for call in calls_of(each) if call.id not in answered)

    async def tell(self, kind: EventKind, data: JsonObject) -> None:
        """An event of this run."""
        await self.parts.journal.append(self.session.id, kind, data, run_id=self.run.id)

    async def tell_with_run(self, told: Sequence[Told]) -> None:
        """Events of this run, kept together with what has become of it."""
        keeping = self.parts.runs.keeping(self.run)
        await self.parts.journal.append_with(self.session.id, told, run_id=self.run.id, beside=keeping)

    async def become(self, status: RunStatus) -> None:
        """Keep a new status of the run."""
        if self.run.status is not status:
            self.run = replace(self.run, status=status)
            await self.parts.runs.update(self.run)
