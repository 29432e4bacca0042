"""One agent's start: the twelve steps in order, or the short way when nothing changed.

The steps write down where they are (``journal``) before they begin, so that whatever kills them, the next
command goes on or cleans up. Nothing is created before everything was checked.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial

import anyio

from ploinky.base.errors import PloinkyError
from ploinky.base.files import require_unlinked
from ploinky.base.redaction import Redactor
from ploinky.channel.client import Channel, open_channel
from ploinky.lifecycle.context import LifecycleContext
from ploinky.lifecycle.emitting import Emit, Events, as_events
from ploinky.lifecycle.failures import agent_runs, trust_required
from ploinky.lifecycle.hooks import HookRun, run_container_hook, run_host_hook, start_mark
from ploinky.lifecycle.installing import Installer
from ploinky.lifecycle.journal import JournalFile, agent_lock, new_start_id
from ploinky.lifecycle.launching import ReadyWait, base_environment, is_launched, launch
from ploinky.lifecycle.mounts import make_folders, make_mount_points
from ploinky.lifecycle.open_gateway import require_out_of_reach
from ploinky.lifecycle.options import StartOptions, usual_options
from ploinky.lifecycle.planner import StartPlan, plan_agent
from ploinky.lifecycle.records import bound, change_entry, made, move, planned, without_sandbox
from ploinky.lifecycle.recovery import recover
from ploinky.lifecycle.registries import registry_access
from ploinky.lifecycle.sandboxes import require_same_runtime
from ploinky.lifecycle.steps import Step
from ploinky.lifecycle.transcript import Transcript, start_log
from ploinky.lifecycle.variables import merged_environment
from ploinky.manifest.refs import RunMode
from ploinky.manifest.values import HookName
from ploinky.runtimes.protocol import Sandbox, SandboxState
from ploinky.runtimes.spec import LABEL_DIGEST
from ploinky.wire.events import Notice, Progress, StepDone, StepStarted
from ploinky.workspace.links import make_links
from ploinky.workspace.registry import RegistryEntry
from ploinky.workspace.states import AgentState, Desired
from ploinky.workspace.structure import init_workspace

_LOG = logging.getLogger(__name__)
UNCHANGED = "unchanged"
_CLEANUP_S = 30.0
_FAILED_STOP_GRACE_S = 2.0
_MADE_BY_STEPS = range(Step.CREATE, Step.LAUNCH)
Work = Callable[[], Awaitable[str | None]]


def start_agent(ctx: LifecycleContext, key: str, options: StartOptions | None = None) -> Events:
    """Start one enabled agent and wait until it is ready; a running, unchanged one is left alone.

    Yields StepStarted and StepDone per step, Output of hooks and installs, StateChanged, Notice.

    Raises:
        PloinkyError: after the state FAILED was recorded, and nothing half-made is left running.
        NeedsApprovalError: MISSING_SECRETS or TRUST_REQUIRED; nothing was created.
    """
    return as_events(partial(start, ctx, key, options or usual_options(ctx.settings)))


def prepare_agent(ctx: LifecycleContext, key: str, options: StartOptions | None = None) -> Events:
    """Install what one enabled agent depends on, in a sandbox that is removed again; it is not started.

    Raises:
        PloinkyError: AGENT_RUNS if other packages than it runs with would be installed; as ``start_agent``.
    """
    return as_events(partial(prepare, ctx, key, options or usual_options(ctx.settings)))


async def start(ctx: LifecycleContext, key: str, options: StartOptions, emit: Emit) -> None:
    """What ``start_agent`` does, telling it to ``emit``."""
    async with _begun(ctx, key, options, emit) as begun:
        await begun.run(begun.start)


async def prepare(ctx: LifecycleContext, key: str, options: StartOptions, emit: Emit) -> None:
    """What ``prepare_agent`` does, telling it to ``emit``."""
    async with _begun(ctx, key, options, emit) as begun:
        await begun.run(begun.prepare)


@asynccontextmanager
async def _begun(ctx: LifecycleContext, key: str, options: StartOptions, emit: Emit) -> AsyncIterator[_Start]:
    """A start whose lock is held, after what an earlier one left was put right."""
    ctx.registry.require(key)

    async def on_wait() -> None:
        await emit(Notice(message=f"Another command works on '{key}'; waiting for it.", agent=key))

    async with agent_lock(ctx.layout, key, timeout_s=options.lock_timeout_s, on_wait=on_wait):
        await recover(ctx, key, emit)
        yield _Start(ctx, key, options, emit)


class _Start:
    """One start, its lock held. ``_step`` is the step it is in, for the clean-up after a failure."""

    def __init__(self, ctx: LifecycleContext, key: str, options: StartOptions, emit: Emit) -> None:
        self._ctx = ctx
        self._key = key
        self._options = options
        self._emit = emit
        self._id = new_start_id()
        self._journal = JournalFile(ctx.layout, key)
        self._redactor = Redactor()
        self._transcript = Transcript(start_log(ctx.layout, key), key, self._redactor, emit)
        self._step = Step.STRUCTURE
        self._name = ""
        self._base: StartPlan | None = None
        self._plan: StartPlan | None = None
        self._sandbox: Sandbox | None = None
        self._was_running = False
        self._unchanged = False

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do ``work`` (``start`` or ``prepare``); leave nothing half-made if it fails."""
        try:
            await self._step_of(Step.STRUCTURE, self._make_structure)
            await work()
        except BaseException as error:
            await self._clean_up(error)
            raise
        self._journal.clear()

    async def start(self) -> None:
        """Steps 2 to 12, or what of them is not done yet."""

        async def link_and_check() -> None:
            await self._link_and_check(self._check_trust)
            if not (self._was_running and self._unchanged):
                await self._host_hook(HookName.HOSTHOOK_PREINSTALL)

        await self._step_of(Step.LINKS, link_and_check)
        if self._unchanged:
            await self._start_again()
        else:
            await self._want_running()
            await self._make_anew()

    async def prepare(self) -> None:
        """Steps 2 to 7 without hooks, if there is something to install."""

        async def no_hooks() -> None:
            """Nothing of the repository runs on the host, so trust is not asked for."""

        await self._step_of(Step.LINKS, partial(self._link_and_check, no_hooks))
        if await anyio.to_thread.run_sync(lambda: self.plan.dependencies.satisfied):
            reason = "unchanged" if self.plan.dependencies.wanted else "no dependencies"
            await self._skip(
                *(step for step in Step if Step.LINKS < step <= Step.AGENT_DEPENDENCIES), why=reason
            )
            return
        if self._was_running:
            raise agent_runs(self._key)
        await self._step_of(Step.CREATE, self._create)
        await move(self._ctx, self._key, AgentState.STARTING, "created", emit=self._emit)
        await self._step_of(Step.BOOT, self._boot)
        async with open_channel(self.plan.spec.socket_path) as channel:
            await self._install_packages(channel, await base_environment(channel))
        await self._ctx.runtime.remove(self._name)
        await change_entry(self._ctx, self._key, without_sandbox)
        await move(self._ctx, self._key, AgentState.ENABLED, "dependencies prepared", emit=self._emit)

    @property
    def plan(self) -> StartPlan:
        assert self._plan is not None, "the plan is made in step 2"
        return self._plan

    async def _step_of(self, step: Step, work: Work) -> None:
        self._step = step
        self._journal.note(self._id, self._name, step)
        where, name = step.where, step.title
        await self._emit(StepStarted(agent=self._key, step=step, name=name, where=where))
        began = time.monotonic()
        skipped = await work()
        seconds = round(time.monotonic() - began, 4)
        await self._emit(StepDone(agent=self._key, step=step, name=name, seconds=seconds, skipped=skipped))

    async def _skip(self, *steps: Step, why: str = UNCHANGED) -> None:
        for step in steps:
            await self._emit(StepDone(agent=self._key, step=step, name=step.title, seconds=0.0, skipped=why))

    # steps 1 and 2: nothing is made in the engine

    async def _make_structure(self) -> str | None:
        init_workspace(self._ctx.layout.root)
        require_unlinked(self._ctx.layout.work_dir(self._key)).mkdir(parents=True, exist_ok=True)
        return None

    async def _link_and_check(self, check_trust: Callable[[], Awaitable[None]]) -> None:
        entry = self._ctx.registry.require(self._key)
        require_same_runtime(self._ctx, entry)
        await self._link(entry)
        plan = await anyio.to_thread.run_sync(plan_agent, self._ctx, entry)
        await require_out_of_reach(self._ctx, plan.spec)
        self._base, self._name = plan, plan.spec.name
        self._redactor = plan.environment.redactor()
        self._transcript = Transcript(
            start_log(self._ctx.layout, self._key), self._key, self._redactor, self._emit
        )
        for message in plan.notices:
            await self._emit(Notice(message=message, agent=self._key))
        self._sandbox = await self._ctx.runtime.inspect(self._name)
        image = await self._ctx.runtime.image_id(plan.spec.image)
        self._plan = plan.of_image(image or (self._sandbox.image_id if self._sandbox else None))
        self._was_running = self._sandbox is not None and self._sandbox.state is SandboxState.RUNNING
        self._unchanged = await self._is_unchanged()
        await check_trust()
        make_folders(self._ctx.layout, plan.place, plan.config, plan.seen)
        make_mount_points(plan.seen)

    async def _link(self, entry: RegistryEntry) -> None:
        layout = self._ctx.layout
        outside = entry.run_mode is RunMode.DEVEL and not (
            layout.agent_source(entry.repo_name, entry.agent_name).is_dir()
        )
        for message in [] if outside else make_links(layout, entry):
            await self._emit(Notice(level="warning", message=message, agent=self._key))

    async def _check_trust(self) -> None:
        """Ask before anything of the repository runs on the host; remembered with its commit."""
        hooks = [name.value for name in self.plan.config.hooks if name.on_host]
        if not hooks:
            return
        location = self.plan.location
        inside = self._ctx.layout.repo(location.repo).resolve() in location.folder.resolve().parents
        if inside and await self._ctx.repos.is_trusted(location.repo):
            return
        if not self._options.trust:
            raise trust_required(self._key, location.repo, hooks)
        if inside:
            await self._ctx.repos.trust(location.repo)

    # the two ways

    async def _is_unchanged(self) -> bool:
        entry, plan = self._ctx.registry.require(self._key), self.plan
        return (
            not self._options.recreate
            and self._sandbox is not None
            and self._sandbox.labels.get(LABEL_DIGEST) == plan.spec.digest
            and entry.install_digest == plan.install_digest
            and await anyio.to_thread.run_sync(lambda: plan.dependencies.satisfied)
        )

    async def _start_again(self) -> None:
        """The sandbox is as the plan wants it, its installs ran: start it if it does not run, launch."""
        if self._was_running:
            async with open_channel(self.plan.spec.socket_path) as channel:
                launched = await is_launched(channel)
            if launched and self._ctx.registry.require(self._key).state is AgentState.RUNNING:
                await self._want_running()
                await self._skip(*(step for step in Step if step > Step.LINKS))
                return
        await self._want_running()
        await move(self._ctx, self._key, AgentState.STARTING, "start", emit=self._emit)
        await self._skip(Step.CREATE, Step.AFTER_CREATION)
        await self._step_of(Step.BOOT, self._boot)
        await self._skip(*(step for step in Step if Step.BOOT < step < Step.LAUNCH))
        await self._step_of(Step.LAUNCH, self._launch)

    async def _make_anew(self) -> None:
        await self._step_of(Step.CREATE, self._create)
        await self._step_of(Step.AFTER_CREATION, partial(self._host_hook, HookName.HOSTHOOK_AFTERCREATION))
        await move(self._ctx, self._key, AgentState.STARTING, "created", emit=self._emit)
        await self._step_of(Step.BOOT, self._boot)
        await self._install()
        await self._step_of(Step.HOST_POSTINSTALL, partial(self._host_hook, HookName.HOSTHOOK_POSTINSTALL))
        await change_entry(self._ctx, self._key, made(None, self.plan.install_digest))
        await self._step_of(Step.LAUNCH, self._launch)

    # steps 3 to 12

    async def _create(self) -> str | None:
        ctx, plan = self._ctx, self.plan
        await change_entry(ctx, self._key, made(None, None))
        if self._sandbox is not None:
            await self._emit(Notice(message=f"'{self._key}' has changed and is made anew.", agent=self._key))
            await ctx.runtime.stop(self._name, grace_s=_FAILED_STOP_GRACE_S)
            await ctx.runtime.remove(self._name)
        if ctx.registry.require(self._key).state is AgentState.RUNNING:
            await move(ctx, self._key, AgentState.STOPPED, "made anew", emit=self._emit)
        await move(ctx, self._key, AgentState.CREATING, "start", emit=self._emit)
        await change_entry(ctx, self._key, planned(plan, ctx.runtime.kind))
        plan.spec.socket_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        async for line in ctx.runtime.create(plan.spec):
            text = self._redactor.scrub(line)
            await self._emit(Progress(label=f"{self._key}: {plan.spec.image}", message=text))
        self._sandbox = await ctx.runtime.inspect(self._name)
        self._note_image()
        await change_entry(ctx, self._key, made(self._sandbox, None))
        return None

    def _note_image(self) -> None:
        """Create may have pulled an image, whose content could not be part of the plan."""
        assert self._base is not None
        self._plan = self._base.of_image(self._sandbox.image_id if self._sandbox else None)

    async def _boot(self) -> str | None:
        await self._ctx.runtime.start(self._name)
        return "runs already" if self._was_running and self._unchanged else None

    async def _install(self) -> None:
        """Steps 6 to 10, over one connection: losing it ends whatever runs."""
        plan = self.plan
        work_dir = self._ctx.layout.work_dir(self._key).resolve()
        async with open_channel(plan.spec.socket_path) as channel:
            base = await base_environment(channel)
            await self._install_packages(channel, base)
            environment = merged_environment(base, plan.environment.values, work_dir)
            for step, hook in (
                (Step.PREINSTALL, HookName.PREINSTALL),
                (Step.INSTALL, HookName.INSTALL),
                (Step.POSTINSTALL, HookName.POSTINSTALL),
            ):
                await self._step_of(
                    step, partial(run_container_hook, self._hook_run, hook, channel, environment)
                )

    async def _install_packages(self, channel: Channel, base: Mapping[str, str]) -> None:
        work_dir = self._ctx.layout.work_dir(self._key).resolve()
        installer = Installer(
            dependencies=self.plan.dependencies,
            channel=channel,
            environment=merged_environment(base, self.plan.platform, work_dir),
            access=registry_access(self._ctx.environ),
            transcript=self._transcript,
            timeout_s=self._options.install_timeout_s,
        )
        await self._step_of(Step.CORE_DEPENDENCIES, installer.install_core)
        await self._step_of(Step.AGENT_DEPENDENCIES, installer.install_own)

    async def _launch(self) -> str | None:
        async with open_channel(self.plan.spec.socket_path) as channel:
            if not await is_launched(channel):
                await launch(self._ctx, self.plan, channel)
            wait = ReadyWait(self._ctx, self.plan, self._redactor, self._options.timeout_s)
            await wait.run(channel)
        sandbox = await self._ctx.runtime.inspect(self._name)
        if sandbox is not None:
            await change_entry(self._ctx, self._key, bound(sandbox))
        await move(self._ctx, self._key, AgentState.RUNNING, "ready", emit=self._emit)
        return None

    # what steps share

    @property
    def _hook_run(self) -> HookRun:
        return HookRun(self.plan, self._transcript, self._redactor, self._options.hook_timeout_s)

    async def _host_hook(self, name: HookName) -> str | None:
        sandbox = self._sandbox
        facts = {
            "PLOINKY_CONTAINER_NAME": self._name,
            "PLOINKY_CONTAINER_ID": sandbox.id if sandbox is not None else "",
            **start_mark(self._id),
        }
        return await run_host_hook(
            self._hook_run, name, repos=self._ctx.layout.repos, ambient=self._ctx.environ, facts=facts
        )

    async def _want_running(self) -> None:
        def change(entry: RegistryEntry) -> RegistryEntry:
            return entry.model_copy(update={"desired": Desired.RUNNING})

        await change_entry(self._ctx, self._key, change)

    async def _clean_up(self, error: BaseException) -> None:
        """Leave nothing half-made: what steps 3 to 11 made is removed, what step 12 started is stopped.

        That is done even if it cannot be noted (the disk is full); the journal then stays, so that the next
        command notes it.
        """

        async def note() -> None:
            if self._step > Step.LINKS or not self._was_running:
                await move(self._ctx, self._key, AgentState.FAILED, _reason(error))

        done = True
        with anyio.CancelScope(shield=True), anyio.move_on_after(_CLEANUP_S):
            for work in (note, self._take_away):
                try:
                    await work()
                except PloinkyError as second:
                    done = False
                    _LOG.warning("agent %s: cannot clean up: %s", self._key, second.message)
            if done:
                self._journal.clear()

    async def _take_away(self) -> None:
        if self._step in _MADE_BY_STEPS and not self._unchanged:
            await self._ctx.runtime.remove(self._name)
            await change_entry(self._ctx, self._key, without_sandbox)
        elif self._step >= Step.BOOT:
            await self._ctx.runtime.stop(self._name, grace_s=_FAILED_STOP_GRACE_S)


def _reason(error: BaseException) -> str:
    if isinstance(error, PloinkyError):
        return error.message.splitlines()[0]
    return "the start was interrupted" if not isinstance(error, Exception) else "an unexpected error"
