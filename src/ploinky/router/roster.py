"""The agents as the route table has them: one ``Upstream`` per route, made, replaced and closed with it.

Knows neither names nor clients: whoever holds it is told when what they see may differ. To have another kind
of agent: a branch in ``_new_agent``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping

import anyio
import anyio.abc

from ploinky.channel.program import Program
from ploinky.router.inner import InnerAgent
from ploinky.router.programs import ProgramAgent
from ploinky.router.routes import AgentRoute, RouteTable
from ploinky.router.servers.server import ServerAgent
from ploinky.toolhost.backroom import Backroom

logger = logging.getLogger(__name__)
Agent = ProgramAgent | ServerAgent | InnerAgent


class Roster:
    """``agents`` is one mapping for life, kept in the order of the table. ``tasks`` carries what agents do
    beside requests; ``changed`` is called when a server tells of another offer."""

    def __init__(
        self,
        table: RouteTable,
        tasks: anyio.abc.TaskGroup,
        backroom: Backroom,
        changed: Callable[[], None],
    ) -> None:
        self._table = table
        self._tasks = tasks
        self._backroom = backroom
        self._changed = changed
        self._agents: dict[str, Agent] = {}

    @property
    def agents(self) -> Mapping[str, Agent]:
        """By route key; a view that stays true."""
        return self._agents

    def __iter__(self) -> Iterator[Agent]:
        return iter(tuple(self._agents.values()))

    def problems(self) -> dict[str, str]:
        """What is wrong with agents' configurations, by route key."""
        return {key: agent.problem for key, agent in self._agents.items() if agent.problem}

    def close(self) -> None:
        """End all connections; calls under way fail."""
        for agent in self._agents.values():
            agent.close()

    def adopt_routes(self) -> bool:
        """Bring the agents up to the table; says whether what clients see may differ."""
        routes = self._table.routes
        changed = list(routes) != list(self._agents)
        for key in [key for key in self._agents if key not in routes]:
            self._agents.pop(key).close()
        ordered: dict[str, Agent] = {}
        for key, route in routes.items():
            agent = self._agents.get(key)
            if agent is not None and isinstance(agent, ServerAgent) != (route.server is not None):
                agent.close()
                agent = None
            if agent is None:
                ordered[key] = self._new_agent(route)
                changed = True
            else:
                changed = agent.adopt(route) or changed
                ordered[key] = agent
        self._agents.clear()
        self._agents.update(ordered)
        return changed

    async def refresh(self, deadline_s: float) -> bool:
        """Look at every agent, all at once; one that takes longer is left as it was. Says whether any offer
        differs from before."""
        changed = False
        async with anyio.create_task_group() as group:

            async def look_at(agent: Agent) -> None:
                nonlocal changed
                try:
                    with anyio.move_on_after(deadline_s):
                        changed = await agent.refresh() or changed
                except Exception:  # one agent's surprise is not the others' end
                    logger.exception("agent %s could not be looked at", agent.route.key)

            for agent in self:
                group.start_soon(look_at, agent)
        return changed

    def _new_agent(self, route: AgentRoute) -> Agent:
        if route.inner is not None:
            return InnerAgent(route, route.inner)
        if route.server is None:
            return ProgramAgent(route, self._backroom, self._end_program)
        return ServerAgent(route, self._tasks, self._changed)

    def _end_program(self, program: Program) -> None:
        self._tasks.start_soon(program.aclose)
