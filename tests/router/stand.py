"""A gateway on a real port over real launchers that run as plain processes: the highest public door.

An ``Agent`` is a folder of programs with an ``mcp-config.json`` and a launcher that serves them; a ``Stand``
is the gateway's application on uvicorn in front of some.
"""

from __future__ import annotations

import contextlib
import functools
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio
import anyio.abc

from ploinky.base.jsontypes import JsonValue
from ploinky.base.process_id import ProcessId
from ploinky.base.waits import wait_until
from ploinky.channel.binary import launcher_folder
from ploinky.gateway.app import LOOPBACK_HOSTS, GatewayParts, Listen, create_app, serve
from ploinky.gateway.control import Control
from ploinky.gateway.guard import Guard
from ploinky.gateway.server import ClosableApp
from ploinky.router.callers import OWNER, Caller, CallerKind
from ploinky.router.gateway_client import GatewayAddress, GatewayClient
from ploinky.router.router import Router, RouterSettings, open_router
from ploinky.router.routes import AgentRoute, RouteTable
from ploinky.router.servers.source import ServerSource
from ploinky.toolhost.sources import Mount, config_sources
from ploinky.wire.events import Event, Notice

OWNER_TOKEN = "owner-token-of-the-stand"
LAUNCHER = launcher_folder({}) / "launcher"


class Tokens:
    """Knows the owner's token and ``agent:<name>`` for every agent."""

    def act_as(self, name: str) -> Caller | None:
        kind, _, who = name.partition(":")
        return Caller(CallerKind(kind), who) if who and kind in ("client", "assistant") else None

    def verify(self, token: str) -> Caller | None:
        if token == OWNER_TOKEN:
            return OWNER
        kind, _, name = token.partition(":")
        return Caller(CallerKind.AGENT, name) if kind == "agent" and name else None


@dataclass
class Agent:
    """One agent on disk and, while it runs, its launcher."""

    key: str
    folder: Path
    socket_path: Path
    environment: dict[str, str] = field(default_factory=dict)
    may_call: frozenset[str] = frozenset()
    server: ServerSource | None = None
    process: anyio.abc.Process | None = None
    starts: int = 0

    @property
    def config_file(self) -> Path:
        return self.folder / "mcp-config.json"

    def program(self, name: str, script: str) -> str:
        """Write an executable shell script; its name."""
        file = self.folder / name
        file.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        file.chmod(0o755)
        return name

    def configure(self, *tools: Mapping[str, object], **rest: object) -> None:
        """Replace the configuration, whole; its mtime differs from the one before."""
        text = json.dumps({"tools": tools, **rest})
        fresh = self.config_file.with_suffix(".new")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(self.config_file)

    def tool(self, name: str, script: str, **more: object) -> dict[str, object]:
        """A tool made of a shell script."""
        return {"name": name, "command": self.program(f"{name}.sh", script), **more}

    async def start(self) -> None:
        self.socket_path.unlink(missing_ok=True)
        self.starts += 1
        self.process = await anyio.open_process(
            [str(LAUNCHER), "serve", "--socket", str(self.socket_path)], stdin=None, stdout=None, stderr=None
        )

        async def listens() -> bool:
            try:
                async with await anyio.connect_unix(self.socket_path):
                    return True
            except OSError:
                return False

        await wait_until(listens, what="the launcher's socket", timeout_s=10)

    async def kill(self) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()
            self.process = None

    def route(self, *, ready: bool = True, reason: str = "") -> AgentRoute:
        mounts = [Mount("/code", self.folder)]
        sources = config_sources({}, mounts)[-1:]

        async def environment() -> Mapping[str, str]:
            return self.environment

        return AgentRoute(
            key=self.key,
            socket_path=self.socket_path,
            config_sources=sources,
            environment=environment,
            ready=ready,
            reason=reason,
            code_path=str(self.folder),
            workspace_path=str(self.folder.parent),
            may_call=self.may_call,
            instance=str(self.starts),
            server=self.server,
        )


class Stand:
    """The gateway and its agents."""

    def __init__(self, root: Path, agents: dict[str, Agent]) -> None:
        self.root = root
        self.agents = agents
        self.table = RouteTable()
        self.port = 0
        self.router: Router | None = None
        self.asked: list[str] = []
        self.tasks: anyio.abc.TaskGroup | None = None
        self.stop = anyio.Event()
        self.stopped = anyio.Event()
        self.settings = self.settled(RouterSettings())
        self.wrap: Callable[[ClosableApp], ClosableApp] = lambda app: app

    def settled(self, settings: RouterSettings) -> RouterSettings:
        """With files of its own, and looking often."""
        tasks, sessions = self.root / "tasks.sqlite", self.root / "sessions.sqlite"
        return replace(settings, config_poll_s=0.05, tasks_file=tasks, sessions_file=sessions)

    def url(self, agent: str | None = None) -> str:
        path = "/mcp" if agent is None else f"/mcps/{agent}/mcp"
        return f"http://127.0.0.1:{self.port}{path}"

    def address(self, token: str = OWNER_TOKEN) -> GatewayAddress:
        return GatewayAddress(self.port, token)

    def client(self, token: str = OWNER_TOKEN) -> GatewayClient:
        return GatewayClient(self.address(token))

    def show(self, **not_ready: str) -> None:
        """Replace the routes by what the agents are now; ``not_ready`` names some with the reason."""
        self.table.replace(
            agent.route(ready=key not in not_ready, reason=not_ready.get(key, ""))
            for key, agent in self.agents.items()
        )

    async def look(self) -> None:
        self.show()
        assert self.router is not None
        await self.router.look()

    def app(self) -> ClosableApp:
        """The application over the present router, for one more listener."""
        assert self.router is not None
        return create_app(self._parts(self.router))

    async def serve(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve until ``stop``; may be called again on the same port."""
        async with open_router(self.table, self.settings) as router, anyio.create_task_group() as tasks:
            self.router = router
            app = self.wrap(create_app(self._parts(router)))
            listen = Listen(port=self.port)
            run = functools.partial(serve, app, listen, stop=self.stop, grace_s=1.0)
            self.port = await tasks.start(run)
            task_status.started()
        self.stopped.set()

    async def restart(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        """End this gateway, do ``meanwhile``, and start another on the same port."""
        assert self.tasks is not None
        self.stop.set()
        await self.stopped.wait()
        meanwhile()
        self.stop, self.stopped = anyio.Event(), anyio.Event()
        await self.tasks.start(self.serve)

    def _parts(self, router: Router) -> GatewayParts:
        async def status() -> JsonValue:
            return {"agents": list(self.agents)}

        async def reconcile() -> JsonValue:
            self.asked.append("reconcile")
            self.show()
            return {"done": True}

        async def shutdown() -> None:
            self.asked.append("shutdown")
            self.stop.set()

        async def events() -> AsyncIterator[Event]:
            yield Notice(message="hello")
            await anyio.sleep_forever()

        control = Control(router, status, reconcile, shutdown, events)
        return GatewayParts(router, Guard(Tokens(), LOOPBACK_HOSTS), control.rows())


@contextlib.asynccontextmanager
async def open_stand(
    *keys: str,
    settings: RouterSettings | None = None,
    wrap: Callable[[ClosableApp], ClosableApp] | None = None,
) -> AsyncIterator[Stand]:
    """A stand with one running agent per key, without tools yet; ``wrap`` puts something before the
    application."""
    with tempfile.TemporaryDirectory(prefix="ploinky-stand-", dir="/tmp") as name:
        root = Path(name)
        agents = {}
        for key in keys:
            folder = root / key
            folder.mkdir()
            agents[key] = Agent(key, folder, root / f"{key}.sock")
        stand = Stand(root, agents)
        if wrap is not None:
            stand.wrap = wrap
        if settings is not None:
            stand.settings = stand.settled(settings)
        async with anyio.create_task_group() as tasks, contextlib.AsyncExitStack() as stack:
            for agent in agents.values():
                stack.push_async_callback(agent.kill)
                await agent.start()
            stand.show()
            stand.tasks = tasks
            await tasks.start(stand.serve)
            yield stand
            stand.stop.set()
            with anyio.fail_after(10):
                await stand.stopped.wait()


def holds(path: Path) -> Callable[[], Awaitable[bool]]:
    """Whether the file is there and not empty."""

    async def check() -> bool:
        return path.exists() and path.stat().st_size > 0

    return check


def there(path: Path) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return path.exists()

    return check


def gone(pid_file: Path) -> Callable[[], Awaitable[bool]]:
    """Whether the process whose pid the file holds has ended."""
    pid = int(pid_file.read_text(encoding="ascii"))

    async def check() -> bool:
        return ProcessId.find(pid) is None

    return check
