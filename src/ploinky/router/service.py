"""What the router does with a request once its era is settled: it has the agent that it names answer it.

The policy is asked at the moment of each request; whatever came of it is told. Finding the agent is the
directory's; names go outwards with result and notifications.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import anyio

from ploinky.base.errors import DeadlineError, PloinkyError
from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.mcp.messages import METHOD_NOT_FOUND, Request, RpcError, clipped
from ploinky.mcp.traces import trace_in, with_trace
from ploinky.mcp.upstream import Ask, Back, Upstream
from ploinky.router.agent_errors import SILENCES, agent_error, not_ready, resting
from ploinky.router.breaker import Breaker
from ploinky.router.directory import Directory, Origin
from ploinky.router.naming import Target
from ploinky.router.outward import Renaming, public_task, renamed_result
from ploinky.router.policy import Policy
from ploinky.router.routes import RouteTable
from ploinky.router.served import TOOL_FAILED, Served, Tell, Watched
from ploinky.router.talks import SET_LEVEL, Talks
from ploinky.router.tracing import Asking, Tracer, begin_call


@dataclass(frozen=True)
class ServiceSettings:
    """``call_timeout_s`` bounds every request to an agent, unless a row (glob, seconds) of ``timeouts`` fits
    it. ``tell`` hears of every request that ended; without a ``tracer`` there are no spans."""

    call_timeout_s: float = 600.0
    timeouts: tuple[tuple[str, float], ...] = ()
    tell: Tell = lambda served: None
    tracer: Tracer | None = None

    def timeout_s(self, agent: str) -> float:
        fitting = (seconds for glob, seconds in self.timeouts if fnmatchcase(agent, glob))
        return next(fitting, self.call_timeout_s)


class Service:
    """Requests to the agents of ``directory``, whose routes ``table`` has."""

    def __init__(self, table: RouteTable, directory: Directory, settings: ServiceSettings) -> None:
        self.directory = directory
        self._table = table
        self._settings = settings
        self._breakers: dict[str, Breaker] = {}

    @property
    def upstreams(self) -> Mapping[str, Upstream]:
        """The agents by route key."""
        return self.directory.upstreams

    @property
    def policy(self) -> Policy:
        return self.directory.policy

    @property
    def tracer(self) -> Tracer | None:
        return self._settings.tracer

    def forget_gone(self) -> None:
        """Agents have left the table: what is known of their silence goes with them."""
        for gone in self._breakers.keys() - self.upstreams.keys():
            del self._breakers[gone]

    def may_ask(self, origin: Origin, request: Request) -> bool:
        """Whether the agent of this request may ask the client in the middle of its work."""
        try:
            found = self.directory.searched(origin, request)
            if not isinstance(found, Request):
                return False
            target, _ = self.directory.locate(origin, found)
        except RpcError:
            return False  # it will be refused
        upstream = self.upstreams.get(target.agent)
        return upstream is not None and upstream.offer.keeps_state

    def plain_target(self, origin: Origin, request: Request) -> tuple[Target, Upstream] | None:
        """The tool that a call is for and its agent, if nothing stands in the way of calling it at once."""
        target = self.directory.plain_target(origin, request)
        if target is None or self._table.absence(target.agent):
            return None
        breaker = self._breakers.get(target.agent)
        if breaker is not None and not breaker.is_closed:
            return None
        return target, self.upstreams[target.agent]

    def lost(self, target: Target) -> RpcError:
        """The error of a call whose agent went away; it counts against the agent."""
        return agent_error(target, PloinkyError("CHANNEL_LOST", "The agent went away."))

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
        found = self.directory.searched(origin, request)
        if not isinstance(found, Request):
            return found
        target, params = self.directory.locate(origin, found)
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
        return renamed_result(target.agent, result) if aggregate else result

    async def _all_tasks(self, origin: Origin, request: Request, talks: Talks, back: Back) -> JsonObject:
        """The tasks of all agents in view that have any, on one page."""
        view = self.directory.view(origin)
        if "tasks" not in self.directory.capabilities(view):
            raise RpcError(METHOD_NOT_FOUND, f"Method not found: {clipped(request.method)}")
        listed: list[JsonValue] = []
        for agent, upstream in tuple(self.upstreams.items()):
            if view.shows(agent) and "tasks" in upstream.offer.capabilities:
                ask = Ask(request.id or 0, request.method, {}, talks.client, back)
                with contextlib.suppress(RpcError):
                    result = await self._asked(Target(agent, ""), talks, ask)
                    tasks = result.get("tasks")
                    listed += [
                        {**task, "taskId": public_task(agent, task.get("taskId"))}
                        for task in (tasks if isinstance(tasks, list) else [])
                        if isinstance(task, dict)
                    ]
        return {"tasks": listed}

    async def _asked(self, target: Target, talks: Talks, ask: Ask) -> JsonObject:
        """The agent's result, unless it has been silent so often that it is left alone for now."""
        breaker = self._breakers.setdefault(target.agent, Breaker())
        wait_s = breaker.wait_s()
        if wait_s is not None:
            raise resting(target, wait_s)
        waits = ask.method == "tasks/result"
        timeout_s = math.inf if waits else self._settings.timeout_s(target.agent)
        try:
            with anyio.fail_after(timeout_s), Asking(self._settings.tracer, target, ask) as asked:
                result = await talks.request(target.agent, asked)
        except TimeoutError as error:
            breaker.failed()
            raise agent_error(target, DeadlineError("the agent", timeout_s)) from error
        except PloinkyError as error:
            if error.code in SILENCES:
                breaker.failed()
            raise agent_error(target, error) from error
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
        return Renaming(back, agent, self.directory.public_uri) if aggregate else back

    def _require_ready(self, target: Target) -> None:
        absence = self._table.absence(target.agent)
        if absence:
            raise not_ready(target, absence)
