"""Which tools there are, under which names, as bytes ready to be sent.

A ``Catalogue`` is one moment of all agents; it is made anew when an agent or its configuration changes and
keeps every list that it was once asked for. Names come from the configuration alone: an agent that is not
ready keeps its claim on a name while its tools are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.router.naming import Naming, Target, public_names
from ploinky.router.param_headers import ParamHeader, param_headers
from ploinky.toolhost.config import ToolSpec

AGENT_META = "ploinky/agent"
NOTICES_META = "ploinky/notices"


@dataclass(frozen=True)
class AgentTools:
    """One agent's tools; ``absent`` says why they are left out now, empty if they are not."""

    tools: tuple[ToolSpec, ...]
    absent: str = ""


@dataclass(frozen=True)
class View:
    """Whose tools a client sees: one ``agent`` by its own names, or (None) all, as far as it may reach."""

    agent: str | None
    reach: frozenset[str] | None

    def shows(self, agent: str) -> bool:
        return (self.agent is None or self.agent == agent) and (self.reach is None or agent in self.reach)


class Catalogue:
    """All tools of one moment."""

    def __init__(self, agents: Mapping[str, AgentTools], naming: Naming) -> None:
        self._agents = agents
        self._public = public_names(
            {key: [tool.name for tool in each.tools] for key, each in agents.items()}, naming
        )
        self._names = {target: name for name, target in self._public.items()}
        self._mirrored = {
            Target(key, tool.name): mirrored
            for key, each in agents.items()
            for tool in each.tools
            if (mirrored := param_headers(tool.input_schema))
        }
        self._lists: dict[tuple[View, bool], bytes] = {}

    def find(self, view: View, name: str) -> Target | None:
        """The tool that ``name`` means in ``view``, whether its agent is ready or not."""
        if view.agent is None:
            return self._public.get(name)
        agent = self._agents.get(view.agent)
        if agent is None or all(tool.name != name for tool in agent.tools):
            return None
        return Target(view.agent, name)

    def mirrored(self, target: Target) -> tuple[ParamHeader, ...]:
        """The arguments of this tool that headers mirror."""
        return self._mirrored.get(target, ())

    def tools(self, view: View, *, stateless: bool) -> bytes:
        """The members ``"tools": [...], "_meta": {...}`` of a list, without the braces around them.

        The session era knows only objects as structured content, so other output schemas are left out there.
        """
        key = (view, stateless)
        if key not in self._lists:
            self._lists[key] = self._render(view, stateless)
        return self._lists[key]

    def overview(self) -> list[JsonValue]:
        """The tools of all agents that can run them: public name, agent, the tool's own name, description."""
        return [
            {
                "name": self._names[Target(key, tool.name)],
                "agent": key,
                "tool": tool.name,
                "description": tool.description,
            }
            for key, agent in self._agents.items()
            if not agent.absent
            for tool in agent.tools
        ]

    def _render(self, view: View, stateless: bool) -> bytes:
        listed: list[JsonObject] = []
        notices: list[str] = []
        for key, agent in self._agents.items():
            if not view.shows(key):
                continue
            if agent.absent:
                notices.append(f"Tools of agent {key!r} are left out: {agent.absent}")
                continue
            for tool in agent.tools:
                name = tool.name if view.agent is not None else self._names[Target(key, tool.name)]
                listed.append(_wire_tool(tool, name, key, stateless=stateless))
        rendered = b'"tools":' + orjson.dumps(listed)
        return rendered + b',"_meta":' + orjson.dumps({NOTICES_META: notices}) if notices else rendered


def has_object_output(tool: ToolSpec) -> bool:
    return tool.output_schema is not None and tool.output_schema.get("type") == "object"


def _wire_tool(tool: ToolSpec, name: str, agent: str, *, stateless: bool) -> JsonObject:
    wire: JsonObject = {"name": name, "inputSchema": tool.input_schema, "_meta": {AGENT_META: agent}}
    for key, value in (("title", tool.title), ("description", tool.description)):
        if value is not None:
            wire[key] = value
    if tool.annotations is not None:
        wire["annotations"] = tool.annotations
    if tool.output_schema is not None and (stateless or has_object_output(tool)):
        wire["outputSchema"] = tool.output_schema
    return wire
