"""The agents' tools, as assistants take them: the router's own, seen from within the gateway."""

from __future__ import annotations

from ploinky.assistants.toolkit import AgentTool, OnProgress, ToolOutcome
from ploinky.base.jsontypes import JsonObject
from ploinky.gateway.assistant_upstream import KEY as ASSISTANTS
from ploinky.router.callers import Caller, CallerKind
from ploinky.router.inside import InsideTools


class RouterTools:
    """Fulfils ``AgentTools``; bound to the router once there is one."""

    def __init__(self) -> None:
        self._inside: InsideTools | None = None

    def bind(self, inside: InsideTools | None) -> None:
        """From now on these tools are offered; None: none."""
        self._inside = inside

    def tools(self) -> list[AgentTool]:
        if self._inside is None:
            return []
        return [
            AgentTool(tool.agent, tool.name, tool.description, tool.input_schema, tool.read_only)
            for tool in self._inside.tools()
            if tool.agent != ASSISTANTS  # they ask each other by a tool of their own
        ]

    async def call(
        self, agent: str, tool: str, arguments: JsonObject, *, caller: str, on_progress: OnProgress
    ) -> ToolOutcome:
        if self._inside is None:
            return ToolOutcome("The agents are not there yet; try again.", is_error=True)
        who = Caller(CallerKind.ASSISTANT, caller)
        answer = await self._inside.call(agent, tool, arguments, caller=who, on_progress=on_progress)
        return ToolOutcome(answer.text, answer.is_error)
