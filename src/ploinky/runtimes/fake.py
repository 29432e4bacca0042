"""An engine in memory, for tests: sandboxes without isolation or processes, and trouble to order.

A ``FakeEngine`` holds the sandboxes; any number of ``FakeRuntime`` objects use it, as processes use one
real engine. Launchers answer on real sockets (``fake_launcher``). ``Trouble`` makes an agent slow,
failing or dying.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from ploinky.base.clock import now_iso
from ploinky.runtimes import errors
from ploinky.runtimes.fake_launcher import FakeLauncher, Programs, succeed
from ploinky.runtimes.protocol import (
    LOOPBACK,
    RuntimeEvent,
    RuntimeEventKind,
    RuntimeHealth,
    Sandbox,
    SandboxState,
)
from ploinky.runtimes.spec import PublishedPort, RunSpec

_FIRST_PORT = 40000
_ids = itertools.count(1)


@dataclass(frozen=True)
class Trouble:
    """What goes wrong with an agent. ``fail_*`` are reasons; ``dies_after_s`` counts from every start,
    ``dies_times`` says how often."""

    create_delay_s: float = 0.0
    start_delay_s: float = 0.0
    stop_delay_s: float = 0.0
    fail_create: str | None = None
    fail_start: str | None = None
    dies_after_s: float | None = None
    dies_times: int = 1


@dataclass
class FakeSandbox:
    """A sandbox of the engine; tests may look at ``launcher`` (its calls, files, state) and fill ``log``."""

    spec: RunSpec
    id: str
    launcher: FakeLauncher
    state: SandboxState = SandboxState.CREATED
    exit_code: int | None = None
    started_at: str | None = None
    ports: tuple[PublishedPort, ...] = ()
    log: list[bytes] = field(default_factory=list)
    scope: anyio.CancelScope | None = None
    deaths: int = 0
    image_id: str | None = None


class FakeEngine:
    """All fake sandboxes; used as an asynchronous context, whose end kills every launcher.

    ``programs`` is asked for every program that runs in a sandbox; ``troubles`` are by agent and may be
    changed at any time, as may ``health`` and ``images`` (name to content). ``calls`` lists what runtimes
    were asked: (verb, name).
    """

    def __init__(
        self, *, programs: Programs = succeed, troubles: Mapping[str, Trouble] | None = None
    ) -> None:
        self.programs = programs
        self.troubles: dict[str, Trouble] = dict(troubles or {})
        self.health = RuntimeHealth(usable=True, version="fake 1", reason="in memory")
        self.sandboxes: dict[str, FakeSandbox] = {}
        self.images: dict[str, str] = {}
        self.calls: list[tuple[str, str]] = []
        self._listeners: list[tuple[str, MemoryObjectSendStream[RuntimeEvent]]] = []
        self._lock: dict[str, anyio.Lock] = {}
        self._stack = AsyncExitStack()
        self._tasks: TaskGroup | None = None

    async def __aenter__(self) -> Self:
        self._tasks = await self._stack.enter_async_context(anyio.create_task_group())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._tasks is not None:
            self._tasks.cancel_scope.cancel()
        await self._stack.__aexit__(kind, error, trace)

    def lock(self, name: str) -> anyio.Lock:
        return self._lock.setdefault(name, anyio.Lock())

    def trouble(self, spec: RunSpec) -> Trouble:
        return self.troubles.get(spec.agent, Trouble())

    async def begin(self, sandbox: FakeSandbox) -> None:
        """Let the sandbox's launcher answer."""
        assert self._tasks is not None, "use the engine in 'async with'"
        sandbox.scope = await self._tasks.start(self._serve, sandbox)
        sandbox.state, sandbox.started_at, sandbox.exit_code = SandboxState.RUNNING, now_iso(), None
        self.tell(RuntimeEvent(RuntimeEventKind.STARTED, sandbox.spec.name), sandbox.spec.workspace)

    async def die(self, name: str, *, exit_code: int = 137) -> None:
        """End a running sandbox from outside, as a crash of its launcher would."""
        sandbox = self.sandboxes[name]
        if sandbox.state is not SandboxState.RUNNING or sandbox.scope is None:
            return
        sandbox.scope.cancel()
        sandbox.spec.socket_path.unlink(missing_ok=True)
        sandbox.scope, sandbox.state, sandbox.exit_code = None, SandboxState.EXITED, exit_code
        self.tell(RuntimeEvent(RuntimeEventKind.DIED, name, exit_code), sandbox.spec.workspace)

    def vanish(self, name: str) -> None:
        """Lose a sandbox that does not run, as if somebody had removed it by hand."""
        workspace = self.sandboxes.pop(name).spec.workspace
        self.tell(RuntimeEvent(RuntimeEventKind.REMOVED, name), workspace)

    def tell(self, event: RuntimeEvent, workspace: str) -> None:
        for wanted, listener in self._listeners:
            if wanted == workspace:
                listener.send_nowait(event)

    def listen(self, workspace: str) -> MemoryObjectReceiveStream[RuntimeEvent]:
        sending, receiving = anyio.create_memory_object_stream[RuntimeEvent](math.inf)
        self._listeners.append((workspace, sending))
        self._stack.callback(sending.close)
        self._stack.callback(receiving.close)
        return receiving

    async def _serve(
        self, sandbox: FakeSandbox, *, task_status: anyio.abc.TaskStatus[anyio.CancelScope]
    ) -> None:
        launcher = FakeLauncher(sandbox.spec.agent, self.programs)
        launcher.calls, launcher.files = sandbox.launcher.calls, sandbox.launcher.files
        sandbox.launcher = launcher
        async with anyio.create_task_group() as tasks:
            await tasks.start(launcher.serve, sandbox.spec.socket_path)
            tasks.start_soon(self._doom, sandbox, launcher)
            task_status.started(tasks.cancel_scope)

    async def _doom(self, sandbox: FakeSandbox, launcher: FakeLauncher) -> None:
        """End the sandbox when its launcher was told to, or when trouble was ordered."""
        trouble = self.trouble(sandbox.spec)
        if trouble.dies_after_s is not None and sandbox.deaths < trouble.dies_times:
            sandbox.deaths += 1
            with anyio.move_on_after(trouble.dies_after_s):
                await launcher.stopping.wait()
            await self.die(sandbox.spec.name, exit_code=0 if launcher.stopping.is_set() else 1)
            return
        await launcher.stopping.wait()
        await self.die(sandbox.spec.name, exit_code=0)


class FakeRuntime:
    """``Runtime`` over a ``FakeEngine``."""

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine

    @property
    def kind(self) -> str:
        return "fake"

    @property
    def uses_images(self) -> bool:
        return True

    async def check(self) -> RuntimeHealth:
        return self._engine.health

    async def create(self, spec: RunSpec) -> AsyncIterator[str]:
        engine, trouble = self._engine, self._engine.trouble(spec)
        engine.calls.append(("create", spec.name))
        yield f"making {spec.name}"
        await anyio.sleep(trouble.create_delay_s)
        if trouble.fail_create is not None:
            raise errors.create_failed(spec.name, trouble.fail_create)
        if spec.name in engine.sandboxes:
            raise errors.name_in_use(spec.name)
        for mount in spec.mounts:
            if not mount.source.exists():
                raise errors.create_failed(spec.name, f"{mount.source} does not exist on the host.")
        launcher = FakeLauncher(spec.agent, engine.programs)
        made = FakeSandbox(spec, f"fake-{next(_ids)}", launcher, image_id=engine.images.get(spec.image))
        engine.sandboxes[spec.name] = made

    async def start(self, name: str) -> None:
        engine = self._engine
        engine.calls.append(("start", name))
        async with engine.lock(name):
            sandbox = engine.sandboxes.get(name)
            if sandbox is None:
                raise errors.sandbox_not_found(name)
            if sandbox.state is SandboxState.RUNNING:
                return
            trouble = engine.trouble(sandbox.spec)
            await anyio.sleep(trouble.start_delay_s)
            if trouble.fail_start is not None:
                raise errors.start_failed(name, trouble.fail_start)
            sandbox.ports = _bound(sandbox.spec.ports)
            await engine.begin(sandbox)

    async def stop(self, name: str, *, grace_s: float) -> None:
        engine = self._engine
        engine.calls.append(("stop", name))
        async with engine.lock(name):
            sandbox = engine.sandboxes.get(name)
            if sandbox is not None and sandbox.state is SandboxState.RUNNING:
                await anyio.sleep(min(grace_s, engine.trouble(sandbox.spec).stop_delay_s))
                await engine.die(name, exit_code=0)

    async def remove(self, name: str) -> None:
        engine = self._engine
        engine.calls.append(("remove", name))
        async with engine.lock(name):
            if name in engine.sandboxes:
                await engine.die(name)
                engine.vanish(name)

    async def image_id(self, image: str) -> str | None:
        return self._engine.images.get(image)

    async def inspect(self, name: str) -> Sandbox | None:
        sandbox = self._engine.sandboxes.get(name)
        return None if sandbox is None else _view(sandbox)

    async def list(self, workspace: str) -> list[Sandbox]:
        found = [_view(each) for each in self._engine.sandboxes.values() if each.spec.workspace == workspace]
        return sorted(found, key=lambda sandbox: sandbox.name)

    async def forget(self, workspace: str) -> None:
        """Nothing is made but sandboxes."""

    async def router_host(self, workspace: str) -> str:
        return LOOPBACK

    async def logs(
        self, name: str, *, follow: bool = False, tail: int | None = None, since: str | None = None
    ) -> AsyncIterator[bytes]:
        """What a test put into ``FakeSandbox.log``; ``since`` is ignored and ``follow`` ends at once."""
        sandbox = self._engine.sandboxes.get(name)
        if sandbox is None:
            raise errors.sandbox_not_found(name)
        lines = b"".join(sandbox.log).splitlines(keepends=True)
        for line in lines if tail is None else lines[len(lines) - min(tail, len(lines)) :]:
            yield line

    def events(self, workspace: str) -> AsyncIterator[RuntimeEvent]:
        return self._engine.listen(workspace)

    async def aclose(self) -> None:
        """Nothing is held open."""


def _view(sandbox: FakeSandbox) -> Sandbox:
    running = sandbox.state is SandboxState.RUNNING
    return Sandbox(
        name=sandbox.spec.name,
        id=sandbox.id,
        state=sandbox.state,
        labels=sandbox.spec.labels,
        exit_code=sandbox.exit_code,
        started_at=sandbox.started_at,
        ports=sandbox.ports if running else (),
        image_id=sandbox.image_id,
    )


def _bound(ports: tuple[PublishedPort, ...]) -> tuple[PublishedPort, ...]:
    return tuple(
        PublishedPort(
            port.container_port, port.host_port or _FIRST_PORT + number, port.host_ip, port.protocol
        )
        for number, port in enumerate(ports)
    )
