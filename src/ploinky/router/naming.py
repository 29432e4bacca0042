"""Names of tools where all agents are one server: a pure function of the configuration.

A name is plain while one agent alone has it; shared by two, both get ``<agent>__<tool>``, so that neither
depends on which came first. A name that would still mean two tools gets a digest of what it stands for.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple


class Naming(StrEnum):
    """``router.naming``: prefixes where needed, or always; ``PLAIN`` is ``AUTO`` for a single agent."""

    AUTO = "auto"
    PREFIX = "prefix"
    PLAIN = "plain"


class Target(NamedTuple):
    """One tool of one agent."""

    agent: str
    tool: str


def public_names(tools: Mapping[str, Iterable[str]], naming: Naming = Naming.AUTO) -> dict[str, Target]:
    """Every tool under its public name, agents and tools in the order given."""
    targets = [Target(agent, tool) for agent, names in tools.items() for tool in dict.fromkeys(names)]
    owners = Counter(target.tool for target in targets)
    always = naming is Naming.PREFIX
    chosen = {
        target: _prefixed(target) if always or owners[target.tool] > 1 else target.tool for target in targets
    }
    for rename in (_prefixed, _with_digest):
        taken = Counter(chosen.values())
        chosen = {target: rename(target) if taken[name] > 1 else name for target, name in chosen.items()}
    return {name: target for target, name in chosen.items()}


def _prefixed(target: Target) -> str:
    return f"{target.agent}__{target.tool}"


def _with_digest(target: Target) -> str:
    digest = hashlib.sha256("\0".join(target).encode()).hexdigest()[:8]
    return f"{_prefixed(target)}__{digest}"
