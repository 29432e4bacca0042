"""What the router does with a request once its era is settled: which agent it is for, under which names.

Who may is asked of the policy at the moment of each request. Names go inwards with a request and outwards
with its result and notifications; at one agent's own endpoint they are the agent's own. To route one more
method to the agent that it names: a row in ``_NAMED``.
"""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType

import anyio
import orjson

from ploinky import __version__
from ploinky.base.errors import DeadlineError, PloinkyError
from ploinky.base.jsontypes import JsonObject, JsonValue, find_object
from ploinky.mcp.messages import (
    AGENT_LOST,
    AGENT_NOT_READY,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    NOT_FOUND,
    Request,
    RpcError,
    clipped,
)
from ploinky.mcp.traces import trace_in, with_trace
from ploinky.mcp.upstream import Ask, Back, Offer, Upstream
from ploinky.router import tool_search
from ploinky.router.breaker import Breaker
from ploinky.router.callers import Caller
from ploinky.router.catalogue import KINDS, AgentOffer, Catalogue, View
from ploinky.router.naming import Naming, Target
from ploinky.router.param_headers import ParamHeader
from ploinky.router.policy import Policy
from ploinky.router.routes import AgentRoute, RouteTable
from ploinky.router.served import TOOL_FAILED, Served, Tell, Watched
from ploinky.router.talks import SET_LEVEL, Talks
from ploinky.router.tool_search import ToolIndex
from ploinky.router.tracing import Asking, Tracer, begin_call

logger = logging.getLogger(__name__)
_LOST = {
    "CHANNEL_LOST": "stopped while it worked; the request was not repeated",
    "CHANNEL_UNREACHABLE": "cannot be reached",
    "CHANNEL_PROTOCOL": "answered with something that is no answer; the request was not repeated",
    "CHANNEL_BUSY": "runs as many programs as it can; try again",
    "SANDBOX_STOPPING": "is stopping",
    "DEADLINE": "did not answer in time",
    "SERVER_LOST": "ended while it worked; the request was not repeated",
    "SERVER_UNREACHABLE": "has no server that answers",
    "SERVER_LOGIN": "needs a person to sign in first: ploinky mcp login",
}
_SILENT = frozenset({"CHANNEL_UNREACHABLE", "SERVER_UNREACHABLE", "DEADLINE"})
_TASK_MARK = ":"  # no agent has it in its name


@dataclass(frozen=True)
class Origin:
    """Where a request comes from; ``agent`` is the endpoint's, None for all agents together."""

    caller: Caller
    agent: str | None


@dataclass(frozen=True)
class ServiceSettings:
    """``call_timeout_s`` bounds every request to an agent, unless a row (glob, seconds) of ``timeouts`` fits
    it. ``tell`` hears of every request that ended; without a ``tracer`` there are no spans."""

    naming: Naming = Naming.AUTO
    call_timeout_s: float = 600.0
    timeouts: tuple[tuple[str, float], ...] = ()
    tool_search: bool = False
    tell: Tell = lambda served: None
    tracer: Tracer | None = None

    def timeout_s(self, agent: str) -> float:
        fitting = (seconds for glob, seconds in self.timeouts if fnmatchcase(agent, glob))
        return next(fitting, self.call_timeout_s)


@dataclass(frozen=True)
class _Row:
    """A method whose params name a thing of one agent."""

    find: Callable[[Service, View, JsonObject], Target]
    rename: Callable[[JsonObject, str], JsonObject]


def server_info(agent: str | None) -> JsonObject:
    return {"name": agent or "ploinky", "version": __version__}


class Service:
    """Requests to all agents; ``upstreams`` is kept true by the router."""

    def __init__(
        self,
        table: RouteTable,
        upstreams: Mapping[str, Upstream],
        policy: Policy,
        settings: ServiceSettings,
    ) -> None:
        self.upstreams = upstreams
        self.policy = policy
        self._table = table
        self._settings = settings
        self._catalogue = Catalogue({}, settings.naming)
        self._breakers: dict[str, Breaker] = {}
        self._indexes: dict[View, ToolIndex] = {}

    def rebuild(self) -> None:
        """Make the catalogue anew from the agents as they are."""
        self._indexes.clear()
        for gone in self._breakers.keys() - self.upstreams.keys():
            del self._breakers[gone]
        self._catalogue = Catalogue(
            {
                key: AgentOffer(upstream.offer, _absence(self._table.routes.get(key)))
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

    def may_ask(self, origin: Origin, request: Request) -> bool:
        """Whether the agent of this request may ask the client in the middle of its work."""
        try:
            if request.method == "tools/call" and self._searches(origin.agent):
                found = tool_search.answer(self._index(self.view(origin)), request)
                if not isinstance(found, Request):
                    return False
                request = found
            target, _ = self._locate(origin, request)
        except RpcError:
            return False  # it will be refused
        upstream = self.upstreams.get(target.agent)
        return upstream is not None and upstream.offer.keeps_state

    def plain_target(self, origin: Origin, request: Request) -> tuple[Target, Upstream] | None:
        """The tool that a call is for and its agent, if nothing stands in the way of calling it at once."""
        if self._searches(origin.agent):
            return None
        target, _ = self._locate(origin, request)
        if origin.agent is not None and not request.params.get("name"):
            return None
        breaker = self._breakers.get(target.agent)
        ready = not _absence(self._table.routes.get(target.agent))
        if not ready or (breaker is not None and not breaker.is_closed):
            return None
        if self._catalogue.mirrored(target) or not self.policy.admits_at_once(origin.caller, target):
            return None
        return target, self.upstreams[target.agent]

    def lost(self, target: Target) -> RpcError:
        """The error of a call whose agent went away; it counts against the agent."""
        return _agent_error(target, PloinkyError("CHANNEL_LOST", "The agent went away."))

    @property
    def tracer(self) -> Tracer | None:
        return self._settings.tracer

    def tell(self, served: Served) -> None:
        """Tell of a request that ended."""
        self._settings.tell(served)

    async def request(self, origin: Origin, request: Request, talks: Talks, back: Back) -> JsonObject:
        """Have the agent that the request names answer it.

        Raises:
            RpcError: bad params, nothing of that name, no permission, an agent that is not ready or went
                away, or the agent's own error.
        """
        assert request.id is not None
        if request.method == SET_LEVEL:
            ask = Ask(request.id, SET_LEVEL, request.params, talks.client, back)
            await talks.set_level(request.params, list(self.upstreams), ask)
            return {}
        if request.method == "tasks/list" and origin.agent is None:
            return await self._all_tasks(origin, request, talks, back)
        if request.method == "tools/call" and self._searches(origin.agent):
            found = tool_search.answer(self._index(self.view(origin)), request)
            if not isinstance(found, Request):
                return found
            request = found
        assert request.id is not None
        target, params = self._locate(origin, request)
        caller, tracer, end = str(origin.caller), self._settings.tracer, None
        if tracer is not None:
            span = begin_call(tracer, request.method, target, caller, trace_in(params))
            params, end = with_trace(params, span.trace), span.end
        with Watched(self._settings.tell, caller, request.method, target, end) as watched:
            await self.policy.admit(origin.caller, request.method, target, params)
            if not request.method.startswith("tasks/"):  # they are kept here, whatever became of the agent
                self._require_ready(target)
            aggregate = origin.agent is None
            outward = self.outward(back, target.agent, aggregate)
            ask = Ask(request.id, request.method, params, talks.client, outward)
            result = await self._asked(target, talks, ask)
            if result.get("isError") is True:
                watched.outcome = TOOL_FAILED
        return self._result_outward(target.agent, result) if aggregate else result

    async def _all_tasks(self, origin: Origin, request: Request, talks: Talks, back: Back) -> JsonObject:
        """The tasks of all agents in view that have any, on one page."""
        view = self.view(origin)
        if "tasks" not in self.capabilities(view):
            raise RpcError(METHOD_NOT_FOUND, f"Method not found: {clipped(request.method)}")
        listed: list[JsonValue] = []
        for agent, upstream in tuple(self.upstreams.items()):
            if view.shows(agent) and "tasks" in upstream.offer.capabilities:
                ask = Ask(request.id or 0, request.method, {}, talks.client, back)
                with contextlib.suppress(RpcError):
                    result = await self._asked(Target(agent, ""), talks, ask)
                    tasks = result.get("tasks")
                    listed += [
                        {**task, "taskId": f"{agent}{_TASK_MARK}{task.get('taskId')}"}
                        for task in (tasks if isinstance(tasks, list) else [])
                        if isinstance(task, dict)
                    ]
        return {"tasks": listed}

    async def _asked(self, target: Target, talks: Talks, ask: Ask) -> JsonObject:
        """The agent's result, unless it has been silent so often that it is left alone for now."""
        breaker = self._breakers.setdefault(target.agent, Breaker())
        wait_s = breaker.wait_s()
        if wait_s is not None:
            raise _resting(target, wait_s)
        waits = ask.method == "tasks/result"
        timeout_s = math.inf if waits else self._settings.timeout_s(target.agent)
        try:
            with anyio.fail_after(timeout_s), Asking(self._settings.tracer, target, ask) as asked:
                result = await talks.request(target.agent, asked)
        except TimeoutError as error:
            breaker.failed()
            raise _agent_error(target, DeadlineError("the agent", timeout_s)) from error
        except PloinkyError as error:
            if error.code in _SILENT:
                breaker.failed()
            raise _agent_error(target, error) from error
        except RpcError:
            breaker.succeeded()
            raise
        else:
            breaker.succeeded()
        finally:
            breaker.ended()
        return result

    def outward(self, back: Back, agent: str, aggregate: bool) -> Back:
        """``back`` for what ``agent`` says, in public names."""
        return _Renaming(back, agent, self) if aggregate else back

    def public_uri(self, agent: str, uri: str) -> str:
        return self._catalogue.public_uri(Target(agent, uri))

    def _locate(self, origin: Origin, request: Request) -> tuple[Target, JsonObject]:
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
        task_id = params.get("taskId")
        agent, mark, own = task_id.partition(_TASK_MARK) if isinstance(task_id, str) else ("", "", "")
        if not mark or not view.shows(agent) or agent not in self.upstreams:
            raise RpcError(INVALID_PARAMS, "params.taskId must be the id of a task.")
        return Target(agent, own)

    def _only(self, view: View, uri: str) -> Target | None:
        """The one agent with resources, which may know URIs that it does not list."""
        having = [
            key
            for key, each in self._catalogue.agents.items()
            if view.shows(key) and "resources" in each.offer.capabilities
        ]
        return Target(having[0], uri) if len(having) == 1 else None

    def _require_ready(self, target: Target) -> None:
        absence = _absence(self._table.routes.get(target.agent))
        if absence:
            raise RpcError(
                AGENT_NOT_READY,
                f"Agent {target.agent!r} cannot be asked now: {absence}",
                {"code": "AGENT_NOT_READY", "agent": target.agent},
            )

    def _result_outward(self, agent: str, result: JsonObject) -> JsonObject:
        task = result.get("task")
        if isinstance(task, dict) and isinstance(task.get("taskId"), str):
            result = {**result, "task": {**task, "taskId": f"{agent}{_TASK_MARK}{task['taskId']}"}}
        if isinstance(result.get("taskId"), str):
            result = {**result, "taskId": f"{agent}{_TASK_MARK}{result['taskId']}"}
        return result


class _Renaming:
    """A way back on which things have their public names."""

    def __init__(self, back: Back, agent: str, service: Service) -> None:
        self._back = back
        self._agent = agent
        self._service = service

    def notify(self, method: str, params: JsonObject) -> None:
        self._back.notify(method, self._renamed(params))

    async def ask(self, method: str, params: JsonObject) -> JsonObject:
        return await self._back.ask(method, params)

    def _renamed(self, params: JsonObject) -> JsonObject:
        uri, task_id = params.get("uri"), params.get("taskId")
        if isinstance(uri, str):
            params = {**params, "uri": self._service.public_uri(self._agent, uri)}
        if isinstance(task_id, str):
            params = {**params, "taskId": f"{self._agent}{_TASK_MARK}{task_id}"}
        return params


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


_RESOURCE = _Row(Service.resource, _with_uri)
_TASK = _Row(Service.task, _with_task)
_NAMED: Mapping[str, _Row] = MappingProxyType(
    {
        "tools/call": _Row(Service.tool, _with_name),
        "prompts/get": _Row(Service.prompt, _with_name),
        "completion/complete": _Row(Service.reference, _with_reference),
        "resources/read": _RESOURCE,
        "resources/subscribe": _RESOURCE,
        "resources/unsubscribe": _RESOURCE,
        "tasks/get": _TASK,
        "tasks/result": _TASK,
        "tasks/update": _TASK,
        "tasks/cancel": _TASK,
    }
)


def _absence(route: AgentRoute | None) -> str:
    if route is None:
        return "it is not in the workspace"
    return "" if route.ready else route.reason or "it is not ready"


def _resting(target: Target, wait_s: int) -> RpcError:
    return RpcError(
        AGENT_LOST,
        f"Agent {target.agent!r} did not answer several times; it is asked again in {wait_s} s.",
        {"code": "AGENT_RESTING", "agent": target.agent, "retryAfterS": wait_s},
    )


def _agent_error(target: Target, error: PloinkyError) -> RpcError:
    if error.code == "TOOL_NOT_FOUND":
        return RpcError(INVALID_PARAMS, f"Unknown tool: {clipped(target.name)}")
    what = _LOST.get(error.code)
    if what is None:
        logger.error("agent %s, %s: %s", target.agent, target.name, error.message)
        return RpcError(INTERNAL_ERROR, f"{target.name!r} of agent {target.agent!r} failed: {error.message}")
    return RpcError(
        AGENT_LOST,
        f"Agent {target.agent!r} {what}.",
        {"code": error.code, "agent": target.agent, "tool": target.name},
    )
