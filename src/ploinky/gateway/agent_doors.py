"""The gateway's door inside agents without a network: a socket in the folder that their launcher's lies in.

Who comes in by it must show a token like everybody else. The agent owns that folder, so a socket is made
elsewhere and moved in: nothing of the agent's is followed, and nothing but its own door can it spoil.
"""

from __future__ import annotations

import functools
import itertools
import logging
from collections.abc import Mapping
from pathlib import Path

import anyio
import anyio.abc

from ploinky.base.errors import PloinkyError
from ploinky.gateway.app import GatewayApp
from ploinky.gateway.server import Listen, serve
from ploinky.router.http import Receive, Scope, Send
from ploinky.router.routes import AgentRoute, RouteTable
from ploinky.runtimes.spec import ROUTER_SOCKET_NAME

_log = logging.getLogger(__name__)
_MODE = 0o666  # who reaches the folder may knock: the agent's users
_Run = tuple[str, Path]


class AgentDoors:
    """Keeps a door open in every agent of ``table`` that needs one; ``workshop`` is a private folder on the
    same file system as theirs."""

    def __init__(self, table: RouteTable, app: GatewayApp, workshop: Path) -> None:
        self._table = table
        self._app = _Door(app)
        self._workshop = workshop
        self._numbers = itertools.count(1)
        self._open: dict[_Run, anyio.Event] = {}
        self._changed = anyio.Event()

    async def run(self, stop: anyio.Event) -> None:
        """Open and close doors as agents come and go, until ``stop``; then close them all."""
        unsubscribe = self._table.subscribe(self._wake)
        try:
            async with anyio.create_task_group() as tasks:
                async with anyio.create_task_group() as following:
                    following.start_soon(self._follow, tasks)
                    await stop.wait()
                    following.cancel_scope.cancel()
                for door in self._open.values():
                    door.set()
        finally:
            unsubscribe()
            for _, folder in self._open:
                _remove(folder)

    async def _follow(self, tasks: anyio.abc.TaskGroup) -> None:
        while True:
            self._changed = anyio.Event()
            await self._settle(tasks)
            await self._changed.wait()

    def _wake(self) -> None:
        self._changed.set()

    async def _settle(self, tasks: anyio.abc.TaskGroup) -> None:
        wanted = _wanted(self._table.routes)
        for run in [run for run in self._open if run not in wanted]:
            self._open.pop(run).set()
            if run[1] not in {folder for _, folder in wanted}:
                _remove(run[1])
        for run in wanted:
            if run not in self._open:
                stop = anyio.Event()
                try:
                    await self._make(tasks, run[1], stop)
                except (OSError, PloinkyError) as error:
                    _log.warning("no door for an agent at %s: %s", run[1], error)
                self._open[run] = stop

    async def _make(self, tasks: anyio.abc.TaskGroup, folder: Path, stop: anyio.Event) -> None:
        made = self._workshop / f"door-{next(self._numbers)}"
        await tasks.start(functools.partial(serve, self._app, Listen(uds=str(made)), stop=stop))
        try:
            made.chmod(_MODE)
            made.rename(folder / ROUTER_SOCKET_NAME)
        except OSError:
            stop.set()
            raise


class _Door:
    """The application, whose streams do not end with one door."""

    def __init__(self, app: GatewayApp) -> None:
        self._app = app
        self.express = app.express

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    def close_streams(self) -> None:
        """See ``ClosableApp``: the gateway's own end does this."""


def _wanted(routes: Mapping[str, AgentRoute]) -> dict[_Run, None]:
    return {
        (route.instance, route.socket_path.parent): None
        for route in routes.values()
        if route.cut_off and route.socket_path.parent.is_dir()
    }


def _remove(folder: Path) -> None:
    try:
        (folder / ROUTER_SOCKET_NAME).unlink(missing_ok=True)
    except OSError as error:
        _log.info("a door stays at %s: %s", folder, error)
