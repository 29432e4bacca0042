"""Names of things where all agents are one server: a pure function of the configuration.

A name is plain while one agent alone has it; shared by two, both get ``<agent>__<name>``, so that neither
depends on which came first. A name that would still mean two things gets a digest of what it stands for.
Resources are named by their URIs, which get ``ploinky:<agent>:`` before them instead.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

_SCHEME = "ploinky:"
_EXPRESSION = re.compile(r"\{([+#./;?&]?)[^{}]*\}")


class Naming(StrEnum):
    """``router.naming``: prefixes where needed, or always; ``PLAIN`` is ``AUTO`` for a single agent."""

    AUTO = "auto"
    PREFIX = "prefix"
    PLAIN = "plain"


class Target(NamedTuple):
    """One thing of one agent, by the agent's own name for it."""

    agent: str
    name: str


def prefixed_name(target: Target) -> str:
    return f"{target.agent}__{target.name}"


def prefixed_uri(target: Target) -> str:
    return f"{_SCHEME}{target.agent}:{target.name}"


def public_names(
    things: Mapping[str, Iterable[str]],
    naming: Naming = Naming.AUTO,
    prefixed: Callable[[Target], str] = prefixed_name,
) -> dict[str, Target]:
    """Everything under its public name, agents and things in the order given."""
    targets = [Target(agent, name) for agent, names in things.items() for name in dict.fromkeys(names)]
    owners = Counter(target.name for target in targets)
    always = naming is Naming.PREFIX
    chosen = {
        target: prefixed(target) if always or owners[target.name] > 1 else target.name for target in targets
    }

    def with_digest(target: Target) -> str:
        digest = hashlib.sha256("\0".join(target).encode()).hexdigest()[:8]
        return f"{prefixed(target)}__{digest}"

    for rename in (prefixed, with_digest):
        taken = Counter(chosen.values())
        chosen = {target: rename(target) if taken[name] > 1 else name for target, name in chosen.items()}
    return {name: target for target, name in chosen.items()}


class Urls:
    """Which agent a resource's URI belongs to: by its own name, or by the one template that it fits."""

    def __init__(self, resources: Mapping[str, Target], templates: Mapping[str, Target]) -> None:
        self._resources = resources
        self._templates = [(Template.parse(name), target) for name, target in templates.items()]

    def find(self, uri: str) -> Target | None:
        """The agent and its own URI; None if there is none, or if two agents' templates fit alike."""
        known = self._resources.get(uri)
        if known is not None:
            return known
        fitting = {
            Target(target.agent, uri.removeprefix(template.text.removesuffix(target.name)))
            for template, target in self._templates
            if template.fits(uri)
        }
        return fitting.pop() if len(fitting) == 1 else None


@dataclass(frozen=True)
class Template:
    """A URI template (RFC 6570), for matching only: the literals around its expressions.

    ``wide`` says of each expression whether it may cross a slash.
    """

    text: str
    literals: tuple[str, ...]
    wide: tuple[bool, ...]

    @classmethod
    def parse(cls, text: str) -> Template:
        found = list(_EXPRESSION.finditer(text))
        ends = [0, *(each.end() for each in found)]
        starts = [*(each.start() for each in found), len(text)]
        literals = tuple(text[end:start] for end, start in zip(ends, starts, strict=True))
        return cls(text, literals, tuple(each[1] not in ("", ".", ";") for each in found))

    def fits(self, uri: str) -> bool:
        """Whether ``uri`` may have been made of it; takes time in proportion to its length."""
        first, *rest = self.literals
        if not rest:
            return uri == first
        if not uri.startswith(first) or not uri.endswith(rest[-1]) or len(uri) < len(first) + len(rest[-1]):
            return False
        at, last = len(first), len(uri) - len(rest[-1])
        for number, (wide, literal) in enumerate(zip(self.wide, rest, strict=True), 1):
            end = last if number == len(rest) else uri.find(literal, at, last)
            if end < at or (not wide and "/" in uri[at:end]):
                return False
            at = end + len(literal)
        return True
