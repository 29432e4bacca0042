"""What there is and what a request names: which agent it is for, under which names, lists in a caller's view.

Asks nothing of an agent; who may see what is the policy's word of that moment. Names go inwards with a
request; at one agent's own endpoint they are the agent's own. To route one more method to the agent that it
names: a row in ``_NAMED``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import orjson

from ploinky import __version__
from ploinky.base.jsontypes import JsonObject, JsonValue, find_object
from ploinky.mcp.messages import (
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    NOT_FOUND,
    Request,
    RpcError,
    clipped,
)
from ploinky.mcp.upstream import Offer, Upstream
from ploinky.router import tool_search
from ploinky.router.callers import Caller
from ploinky.router.catalogue import KINDS, AgentOffer, Catalogue, View
from ploinky.router.naming import Naming, Target
from ploinky.router.outward import own_task
from ploinky.router.param_headers import ParamHeader
from ploinky.router.policy import Policy
from ploinky.router.routes import RouteTable
from ploinky.router.tool_search import ToolIndex


@dataclass(frozen=True)
class Origin:
    """Where a request comes from; ``agent`` is the endpoint's, None for all agents together."""

    caller: Caller
    agent: str | None


@dataclass(frozen=True)
class DirectorySettings:
    """``tool_search``: where all agents are one server, three tools that find the others stand for all."""

    naming: Naming = Naming.AUTO
    tool_search: bool = False


@dataclass(frozen=True)
class _Row:
    """A method whose params name a thing of one agent."""

    find: Callable[[Directory, View, JsonObject], Target]
    rename: Callable[[JsonObject, str], JsonObject]


def server_info(agent: str | None) -> JsonObject:
    return {"name": agent or "ploinky", "version": __version__}


class Directory:
    """Of all agents; ``upstreams`` is kept true by the router, who says when to ``rebuild``."""

    def __init__(
        self,
        table: RouteTable,
        upstreams: Mapping[str, Upstream],
        policy: Policy,
        settings: DirectorySettings,
    ) -> None:
        self.upstreams = upstreams
        self.policy = policy
        self._table = table
        self._settings = settings
        self._catalogue = Catalogue({}, settings.naming)
        self._indexes: dict[View, ToolIndex] = {}

    def rebuild(self) -> None:
        """Make the catalogue anew from the agents as they are."""
        self._indexes.clear()
        self._catalogue = Catalogue(
            {
                key: AgentOffer(upstream.offer, self._table.absence(key))
                for key, upstream in self.upstreams.items()
            },
            self._settings.naming,
        )

    def view(self, origin: Origin) -> View:
        caller = origin.caller
        return View(origin.agent, self.policy.reach(caller), self.policy.patterns(caller))

    def rendered(self, method: str, view: View, *, stateless: bool) -> bytes:
        """The members of a list's result.

        Raises:
            RpcError: there is no such list at this endpoint.
        """
        if not self._catalogue.lists(view, method):
            raise RpcError(METHOD_NOT_FOUND, f"Method not found: {clipped(method)}")
        if method == "tools/list" and self._searches(view.agent):
            return b'"tools":' + orjson.dumps(tool_search.TOOLS)
        return self._catalogue.rendered(method, view, stateless=stateless)

    def snapshot(self, view: View) -> tuple[bytes, ...]:
        """All lists in view: when one differs from before, that list has changed."""
        return tuple(self._catalogue.rendered(method, view, stateless=True) for method in KINDS)

    def capabilities(self, view: View) -> JsonObject:
        return self._catalogue.capabilities(view)

    def listed_tools(self, view: View) -> Iterator[tuple[str, Target, JsonObject]]:
        """The tools in view that can be called now: public name, target, the agent's own description."""
        return self._catalogue.tools(view)

    def overview(self) -> list[JsonValue]:
        """The tools of all agents that can run them: public name, agent, the tool's own name, description."""
        everything = View(None, None)
        return [
            {"name": name, "agent": target.agent, "tool": target.name, "description": tool.get("description")}
            for name, target, tool in self._catalogue.tools(everything)
        ]

    def mirrored(self, origin: Origin, request: Request) -> tuple[ParamHeader, ...]:
        """The arguments of the called tool that headers mirror."""
        name = request.params.get("name")
        target = self._catalogue.find(self.view(origin), name) if isinstance(name, str) else None
        return self._catalogue.mirrored(target) if target is not None else ()

    def asks_agent(self, origin: Origin, method: str) -> bool:
        """Whether a list is the agent's to give: at its own endpoint, if it shows each client another one."""
        upstream = self.upstreams.get(origin.agent or "")
        return upstream is not None and method in KINDS and upstream.offer.varies

    def introduction(self, origin: Origin) -> JsonObject:
        """``capabilities``, ``serverInfo`` and, if there are any, ``instructions`` of an endpoint."""
        upstream = self.upstreams.get(origin.agent or "")
        offer = Offer() if upstream is None else upstream.offer
        told: JsonObject = {
            "capabilities": self.capabilities(self.view(origin)),
            "serverInfo": offer.server_info or server_info(origin.agent),
        }
        if offer.instructions is not None:
            told["instructions"] = offer.instructions
        return told

    def _searches(self, agent: str | None) -> bool:
        return self._settings.tool_search and agent is None

    def _index(self, view: View) -> ToolIndex:
        index = self._indexes.get(view)
        if index is None:
            index = self._indexes[view] = ToolIndex(
                (name, tool) for name, _, tool in self._catalogue.tools(view)
            )
        return index

    def searched(self, origin: Origin, request: Request) -> Request | JsonObject:
        """The call that a call of the search's own tools stands for, or its answer; else as it came.

        Raises:
            RpcError: it is none of these tools, or wrong.
        """
        if request.method != "tools/call" or not self._searches(origin.agent):
            return request
        return tool_search.answer(self._index(self.view(origin)), request)

    def plain_target(self, origin: Origin, request: Request) -> Target | None:
        """The tool that a call is for, if headers, searches and the policy have nothing to do with it.

        Raises:
            RpcError: there is no such tool.
        """
        if self._searches(origin.agent):
            return None
        target, _ = self.locate(origin, request)
        if origin.agent is not None and not request.params.get("name"):
            return None
        if self._catalogue.mirrored(target) or not self.policy.admits_at_once(origin.caller, target):
            return None
        return target

    def public_uri(self, agent: str, uri: str) -> str:
        return self._catalogue.public_uri(Target(agent, uri))

    def locate(self, origin: Origin, request: Request) -> tuple[Target, JsonObject]:
        """The thing that a request is about and its params in the agent's own names.

        Raises:
            RpcError: nothing of that name, or no such method.
        """
        if origin.agent is not None:
            name = request.params.get("name") or request.params.get("uri")
            target = Target(origin.agent, name if isinstance(name, str) else "")
            if request.method == "tools/call" and not self.view(origin).shows_tool(target):
                raise RpcError(INVALID_PARAMS, f"Unknown tool: {clipped(target.name)}")
            return target, request.params
        row = _NAMED.get(request.method)
        if row is None:
            raise RpcError(METHOD_NOT_FOUND, f"Method not found: {clipped(request.method)}")
        target = row.find(self, self.view(origin), request.params)
        return target, row.rename(request.params, target.name)

    def _named(self, view: View, params: JsonObject, method: str, what: str) -> Target:
        name = params.get("name")
        if not isinstance(name, str):
            raise RpcError(INVALID_PARAMS, f"params.name must be the name of a {what}.")
        target = self._catalogue.find(view, name, method)
        if target is None:
            raise RpcError(INVALID_PARAMS, f"Unknown {what}: {clipped(name)}")
        return target

    def tool(self, view: View, params: JsonObject) -> Target:
        """Raises:
        RpcError: there is no such tool.
        """
        target = self._named(view, params, "tools/list", "tool")
        if not view.shows_tool(target):
            raise RpcError(INVALID_PARAMS, f"Unknown tool: {clipped(target.name)}")
        return target

    def prompt(self, view: View, params: JsonObject) -> Target:
        """Raises:
        RpcError: there is no such prompt.
        """
        return self._named(view, params, "prompts/list", "prompt")

    def resource(self, view: View, params: JsonObject) -> Target:
        """Raises:
        RpcError: no agent, or more than one, has it.
        """
        uri = params.get("uri")
        if not isinstance(uri, str):
            raise RpcError(INVALID_PARAMS, "params.uri must be the URI of a resource.")
        target = self._catalogue.find_uri(uri) or self._only(view, uri)
        if target is None:
            raise RpcError(NOT_FOUND, f"Resource not found: {clipped(uri)}", {"uri": clipped(uri)})
        return target

    def reference(self, view: View, params: JsonObject) -> Target:
        """The prompt or resource template that a completion is for.

        Raises:
            RpcError: there is none.
        """
        ref = find_object(params, "ref") or {}
        if ref.get("type") == "ref/prompt":
            return self.prompt(view, ref)
        uri = ref.get("uri")
        target = self._catalogue.find(view, uri, "resources/templates/list") if isinstance(uri, str) else None
        return target if target is not None else self.resource(view, ref)

    def task(self, view: View, params: JsonObject) -> Target:
        """The agent that a task runs at: its public id says so.

        Raises:
            RpcError: it is no such id.
        """
        found = own_task(params.get("taskId"))
        if found is None or not view.shows(found.agent) or found.agent not in self.upstreams:
            raise RpcError(INVALID_PARAMS, "params.taskId must be the id of a task.")
        return found

    def _only(self, view: View, uri: str) -> Target | None:
        """The one agent with resources, which may know URIs that it does not list."""
        having = [
            key
            for key, each in self._catalogue.agents.items()
            if view.shows(key) and "resources" in each.offer.capabilities
        ]
        return Target(having[0], uri) if len(having) == 1 else None


def _with_name(params: JsonObject, name: str) -> JsonObject:
    return params if params.get("name") == name else {**params, "name": name}


def _with_uri(params: JsonObject, name: str) -> JsonObject:
    return params if params.get("uri") == name else {**params, "uri": name}


def _with_task(params: JsonObject, name: str) -> JsonObject:
    return {**params, "taskId": name}


def _with_reference(params: JsonObject, name: str) -> JsonObject:
    ref = find_object(params, "ref") or {}
    key = "name" if "name" in ref else "uri"
    return {**params, "ref": {**ref, key: name}}


_RESOURCE = _Row(Directory.resource, _with_uri)
_TASK = _Row(Directory.task, _with_task)
_NAMED: Mapping[str, _Row] = MappingProxyType(
    {
        "tools/call": _Row(Directory.tool, _with_name),
        "prompts/get": _Row(Directory.prompt, _with_name),
        "completion/complete": _Row(Directory.reference, _with_reference),
        "resources/read": _RESOURCE,
        "resources/subscribe": _RESOURCE,
        "resources/unsubscribe": _RESOURCE,
        "tasks/get": _TASK,
        "tasks/result": _TASK,
        "tasks/update": _TASK,
        "tasks/cancel": _TASK,
    }
)
