"""Names of tools as a model's wire allows them, and back.

Ours may hold dots and be long (``files.find_files``); most wires want 1-64 of letters, digits, ``_`` and
``-``. Unless two names on offer would meet, a name has the same wire form in every turn.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

LONGEST = 64
_ALLOWED = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


class WireNames:
    """The wire names of the tools on offer, all different."""

    def __init__(self, names: Iterable[str]) -> None:
        self._wire: dict[str, str] = {}
        self._ours: dict[str, str] = {}
        # a name that needs no change keeps it, so it goes first
        for name in sorted(dict.fromkeys(names), key=lambda name: wire_name(name) != name):
            wire = wire_name(name)
            wire = _with_digest(wire, name) if wire in self._ours else wire
            self._wire[name] = wire
            self._ours[wire] = name

    def wire(self, name: str) -> str:
        """The wire's name of a tool, on offer now or only earlier in the conversation."""
        return self._wire.get(name) or wire_name(name)

    def offers(self, wire: str) -> bool:
        """Whether a tool with this wire name is on offer."""
        return wire in self._ours

    def ours(self, wire: str) -> str:
        """Our name of a tool that the model called; a name that was never offered stays as it is."""
        return self._ours.get(wire, wire)


def wire_name(name: str) -> str:
    """The wire's form of one name: itself if allowed, ``__`` for dots, a digest where that is not enough."""
    if _ALLOWED.match(name):
        return name
    plain = name.replace(".", "__")
    return plain if _ALLOWED.match(plain) else _with_digest(plain, name)


def _with_digest(plain: str, name: str) -> str:
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9_-]', '_', plain)[: LONGEST - 9]}_{digest}"
