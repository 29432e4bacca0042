"""The gateway as a process: reconciles, feeds the router's table, serves, and ends in order.

One per workspace (a lock is held for life). It writes ``gateway.json`` when it listens and removes it when
it ends; agents live on and are adopted by the next one.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import logging
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.abc

from ploinky.assistants.household import Household
from ploinky.assistants.toolkit import AgentTools
from ploinky.base.errors import DeadlineError, PloinkyError, UsageError
from ploinky.base.files import FileLock
from ploinky.base.jsontypes import JsonValue
from ploinky.base.process_id import ProcessId
from ploinky.gateway.agent_doors import AgentDoors
from ploinky.gateway.app import GatewayApp, GatewayParts, Listen, create_app, serve
from ploinky.gateway.assistant_agents import RouterTools
from ploinky.gateway.assistant_feed import feed_hub
from ploinky.gateway.assistant_stream import assistant_mount
from ploinky.gateway.assistant_upstream import KEY as ASSISTANTS
from ploinky.gateway.assistant_upstream import AssistantsUpstream
from ploinky.gateway.audit import AuditLog
from ploinky.gateway.broadcast import Broadcast
from ploinky.gateway.control import Control
from ploinky.gateway.entrance import EntranceParts, build_entrance
from ploinky.gateway.hub import EventHub
from ploinky.gateway.mounts import file_mounts
from ploinky.gateway.openai_api.face import OpenAiFace
from ploinky.gateway.pages import Pages
from ploinky.gateway.router_side import RouterSide
from ploinky.gateway.rpc.dispatch import Dispatcher
from ploinky.gateway.rpc.services import Services
from ploinky.gateway.rpc.table import SUBJECTS, method_table
from ploinky.gateway.runner import Runner
from ploinky.gateway.state_news import StateNews
from ploinky.gateway.terminals import Terminals
from ploinky.gateway.usage import UsageMeter
from ploinky.gateway.web_face import WebFace
from ploinky.lifecycle.config_servers import settle_servers
from ploinky.lifecycle.context import LifecycleContext
from ploinky.lifecycle.options import StartOptions
from ploinky.lifecycle.reconcile import Reconciler
from ploinky.lifecycle.waves import start_agents
from ploinky.operations.endpoint import Endpoint, endpoint_file, find_endpoint, write_endpoint
from ploinky.operations.freshness import basis_of
from ploinky.operations.gateway_link import require_client
from ploinky.operations.platform import Platform
from ploinky.operations.routing import Listening, write_routing
from ploinky.operations.status import agent_facts
from ploinky.operations.status_facts import status_value
from ploinky.providers.credentials import Keyring
from ploinky.router.callers import OWNER, TokenVerifier
from ploinky.router.router import Router
from ploinky.router.routes import AgentRoute
from ploinky.router.tracing import Tracer
from ploinky.workspace.layout import Layout

_log = logging.getLogger(__name__)
_COLLECT_EVERY = 2_000  # new objects; Python's own 700 come with every few calls under way
RESTART_CODE = 75  # any that the supervisor does not take for final
_ENDING = (signal.SIGTERM, signal.SIGINT)
_LOOPBACK = "127.0.0.1"
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 (only compared with)
SETTLE_EVERY_S = 1.0
_LOCK_WAIT_S = 2.0  # a former gateway may be on its way out


class GatewayRestart(PloinkyError):  # noqa: N818 (an order, raised so that the exit code tells)
    """The gateway ended to be started anew by its supervisor."""

    exit_code = RESTART_CODE

    def __init__(self) -> None:
        super().__init__("GATEWAY_RESTART", "The gateway ends to be started anew.")


@dataclass(frozen=True)
class GatewayWiring:
    """What the composition root gives beside the lifecycle: who knows tokens, a maker of platforms, the text
    that logins of browsers stand on (when it changes, they end), where keys are fetched, and a maker of the
    household of assistants over the agents' tools; who makes spans, if anybody does."""

    verifier: TokenVerifier
    platform: Callable[[], Platform]
    proof: Callable[[], str]
    keys: Keyring
    household: Callable[[AgentTools], Household]
    tracer: Tracer | None = None


async def run_gateway(ctx: LifecycleContext, wiring: GatewayWiring, listen: Listen) -> None:
    """Serve until TERM, INT or a call of ``/control/shutdown``.

    Raises:
        GatewayRestart: it ended in order to be started anew.
        UsageError: ``GATEWAY_RUNNING`` if another process serves this workspace.
        PloinkyError: ``PORT_TAKEN``.
    """
    with _only_one(ctx.layout):
        gateway = _Gateway(ctx, wiring, listen)
        await gateway.run()
    if gateway.restarting:
        raise GatewayRestart


class _Gateway:
    def __init__(self, ctx: LifecycleContext, wiring: GatewayWiring, listen: Listen) -> None:
        self._ctx = ctx
        self._wiring = wiring
        self._listen = listen
        self._reconciler = Reconciler(ctx)
        self._broadcast = Broadcast()
        self._hub = EventHub()
        self._audit = AuditLog(ctx.layout)
        self._tools = RouterTools()
        self._household = wiring.household(self._tools)
        talkers = AgentRoute(ASSISTANTS, Path("/nonexistent"), inner=AssistantsUpstream(self._household))
        self._side = RouterSide(ctx, self._hub, self._audit, [talkers], wiring.tracer)
        self._news = StateNews(self._broadcast, self._hub)
        self._entrance = build_entrance(self._entrance_parts())
        self.restarting = False
        self._stop = anyio.Event()
        self._endpoint: Endpoint | None = None
        self._basis = basis_of(ctx.layout, ctx.profile.name)

    async def run(self) -> None:
        async with (
            self._side.open_router() as router,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(self._side.run, router)
            for issuer in self._entrance.issuers:
                tasks.start_soon(issuer.run)
            await tasks.start(self._watch_signals)
            await tasks.start(self._reconciler.run)
            await self._side.feed.show(self._reconciler.statuses())
            tasks.start_soon(self._follow_changes)
            tasks.start_soon(self._follow_servers)
            try:
                await self._serve(router)
            finally:
                self._withdraw()
                self._side.close()
            tasks.cancel_scope.cancel()

    async def _serve(self, router: Router) -> None:
        self._tools.bind(router.inside())
        async with anyio.create_task_group() as operations:
            operations.start_soon(UsageMeter(self._ctx, self._hub).run)
            await operations.start(self._household.run)
            operations.start_soon(feed_hub, self._household, self._hub)
            await self._serve_app(router, Runner(operations, self._hub))
            operations.cancel_scope.cancel()

    async def _serve_app(self, router: Router, runner: Runner) -> None:
        app = create_app(self._parts(router, runner))
        async with anyio.create_task_group() as serving:
            port: int = await serving.start(functools.partial(serve, app, self._listen, stop=self._stop))
            self._announce(port)
            await self._serve_agents(serving, app, port)
            doors = AgentDoors(self._side.feed.table, app, self._ctx.runtime_dir)
            serving.start_soon(doors.run, self._stop)

    def _parts(self, router: Router, runner: Runner) -> GatewayParts:
        entrance = self._entrance
        audit = self._audit
        face = WebFace(
            dispatcher=Dispatcher(method_table(SUBJECTS), self._services(router, runner), audit),
            hub=self._hub,
            login=entrance.login,
            sessions=entrance.sessions,
            terminals=Terminals(self._wiring.platform, audit),
        )
        control = Control(
            router=router,
            status=self._status,
            reconcile=self._reconcile,
            shutdown=self._shutdown,
            events=self._broadcast.listen,
            is_ready=lambda: self._news.has_begun,
        )
        openai = OpenAiFace(self._household, audit)
        return GatewayParts(
            router=router,
            guard=entrance.guard,
            rows={**control.rows(), **face.rows(), **openai.rows(), **entrance.rows},
            sockets={**face.sockets(), **self._side.sockets()},
            pages=Pages(),
            on_close=self._hub.close,
            mounts=(
                *file_mounts(self._ctx),
                *self._side.mounts(),
                assistant_mount(self._household),
                openai.mount(),
                *entrance.mounts,
            ),
        )

    def _entrance_parts(self) -> EntranceParts:
        ctx = self._ctx
        return EntranceParts(
            layout=ctx.layout,
            settings=ctx.settings.gateway,
            host=self._listen.host,
            allowed_hosts=_allowed_hosts(ctx, self._listen),
            verifier=self._wiring.verifier,
            audit=self._audit,
            own_url=lambda: self._endpoint.url if self._endpoint is not None else "",
            proof=self._wiring.proof,
            keys=self._wiring.keys,
        )

    def _services(self, router: Router, runner: Runner) -> Services:
        layout = self._ctx.layout
        return Services(
            platform=self._wiring.platform,
            status=self._status,
            tools=lambda caller: require_client(layout, None if caller == OWNER else str(caller)),
            hub=self._hub,
            runner=runner,
            audit=self._audit,
            restart=self._restart,
            settings_at_start=self._ctx.settings,
            household=self._household,
            approvals=self._side.approvals,
            tasks=router.desk,
        )

    async def _serve_agents(self, serving: anyio.abc.TaskGroup, app: GatewayApp, port: int) -> None:
        """Listen also where agents of a container engine reach this host."""
        host = self._ctx.router.host()
        if host in (self._listen.host, _LOOPBACK) or self._listen.host in _EVERYWHERE:
            return
        listen = Listen(host, port, before_interface=True)
        try:
            await serving.start(functools.partial(serve, app, listen, stop=self._stop))
            _log.info("listening on %s for agents", listen)
        except PloinkyError as error:
            _log.warning("agents cannot reach the router: %s", error.message)

    def _announce(self, port: int) -> None:
        own = ProcessId.find(os.getpid())
        assert own is not None
        self._endpoint = Endpoint(own, self._listen.host, port, self._basis)
        write_endpoint(self._ctx.layout, self._endpoint)
        self._write_routing()
        _collect_seldom()
        _log.info("listening on %s", self._endpoint.url)

    def _withdraw(self) -> None:
        if self._endpoint is not None and find_endpoint(self._ctx.layout) == self._endpoint:
            endpoint_file(self._ctx.layout).unlink(missing_ok=True)
        self._broadcast.close()

    async def _watch_signals(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        with anyio.open_signal_receiver(*_ENDING) as received:
            task_status.started()
            async for number in received:
                _log.info("ending on %s", number.name)
                self._stop.set()
                self._broadcast.close()

    async def _follow_changes(self) -> None:
        async for statuses in self._reconciler.changes():
            await self._side.feed.show(statuses)
            self._news.show(statuses)
            self._write_routing()

    async def _follow_servers(self) -> None:
        """Bring servers that come into the settings up, and take those down that leave them."""
        seen = self._side.settings.now().mcp_servers
        while True:
            await anyio.sleep(SETTLE_EVERY_S)
            wanted = self._side.settings.now().mcp_servers
            if wanted == seen:
                continue
            seen = wanted
            try:
                settled = await settle_servers(self._ctx, wanted)
                async for _ in start_agents(self._ctx, settled.fresh, StartOptions()):
                    pass
            except PloinkyError as error:
                _log.warning("mcpServers: %s", error.message)
            self._reconciler.poke()
            await self._side.feed.show(self._reconciler.statuses())

    def _write_routing(self) -> None:
        if self._endpoint is None:
            return
        listening = Listening(self._endpoint.host, self._endpoint.port)
        write_routing(self._ctx.layout, listening, self._side.feed.ready())

    async def _status(self) -> JsonValue:
        entries = self._ctx.registry.read()
        known = self._reconciler.statuses()
        return status_value(
            self._ctx.layout,
            profile=self._ctx.profile.name,
            endpoint=self._endpoint,
            agents=[agent_facts(known[key], entries[key]) for key in entries if key in known],
        )

    async def _reconcile(self) -> JsonValue:
        self._side.settings.look()
        self._reconciler.poke()
        return {"agents": list(self._reconciler.statuses())}

    async def _restart(self) -> None:
        self.restarting = True
        await self._shutdown()

    async def _shutdown(self) -> None:
        self._stop.set()
        self._broadcast.close()


def _collect_seldom() -> None:
    """What is here now stays; calls make garbage that needs no collector, so it is asked less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_EVERY)


def _allowed_hosts(ctx: LifecycleContext, listen: Listen) -> frozenset[str]:
    own = {_LOOPBACK, "localhost", "::1", listen.host, ctx.router.host()}
    return frozenset({*own, *ctx.settings.gateway.allow})


@contextlib.contextmanager
def _only_one(layout: Layout) -> Iterator[None]:
    lock = FileLock(layout.lock("gateway"), timeout_s=_LOCK_WAIT_S)
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(lock)
        except DeadlineError as error:
            raise UsageError(
                "GATEWAY_RUNNING", "The gateway of this workspace runs already.", hint="See: ploinky status"
            ) from error
        yield
