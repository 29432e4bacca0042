"""What the router does with a request once its era is settled: list tools, call one.

Who may call is decided here, at the moment of the call, from the routes of that moment.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from ploinky import __version__
from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.router.agents import AgentLink
from ploinky.router.callers import Caller, reachable
from ploinky.router.catalogue import AgentTools, Catalogue, View
from ploinky.router.naming import Naming, Target
from ploinky.router.param_headers import ParamHeader
from ploinky.router.protocol import (
    AGENT_LOST,
    AGENT_NOT_READY,
    FORBIDDEN,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    META_SERVER,
    Request,
    RequestId,
    RpcError,
    notification,
)
from ploinky.router.routes import AgentRoute, RouteTable
from ploinky.router.streams import CallReply
from ploinky.toolhost.host import CallMeta
from ploinky.toolhost.output import OnProgress
from ploinky.toolhost.progress import Progress
from ploinky.toolhost.results import ToolResult

logger = logging.getLogger(__name__)
CAPABILITIES: JsonObject = {"tools": {"listChanged": True}}
_LOST = {
    "CHANNEL_LOST": "stopped while the tool ran; the call was not repeated",
    "CHANNEL_UNREACHABLE": "cannot be reached",
    "CHANNEL_PROTOCOL": "answered with something that is no answer; the call was not repeated",
    "CHANNEL_BUSY": "runs as many programs as it can; try again",
    "SANDBOX_STOPPING": "is stopping",
    "DEADLINE": "did not answer in time",
}


@dataclass(frozen=True)
class Origin:
    """Where a call comes from; ``agent`` is the endpoint's, None for all agents together."""

    caller: Caller
    agent: str | None
    session_id: str | None = None


def server_info(agent: str | None) -> JsonObject:
    return {"name": agent or "ploinky", "version": __version__}


class ToolService:
    """Tools of all agents; ``links`` is kept true by the router."""

    def __init__(self, table: RouteTable, links: Mapping[str, AgentLink], naming: Naming) -> None:
        self._table = table
        self._links = links
        self._naming = naming
        self._catalogue = Catalogue({}, naming)

    def rebuild(self) -> None:
        """Make the catalogue anew from the links as they are."""
        self._catalogue = Catalogue(
            {key: AgentTools(link.host.tools, _absence(link.route)) for key, link in self._links.items()},
            self._naming,
        )

    def view(self, origin: Origin) -> View:
        return View(origin.agent, reachable(origin.caller, self._table.routes))

    def tools(self, view: View, *, stateless: bool) -> bytes:
        return self._catalogue.tools(view, stateless=stateless)

    def overview(self) -> list[JsonValue]:
        return self._catalogue.overview()

    def mirrored(self, origin: Origin, request: Request) -> tuple[ParamHeader, ...]:
        """The arguments of the called tool that headers mirror."""
        name = request.params.get("name")
        target = self._catalogue.find(self.view(origin), name) if isinstance(name, str) else None
        return self._catalogue.mirrored(target) if target is not None else ()

    async def call(self, origin: Origin, request: Request, reply: CallReply) -> ToolResult:
        """Run the tool that the request names.

        Raises:
            RpcError: bad params, an unknown tool, no permission, an agent that is not ready or went away.
        """
        name, arguments = _call_params(request.params)
        target = self._require(self.view(origin), name)
        assert request.id is not None
        meta = CallMeta(request.id, origin.session_id, str(origin.caller))
        on_progress = _progress_to(reply, request.progress_token)
        try:
            return await self._links[target.agent].host.call(target.tool, arguments, meta, on_progress)
        except PloinkyError as error:
            raise _agent_error(target, error) from error

    def _require(self, view: View, name: str) -> Target:
        target = self._catalogue.find(view, name)
        if target is None:
            raise RpcError(INVALID_PARAMS, f"Unknown tool: {name}")
        if view.reach is not None and target.agent not in view.reach:
            raise RpcError(FORBIDDEN, f"This agent's manifest does not enable {target.agent!r}.")
        absence = _absence(self._links[target.agent].route)
        if absence:
            raise RpcError(
                AGENT_NOT_READY,
                f"Agent {target.agent!r} cannot run tools now: {absence}",
                {"code": "AGENT_NOT_READY", "agent": target.agent},
            )
        return target


def _call_params(params: JsonObject) -> tuple[str, JsonObject]:
    name, arguments = params.get("name"), params.get("arguments")
    if not isinstance(name, str):
        raise RpcError(INVALID_PARAMS, "params.name must be the name of a tool.")
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, dict):
        raise RpcError(INVALID_PARAMS, "params.arguments must be an object.")
    return name, arguments


def _absence(route: AgentRoute) -> str:
    return "" if route.ready else route.reason or "it is not ready"


def _progress_to(reply: CallReply, token: RequestId | None) -> OnProgress | None:
    if token is None:
        return None

    async def on_progress(progress: Progress) -> None:
        params: JsonObject = {"progressToken": token, "progress": progress.progress}
        if progress.total is not None:
            params["total"] = progress.total
        if progress.message is not None:
            params["message"] = progress.message
        reply.notify(notification("notifications/progress", params))

    return on_progress


def _agent_error(target: Target, error: PloinkyError) -> RpcError:
    what = _LOST.get(error.code)
    if what is None:
        logger.error("agent %s, tool %s: %s", target.agent, target.tool, error.message)
        return RpcError(INTERNAL_ERROR, f"Tool {target.tool!r} could not be run: {error.message}")
    return RpcError(
        AGENT_LOST,
        f"Agent {target.agent!r} {what}.",
        {"code": error.code, "agent": target.agent, "tool": target.tool},
    )


def call_result(result: ToolResult, *, stateless: bool, agent: str | None) -> bytes:
    """A ``CallToolResult``; the session era takes only objects as structured content."""
    wire: JsonObject = {"content": [{"type": "text", "text": result.text}], "isError": result.is_error}
    if result.has_structured and (stateless or isinstance(result.structured, dict)):
        wire["structuredContent"] = result.structured
    if stateless:
        wire["resultType"] = "complete"
        wire["_meta"] = {META_SERVER: server_info(agent)}
    return orjson.dumps(wire)
