"""All assistants of a workspace: opened as the configuration says, followed while it changes.

The only way to an assistant is ``require``: an id that is not known is an error, never somebody else; no id
means the first of the configuration. ``run`` must be running.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import anyio
import anyio.abc
import anyio.to_thread

from ploinky.assistants.assistant import Assistant, RunRequest
from ploinky.assistants.configuration import (
    AssistantConfig,
    Configuration,
    read_configuration,
    stamp_of,
)
from ploinky.assistants.equipment import equip
from ploinky.assistants.messages import NewMessage, Role
from ploinky.assistants.roots import RootFault
from ploinky.assistants.runs import RunKind, RunStatus
from ploinky.assistants.services import AssistantServices
from ploinky.assistants.sessions import ChannelKind, Session
from ploinky.base.errors import NotFoundError, PloinkyError
from ploinky.base.names import closest

_log = logging.getLogger(__name__)
LOOK_EVERY_S = 1.0
OTHER_TIMEOUT_S = 600.0


@dataclass
class _Member:
    assistant: Assistant
    scope: anyio.CancelScope
    gone: anyio.Event


class Household:
    """The assistants of one workspace."""

    def __init__(self, services: AssistantServices) -> None:
        self._services = services
        self._members: dict[str, _Member] = {}
        self._configuration: Configuration | None = None
        self._faults: tuple[RootFault, ...] = ()
        self._problem: PloinkyError | None = None
        self._tasks: anyio.abc.TaskGroup | None = None
        self._turn = anyio.Lock()
        self._told = ""
        self.changed = anyio.Event()

    @property
    def configuration(self) -> Configuration:
        """The configuration that is in force.

        Raises:
            PloinkyError: why there is none.
        """
        if self._configuration is None:
            raise self._problem or PloinkyError("ASSISTANT_STARTING", "The assistants are just starting.")
        return self._configuration

    @property
    def faults(self) -> tuple[RootFault, ...]:
        """The assistants that were left out, and why."""
        return self._faults

    @property
    def problem(self) -> PloinkyError | None:
        """Why the configuration on disk is not in force, if it is not."""
        return self._problem

    def assistants(self) -> list[Assistant]:
        """All assistants, in the order of the configuration."""
        order = [config.id for config in self._configuration.assistants] if self._configuration else []
        return [self._members[each].assistant for each in order if each in self._members]

    def require(self, assistant: str | None) -> Assistant:
        """The assistant of an id; None: the first of the configuration.

        Raises:
            NotFoundError: ``NO_ASSISTANT``. PloinkyError: why it was left out, or the configuration is
            faulty.
        """
        known = self.assistants()
        if assistant is None and known:
            return known[0]
        found = next((each for each in known if each.id == assistant), None)
        if found is not None:
            return found
        fault = next((fault for fault in self._faults if fault.id == assistant), None)
        if fault is not None:
            raise fault.error
        if self._configuration is None and self._problem is not None:
            raise self._problem
        near = closest(assistant or "", [each.id for each in known])
        hint = f"Did you mean '{near}'?" if near else "See what there is: ploinky assistant list"
        raise NotFoundError(
            "NO_ASSISTANT", "There is no such assistant.", hint=hint, details={"field": "profileId"}
        )

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Keep the assistants running until cancelled; a faulty configuration leaves the former in force.

        Raises:
            PloinkyError: at the start only, if ``profilesOnError`` is ``fail``.
        """
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            await self.reload()
            task_status.started()
            while True:
                await anyio.sleep(LOOK_EVERY_S)
                await self._look()

    async def reload(self) -> list[str]:
        """Put the configuration on disk into force; the ids of the assistants there are now.

        Raises:
            PloinkyError: it is faulty; what was in force stays.
        """
        async with self._turn:
            try:
                found = await anyio.to_thread.run_sync(read_configuration, self._services.layout)
            except PloinkyError as error:
                self._problem = error
                raise
            self._problem = None
            await self._adopt(found)
            return [each.id for each in self.assistants()]

    async def ask(self, asker: str, to: str, question: str, depth: int) -> str:
        """What one assistant answers to another, in a session of their own.

        Raises:
            PloinkyError: ``ASSISTANT_SILENT`` if its run does not end well.
        """
        other = self.require(to)
        session = Session(f"assistant:{asker}", ChannelKind.GROUP, user=asker)
        message = NewMessage(Role.USER, question, data={"source": f"assistant:{asker}"})
        run = await other.start_run(RunRequest(session, [message], RunKind.ASSISTANT, depth))
        try:
            ended = await other.wait_run(run.id, OTHER_TIMEOUT_S)
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await other.cancel_run(run.id)
            raise
        if ended.status is not RunStatus.DONE:
            why = ended.error.message if ended.error else ended.status.value
            raise PloinkyError("ASSISTANT_SILENT", f"The assistant '{to}' did not answer: {why}")
        return other.runs.text(run.id)

    async def _look(self) -> None:
        last = self._configuration
        if last is not None and self._problem is None and stamp_of(self._services.layout, last) == last.stamp:
            return
        try:
            await self.reload()
        except PloinkyError as error:
            if error.message != self._told:
                self._told = error.message
                _log.warning("the changed configuration is not in force: %s", error.message)

    async def _adopt(self, found: Configuration) -> None:
        self._faults = found.faults
        for fault in found.faults:
            _log.warning("%s", fault.error.message)
        wanted = {config.id: config for config in found.assistants}
        for member_id, member in list(self._members.items()):
            config = wanted.get(member_id)
            if config is None or config.root.path != member.assistant.root:
                await self._close(member_id)
        self._configuration = found
        for config in found.assistants:
            await self._open_or_change(config, found)
        self.changed.set()
        self.changed = anyio.Event()

    async def _open_or_change(self, config: AssistantConfig, found: Configuration) -> None:
        models = self._services.make_models(config.id, config.root.path, found.models)
        member = self._members.get(config.id)
        if member is not None:
            await member.assistant.reconfigure(config, models)
            return
        try:
            assistant = await anyio.to_thread.run_sync(Assistant, config, models, self._services)
        except PloinkyError as error:
            if found.section.profiles_on_error == "fail":
                raise
            _log.warning("%s", error.message)
            self._faults = (*self._faults, RootFault(config.id, error))
            return
        equip(assistant, self._services, self.names, self.ask)
        await self._start(assistant)

    def names(self) -> Sequence[str]:
        """The ids of all assistants."""
        return [each.id for each in self.assistants()]

    async def _start(self, assistant: Assistant) -> None:
        assert self._tasks is not None
        member = _Member(assistant, anyio.CancelScope(), anyio.Event())

        async def live(*, task_status: anyio.abc.TaskStatus[None]) -> None:
            try:
                with member.scope:
                    await assistant.run(task_status=task_status)
            finally:
                member.gone.set()

        await self._tasks.start(live)
        self._members[assistant.id] = member

    async def _close(self, member_id: str) -> None:
        member = self._members.pop(member_id)
        member.scope.cancel()
        await member.gone.wait()
