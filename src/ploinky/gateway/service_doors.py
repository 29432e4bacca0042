"""Ways to the HTTP services inside agents: which port of which agent a path means, and a stream to it.

``/services/<agent>/...`` is the agent's main port, ``/services/<agent>:<port>/...`` another one that its
manifest names; no other port is reached, for in a shared network it might be somebody else's. The stream goes
through the agent's launcher, so the service needs no port on the host.
"""

from __future__ import annotations

from dataclasses import dataclass

from anyio.abc import ByteStream

from ploinky.base.errors import PloinkyError
from ploinky.mcp.messages import RATE_LIMITED, RpcError
from ploinky.router.callers import Caller
from ploinky.router.http import HttpError
from ploinky.router.launcher_link import LauncherLink
from ploinky.router.naming import Target
from ploinky.router.policy import Policy
from ploinky.router.routes import AgentRoute, RouteTable
from ploinky.router.served import Tell, Watched

PREFIX = "/services"
METHOD = "services"
"""How requests to services are named to the policy, the metrics and the audit log."""


@dataclass(frozen=True)
class ServicePath:
    """Where a request goes: the service sees ``rest`` of the path, not ``prefix``."""

    agent: str
    port: int | None
    prefix: str
    rest: str


def read_service_path(scope_path: str) -> ServicePath:
    """The parts of a path below ``/services``.

    Raises:
        HttpError: 404 if it names no agent.
    """
    head, slash, rest = scope_path.removeprefix(f"{PREFIX}/").partition("/")
    agent, colon, port = head.partition(":")
    if (
        not agent
        or scope_path == PREFIX
        or (colon and not (port.isascii() and port.isdigit() and len(port) < 6))
    ):
        raise HttpError(404, "Give an agent: /services/<agent>/")
    return ServicePath(agent, int(port) if colon else None, f"{PREFIX}/{head}", f"{slash or '/'}{rest}")


class ServiceDoors:
    """``policy`` says who may come; ``tell`` hears of every request that ended."""

    def __init__(self, table: RouteTable, policy: Policy, tell: Tell) -> None:
        self._table = table
        self._policy = policy
        self._tell = tell
        self._links: dict[str, LauncherLink] = {}

    def watched(self, caller: Caller, path: ServicePath) -> Watched:
        """A context around one request."""
        return Watched(self._tell, str(caller), METHOD, Target(path.agent, ""))

    async def open(self, caller: Caller, path: ServicePath) -> ByteStream:
        """A connection to the service.

        Raises:
            HttpError: 403, 404, 429, 502, 503.
        """
        reach = self._policy.reach(caller)
        route = self._table.routes.get(path.agent)
        if route is None or (reach is not None and path.agent not in reach):
            raise HttpError(404, "There is no such agent for this caller.")
        if not route.ready:
            raise HttpError(503, f"{path.agent!r} is not ready: {route.reason}", [(b"retry-after", b"2")])
        port = path.port if path.port is not None else next(iter(route.ports), None)
        if port is None or port not in route.ports:
            raise HttpError(404, f"The manifest of {path.agent!r} names no such port.")
        try:
            await self._policy.admit(caller, METHOD, Target(path.agent, ""), {})
        except RpcError as error:
            raise HttpError(429 if error.code == RATE_LIMITED else 403, error.message) from error
        return await self._connect(route, port)

    async def _connect(self, route: AgentRoute, port: int) -> ByteStream:
        link = self._links.get(route.key)
        if link is None or link.socket_path != route.socket_path:
            if link is not None:
                link.close()
            link = self._links[route.key] = LauncherLink(route.socket_path)
        try:
            channel = await link.channel()
            return await channel.connect_port(port)
        except PloinkyError as error:
            raise HttpError(502, f"Nothing answers at port {port} of {route.key!r}.") from error

    def close(self) -> None:
        """End every connection."""
        for link in self._links.values():
            link.close()
