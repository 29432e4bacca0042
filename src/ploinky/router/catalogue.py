"""Which things there are (tools, prompts, resources, templates) under which names, as bytes ready to send.

A ``Catalogue`` is one moment of all agents' offers; it is made anew when one changes and keeps every list
that it was once asked for. Names come from the offers alone: an agent that is not ready keeps its claim on a
name while its things are left out. To list one more kind of thing: a row in ``KINDS``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import NamedTuple

import orjson

from ploinky.base.jsontypes import JsonObject, JsonValue, find_object, find_text
from ploinky.mcp.upstream import Offer
from ploinky.router.naming import (
    Naming,
    Target,
    Urls,
    prefixed_name,
    prefixed_uri,
    public_names,
)
from ploinky.router.param_headers import ParamHeader, param_headers

AGENT_META = "ploinky/agent"
NOTICES_META = "ploinky/notices"


@dataclass(frozen=True)
class Kind:
    """One kind of thing: the list's member, the field that names one, how a name is made unique."""

    member: str
    key: str
    items: Callable[[Offer], tuple[JsonObject, ...]]
    prefixed: Callable[[Target], str]


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "tools/list": Kind("tools", "name", lambda offer: offer.tools, prefixed_name),
        "prompts/list": Kind("prompts", "name", lambda offer: offer.prompts, prefixed_name),
        "resources/list": Kind("resources", "uri", lambda offer: offer.resources, prefixed_uri),
        "resources/templates/list": Kind(
            "resourceTemplates", "uriTemplate", lambda offer: offer.templates, prefixed_uri
        ),
    }
)


@dataclass(frozen=True)
class AgentOffer:
    """One agent's offer; ``absent`` says why it is left out now, empty if it is not."""

    offer: Offer
    absent: str = ""


class Pattern(NamedTuple):
    """Tools that are shown, or not, by globs over their agent and their own name."""

    agent: str
    tool: str
    shown: bool


@dataclass(frozen=True)
class View:
    """What a client sees: one ``agent`` by its own names, or (None) all, as far as it may reach.

    ``patterns`` of tools: the first that fits decides, a tool that none fits is not shown; without any, all
    are.
    """

    agent: str | None
    reach: frozenset[str] | None
    patterns: tuple[Pattern, ...] = ()

    def shows(self, agent: str) -> bool:
        return (self.agent is None or self.agent == agent) and (self.reach is None or agent in self.reach)

    def shows_tool(self, target: Target) -> bool:
        """Whether a tool of an agent in view is shown too."""
        fitting = (
            each.shown
            for each in self.patterns
            if fnmatchcase(target.agent, each.agent) and fnmatchcase(target.name, each.tool)
        )
        return next(fitting, not self.patterns)


class Catalogue:
    """All things of one moment."""

    def __init__(self, agents: Mapping[str, AgentOffer], naming: Naming) -> None:
        self.agents = agents
        self._public = {
            method: public_names(
                {key: list(_names(kind, each.offer)) for key, each in agents.items()},
                naming,
                kind.prefixed,
            )
            for method, kind in KINDS.items()
        }
        self._names = {
            method: {target: name for name, target in public.items()}
            for method, public in self._public.items()
        }
        self._own = {
            method: {key: frozenset(_names(kind, each.offer)) for key, each in agents.items()}
            for method, kind in KINDS.items()
        }
        self._urls = Urls(self._public["resources/list"], self._public["resources/templates/list"])
        self._mirrored = dict(self._all_mirrored())
        self._lists: dict[tuple[str, View, bool], bytes] = {}

    def find(self, view: View, name: str, method: str = "tools/list") -> Target | None:
        """The thing that ``name`` means in ``view``, whether its agent is ready or not."""
        if view.agent is None:
            return self._public[method].get(name)
        own = self._own[method].get(view.agent)
        return Target(view.agent, name) if own is not None and name in own else None

    def find_uri(self, uri: str) -> Target | None:
        """The agent that a resource's public URI belongs to, and the URI as that agent knows it."""
        return self._urls.find(uri)

    def public_uri(self, target: Target) -> str:
        """The public URI of an agent's resource."""
        return self._names["resources/list"].get(target, target.name)

    def mirrored(self, target: Target) -> tuple[ParamHeader, ...]:
        """The arguments of this tool that headers mirror."""
        return self._mirrored.get(target, ())

    def rendered(self, method: str, view: View, *, stateless: bool) -> bytes:
        """The members ``"tools": [...], "_meta": {...}`` of a list, without the braces around them.

        The session era knows only objects as structured content, so other output schemas are left out there.
        """
        key = (method, view, stateless)
        if key not in self._lists:
            self._lists[key] = self._render(method, view, stateless)
        return self._lists[key]

    def capabilities(self, view: View) -> JsonObject:
        """What the agents in view can do, together. All agents as one claim every kind of list: one that has
        more than they have now may come at any time."""
        together: JsonObject = {}
        for key, each in self.agents.items():
            if view.shows(key):
                for name, value in each.offer.capabilities.items():
                    together[name] = _joined(together.get(name), value)
        if view.agent is None:
            for name in ("tools", "prompts", "resources"):
                together[name] = _joined(together.get(name), {"listChanged": True})
        return together

    def lists(self, view: View, method: str) -> bool:
        """Whether there is such a list here, be it empty."""
        return method.partition("/")[0] in self.capabilities(view)

    def tools(self, view: View) -> Iterator[tuple[str, Target, JsonObject]]:
        """The tools in view that can be called now: public name, target, the agent's own description."""
        for key, each in self.agents.items():
            if view.shows(key) and not each.absent:
                for tool in each.offer.tools:
                    target = Target(key, find_text(tool, "name") or "")
                    if view.shows_tool(target):
                        public = self._names["tools/list"][target]
                        yield (public if view.agent is None else target.name), target, tool

    def _all_mirrored(self) -> Iterator[tuple[Target, tuple[ParamHeader, ...]]]:
        for key, each in self.agents.items():
            for tool in each.offer.tools:
                mirrored = param_headers(find_object(tool, "inputSchema") or {})
                if mirrored:
                    yield Target(key, find_text(tool, "name") or ""), mirrored

    def _render(self, method: str, view: View, stateless: bool) -> bytes:
        kind = KINDS[method]
        listed: list[JsonObject] = []
        notices: list[str] = []
        for key, each in self.agents.items():
            if not view.shows(key):
                continue
            if each.absent:
                notices.append(f"Things of agent {key!r} are left out: {each.absent}")
                continue
            for item in kind.items(each.offer):
                own = find_text(item, kind.key) or ""
                if method == "tools/list" and not view.shows_tool(Target(key, own)):
                    continue
                name = own if view.agent is not None else self._names[method][Target(key, own)]
                listed.append(_shown(item, kind.key, name, key, stateless=stateless))
        rendered = b'"' + kind.member.encode() + b'":' + orjson.dumps(listed)
        return rendered + b',"_meta":' + orjson.dumps({NOTICES_META: notices}) if notices else rendered


def has_object_output(tool: JsonObject) -> bool:
    return find_text(find_object(tool, "outputSchema"), "type") == "object"


def _names(kind: Kind, offer: Offer) -> Iterable[str]:
    return (name for item in kind.items(offer) if (name := find_text(item, kind.key)) is not None)


def _shown(item: JsonObject, key: str, name: str, agent: str, *, stateless: bool) -> JsonObject:
    shown = {**item, key: name, "_meta": {**(find_object(item, "_meta") or {}), AGENT_META: agent}}
    if not stateless and "outputSchema" in shown and not has_object_output(item):
        del shown["outputSchema"]
    return shown


def _joined(one: JsonValue, other: JsonValue) -> JsonValue:
    return {**one, **other} if isinstance(one, dict) and isinstance(other, dict) else other
