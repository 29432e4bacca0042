"""What stands around the router in the gateway: policy, approvals, metrics, the audit of calls, services.

All of it follows the settings of the moment; who may come in at all is the entrance's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from ploinky.gateway.audit import AuditLog
from ploinky.gateway.hub import EventHub
from ploinky.gateway.metrics import Metrics
from ploinky.gateway.mounts import metrics_mount
from ploinky.gateway.route_feed import RouteFeed
from ploinky.gateway.rows import Handler, Mount, Request
from ploinky.gateway.service_doors import PREFIX as SERVICES
from ploinky.gateway.service_doors import ServiceDoors
from ploinky.gateway.service_proxy import ServiceProxy
from ploinky.gateway.settings_feed import SettingsFeed
from ploinky.gateway.telling import Telling
from ploinky.lifecycle.context import LifecycleContext
from ploinky.router.approvals import CallApprovals
from ploinky.router.router import Naming, Router, RouterSettings, open_router
from ploinky.router.routes import AgentRoute
from ploinky.router.rules import RulePolicy
from ploinky.router.tracing import Tracer


class RouterSide:
    """One gateway's; ``settings`` gives those of this moment, ``feed`` keeps the table of the
    router; ``inner`` are routes to what is in this process."""

    def __init__(
        self,
        ctx: LifecycleContext,
        hub: EventHub,
        audit: AuditLog,
        inner: Sequence[AgentRoute],
        tracer: Tracer | None,
    ) -> None:
        self._ctx = ctx
        self._tracer = tracer
        self.settings = SettingsFeed(ctx.layout, ctx.settings)
        self.feed = RouteFeed(ctx, lambda: self.settings.now().mcp_servers, inner)
        self._metrics = Metrics(self.feed.ready)
        self._telling = Telling(self._metrics, audit, hub)
        self.approvals = CallApprovals(tell=self._telling.approval)
        self._policy = RulePolicy(self.feed.table, lambda: self.settings.now().router.policy, self.approvals)
        self._doors = ServiceDoors(self.feed.table, self._policy, self._telling.served)

    def open_router(self) -> AbstractAsyncContextManager[Router]:
        """A running router under this policy."""
        router, layout = self._ctx.settings.router, self._ctx.layout
        settings = RouterSettings(
            naming=Naming(router.naming),
            agent_deadline_s=router.list_timeout_ms / 1000,
            tool_search=router.tool_search,
            call_timeout_s=router.call_timeout_ms / 1000,
            timeouts=tuple((glob, ms / 1000) for glob, ms in router.agent_timeouts_ms.items()),
            tell=self._telling.served,
            tasks_file=layout.tasks_file,
            sessions_file=layout.sessions_file,
            tracer=self._tracer,
        )
        return open_router(self.feed.table, settings, self._policy)

    async def run(self, router: Router) -> None:
        """Count and write down what ``router`` does, until cancelled."""
        self._metrics.follow_sessions(router.sessions)
        await self._telling.run()

    def mounts(self) -> tuple[Mount, ...]:
        most = self._ctx.settings.gateway.max_upload_bytes
        services = Mount(SERVICES, ServiceProxy(self._doors, most_bytes=most).handle)
        return (metrics_mount(self._metrics), services)

    def sockets(self) -> Mapping[str, Handler]:
        async def handle(request: Request) -> None:
            from ploinky.gateway.service_sockets import ServiceSockets  # with the library, when one comes

            await ServiceSockets(self._doors).handle(request)

        return {f"{SERVICES}/": handle}

    def close(self) -> None:
        """End the connections to services."""
        self._doors.close()
