"""One assistant: it owns its root, its store and everything in them; nothing else opens them.

``run`` must be running for anything to happen. The configuration may change under it (``reconfigure``); turns
that are under way keep what they began with.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.abc
import anyio.to_thread

from ploinky.assistants.approvals import Approvals
from ploinky.assistants.configuration import AssistantConfig
from ploinky.assistants.context import Context, build_context
from ploinky.assistants.continuations import Continuations
from ploinky.assistants.counsel import Counsel
from ploinky.assistants.folders import FolderIndex
from ploinky.assistants.ids import new_id
from ploinky.assistants.incidents import Incidents
from ploinky.assistants.incoming import new_messages
from ploinky.assistants.journal import EventJournal, EventKind
from ploinky.assistants.lanes import Lanes, Ticket
from ploinky.assistants.memory.book import MemoryBook
from ploinky.assistants.memory.consolidation import Consolidated, Consolidation
from ploinky.assistants.messages import NewMessage, Role, ThreadMessage
from ploinky.assistants.models import AssistantModel
from ploinky.assistants.reach import Reach
from ploinky.assistants.runs import Run, RunKind, RunStatus, RunStore
from ploinky.assistants.schema import MIGRATIONS
from ploinky.assistants.services import AssistantServices
from ploinky.assistants.sessions import Session, require_session_id
from ploinky.assistants.settings import AssistantSettings
from ploinky.assistants.spending import Spending
from ploinky.assistants.substrate import FILES, Substrate, make_root
from ploinky.assistants.threads import ThreadStore, require_content
from ploinky.assistants.toolbox import Toolbox
from ploinky.assistants.toolkit import BuiltinTool
from ploinky.assistants.traces import Traces
from ploinky.assistants.turn.assemble import gather
from ploinky.assistants.turn.engine import run_turn
from ploinky.assistants.turn.load import request_of
from ploinky.assistants.turn.state import TurnParts, TurnState
from ploinky.base.clock import now_iso
from ploinky.base.database import Database
from ploinky.base.errors import PloinkyError, UsageError
from ploinky.base.jsontypes import JsonObject
from ploinky.providers.models import Models

if TYPE_CHECKING:
    from ploinky.assistants.autonomy.cron import Cron
    from ploinky.assistants.autonomy.heartbeat import Heartbeat

_log = logging.getLogger(__name__)
STORE = "state.db"
KEEP_EVENTS = timedelta(days=7)
_PRUNE_EVERY_S = 3600.0
_MOST_NOTES_TOKENS = 16_000  # a model reads few notes better than many
_CANCEL_TIMEOUT_S = 30.0
_SETTLE_EVERY_S = 20.0


@dataclass(frozen=True)
class RunRequest:
    """What is asked of an assistant. ``messages`` may be a client's whole list; only what is new is added.

    ``call``: instead of asking the model, call this tool with these arguments, under the same approvals.
    """

    session: Session
    messages: Sequence[NewMessage]
    kind: RunKind = RunKind.USER
    depth: int = 0
    call: tuple[str, JsonObject] | None = None


class Assistant:
    """Made by the household. ``config`` is replaced by ``reconfigure``."""

    def __init__(self, config: AssistantConfig, models: Models, services: AssistantServices) -> None:
        """Open the store of ``config.root``, made if it is missing.

        Raises:
            PloinkyError: ``DATABASE_BROKEN``, ``DATABASE_NEWER``, ``DATABASE_OPEN``.
        """
        self.config = config
        self._services = services
        make_root(self.root, config.settings.name or config.id)
        self.database = Database(self.root / STORE, MIGRATIONS)
        self.journal = EventJournal(self.database)
        self.threads = ThreadStore(self.database, self.journal)
        self.continuations = Continuations(self.database)
        self.runs = RunStore(self.database)
        self.approvals = Approvals(self.database, self.journal)
        self.incidents = Incidents(self.database, self.journal, self.approvals, self.runs)
        self.spending = Spending(self.database)
        self.substrate = Substrate(self.root)
        self._counsel = Counsel(lambda: self.model, lambda: self.settings, self.spending, services.scrubber)
        self.memory = MemoryBook(
            self.root, self.database, lambda: self.settings.memory, self._counsel.embedder
        )
        self.reach = Reach(
            services.layout.root,
            lambda: self.config.root,
            lambda: self.settings.workspaces,
            frozenset(file.name for file in FILES),
        )
        self.folders = FolderIndex(self.reach, self.database, lambda: self.settings.workspaces)
        self.traces = Traces(self.database, services.scrubber.scrub)
        self.model = AssistantModel(models, config.model_id)
        self._former: list[AssistantModel] = []
        self._toolbox: Toolbox | None = None
        self._autonomy: tuple[Cron, Heartbeat] | None = None
        self._lanes: Lanes | None = None
        self._consolidating = anyio.Lock()

    @property
    def id(self) -> str:
        return self.config.id

    @property
    def root(self) -> Path:
        return self.config.root.path

    @property
    def settings(self) -> AssistantSettings:
        return self.config.settings

    @property
    def toolbox(self) -> Toolbox:
        assert self._toolbox is not None, "equip comes first"
        return self._toolbox

    @property
    def cron(self) -> Cron:
        assert self._autonomy is not None, "equip comes first"
        return self._autonomy[0]

    @property
    def heartbeat(self) -> Heartbeat:
        assert self._autonomy is not None, "equip comes first"
        return self._autonomy[1]

    def equip(self, tools: Sequence[BuiltinTool], cron: Cron, heartbeat: Heartbeat) -> None:
        """Give the assistant its built-in tools and its clocks; called once, before ``run``."""
        self._autonomy = (cron, heartbeat)
        agents = self._services.agents
        self._toolbox = Toolbox(self.id, tools, agents, lambda: self.settings.tools)

    async def reconfigure(self, config: AssistantConfig, models: Models) -> None:
        """Take up a changed configuration of the same root."""
        self._former.append(self.model)
        self.model = AssistantModel(models, config.model_id)
        self.config = config
        if not self.active_runs():
            await self._close_former()

    async def _close_former(self) -> None:
        """End the connections of models that turns under way may have needed."""
        former, self._former = self._former, []
        for model in former:
            await model.aclose()

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Work until cancelled. Runs that an earlier process left are ended or taken up first."""
        _, waiting = await anyio.to_thread.run_sync(self.runs.recover)
        keeping = anyio.CancelScope(shield=True)  # the journal ends last: turns that end have much to tell
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._keep_journal, keeping)
                tasks.start_soon(self._prune)
                tasks.start_soon(self._warm_up)
                tasks.start_soon(self._settle_store)
                try:
                    async with anyio.create_task_group() as turns:
                        self._lanes = Lanes(turns, self._work)
                        for run in waiting:
                            self._lanes.add(run)
                        turns.start_soon(self.cron.run)
                        turns.start_soon(self.heartbeat.run)
                        task_status.started()
                        await anyio.sleep_forever()
                finally:
                    keeping.cancel()
        finally:
            self.journal.close()
            with anyio.CancelScope(shield=True):
                await self._close_former()
                await self.model.aclose()
            self.database.close()

    async def start_run(self, request: RunRequest) -> Run:
        """Keep a run and queue it; it is findable from then on.

        Raises:
            UsageError: ``BAD_SESSION``, ``NO_MESSAGE``, ``MESSAGE_TOO_LONG``.
            PloinkyError: ``QUEUE_FULL``, ``INCIDENT_OPEN`` for what nobody asked for.
        """
        lanes = self._require_lanes()
        session = request.session
        require_session_id(session.id)
        self._require_calm(request.kind)
        lanes.require_room(session.id, self.settings.turn.queue)
        await self._services.scrubber.refresh()
        messages = self._fresh(request)
        run = Run(
            new_id("run"),
            session,
            request.kind,
            RunStatus.QUEUED,
            now_iso(),
            request=request_of(messages, request.call),
        )
        idle = lanes.is_idle(session.id)
        lanes.require_room(session.id, self.settings.turn.queue)
        await self.runs.create(run, _of_run(messages, run.id) if idle else ())
        self.journal.wake(session.id)
        lanes.add(run, request.depth)
        return run

    async def wait_run(self, run_id: str, timeout_s: float | None) -> Run:
        """The run once it has ended, or as it is after ``timeout_s`` (None or 0: now).

        Raises:
            NotFoundError: ``NO_RUN``.
        """
        ticket = self._require_lanes().find(run_id)
        if ticket is not None and timeout_s:
            with anyio.move_on_after(timeout_s):
                await ticket.ended.wait()
        return self.runs.require(run_id)

    async def cancel_run(self, run_id: str) -> Run:
        """End a run: its call of the model, its tools, its place in the queue.

        Raises:
            NotFoundError: ``NO_RUN``.
        """
        lanes = self._require_lanes()
        ticket = lanes.find(run_id)
        if ticket is not None and lanes.cancel(run_id):
            with anyio.move_on_after(_CANCEL_TIMEOUT_S):
                await ticket.ended.wait()
        return self.runs.require(run_id)

    def active_runs(self) -> list[Run]:
        """The runs that are under way or wait."""
        return [] if self._lanes is None else self._lanes.active()

    async def preview(self, session: Session, message: str | None = None) -> Context:
        """Exactly what would be sent if ``message`` came now; nothing is kept, no model is called."""
        await self._services.scrubber.refresh()
        run = Run("preview", session, RunKind.USER, RunStatus.QUEUED, now_iso())
        state = self._state(Ticket(run))
        state.thread = list(self.threads.messages(session.id))
        state.first_turn = not any(each.role is Role.ASSISTANT for each in state.thread)
        material = await gather(state)
        if message is not None:
            material = replace(material, thread=[*state.thread, _previewed(self._scrub(message))])
        budget, _ = await self.model.context_tokens(self.settings.context)
        return build_context(material, budget, self.settings.context.shares)

    async def say(self, session: Session, text: str, *, source: str, run_id: str | None = None) -> None:
        """Put a message into a thread that nobody asked for, within the budgets.

        Raises:
            PloinkyError: ``BUDGET_SPENT``, ``INCIDENT_OPEN``.
        """
        self._require_calm(RunKind.HEARTBEAT)
        self.spending.require_proactive(self.settings.budgets)
        data = NewMessage(Role.ASSISTANT, self._scrub(text), run_id=run_id, data={"source": source})
        await self.threads.append(session, [data])
        await self.spending.add_proactive(run_id)

    async def consolidate(self, *, again: bool = False) -> Consolidated:
        """Let the model say what of the daily notes is worth keeping in MEMORY.md.

        Raises:
            PloinkyError: as ``Consolidation.run``; ``NO_MODEL`` without one.
        """
        async with self._consolidating:
            room, _ = await self.model.context_tokens(self.settings.context)
            shares = self.settings.context.shares
            room = int(min(room, _MOST_NOTES_TOKENS) * (1 - shares.reply))
            return await Consolidation(self.memory, self.database, self._counsel.answer, room).run(
                again=again
            )

    async def notify(self, session: str, kind: EventKind, message: str) -> None:
        """An event of no run."""
        await self.journal.append(session, kind, {"message": message})

    def _fresh(self, request: RunRequest) -> list[NewMessage]:
        scrubbed = [
            replace(each, id=each.id or new_id("msg"), content=self._scrub(each.content))
            for each in self._new(request)
        ]
        for message in scrubbed:
            require_content(message.content)
        return scrubbed

    def _new(self, request: RunRequest) -> list[NewMessage]:
        if request.call is not None:
            return []
        if not request.messages:
            raise UsageError("NO_MESSAGE", "messages must hold at least one.", details={"field": "messages"})
        return new_messages(self.threads.messages(request.session.id), request.messages)

    async def _work(self, ticket: Ticket) -> None:
        state = self._state(ticket)
        try:
            await run_turn(state)
        finally:
            ticket.run = state.run

    def _state(self, ticket: Ticket) -> TurnState:
        return TurnState(self._parts(), ticket.run, self.settings, self.model, ticket)

    def _parts(self) -> TurnParts:
        return TurnParts(
            assistant=self.id,
            threads=self.threads,
            runs=self.runs,
            journal=self.journal,
            approvals=self.approvals,
            incidents=self.incidents,
            spending=self.spending,
            substrate=self.substrate,
            memory=self.memory.files,
            toolbox=self.toolbox,
            skills=lambda: self._services.skills.catalogue(self.id) if self.settings.skills.enabled else (),
            scrubber=self._services.scrubber,
        )

    def _scrub(self, text: str) -> str:
        return self._services.scrubber.scrub(text)

    def _require_lanes(self) -> Lanes:
        if self._lanes is None:
            raise PloinkyError("ASSISTANT_STARTING", f"The assistant '{self.id}' is just starting.")
        return self._lanes

    def _require_calm(self, kind: RunKind) -> None:
        if self.incidents.current is not None and kind in (RunKind.HEARTBEAT, RunKind.CRON):
            raise PloinkyError(
                "INCIDENT_OPEN",
                "An incident is open: nothing is sent unasked until it is cleared.",
                hint="See: ploinky approvals incident",
            )

    async def _keep_journal(self, keeping: anyio.CancelScope) -> None:
        with keeping:
            await self.journal.run()

    async def _settle_store(self) -> None:
        """Move what was written into the store's file, in a thread, so that no turn waits for the disk."""
        while True:
            await anyio.sleep(_SETTLE_EVERY_S)
            with contextlib.suppress(PloinkyError):
                await anyio.to_thread.run_sync(self.database.checkpoint)

    async def _warm_up(self) -> None:
        """Import what the first turn needs before there is one."""
        with contextlib.suppress(PloinkyError):
            await anyio.to_thread.run_sync(self.model.provider)

    async def _prune(self) -> None:
        while True:
            before = datetime.now(UTC) - KEEP_EVENTS
            with contextlib.suppress(PloinkyError):
                await self.journal.prune(before.isoformat(timespec="milliseconds").replace("+00:00", "Z"))
            await anyio.sleep(_PRUNE_EVERY_S)


def _of_run(messages: Sequence[NewMessage], run_id: str) -> list[NewMessage]:
    return [replace(message, run_id=run_id) for message in messages]


def _previewed(text: str) -> ThreadMessage:
    return ThreadMessage("msg_preview", Role.USER, text, now_iso(), position=2**62)
