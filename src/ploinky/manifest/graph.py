"""The order of a start: agents that depend on each other become waves, or a circle that is shown.

Knows names only, neither agents nor manifests.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ploinky.base.errors import PloinkyError


@dataclass(frozen=True)
class Edge:
    """A dependency on ``target``; one that does not block (``no-wait``) puts nothing in order."""

    target: str
    blocking: bool = True


class CycleError(PloinkyError):
    """Agents wait for each other. ``circle`` names each once, in order; the last waits for the first."""

    def __init__(self, circle: tuple[str, ...]) -> None:
        shown = " → ".join((*circle, circle[0]))
        super().__init__(
            "DEPENDENCY_CYCLE",
            f"These agents wait for each other: {shown}.",
            hint=f"Remove one of these 'enable' entries, or add 'no-wait' to it ('{circle[0]} no-wait').",
            details={"circle": shown},
        )
        self.circle = circle


def plan_waves(nodes: Mapping[str, Collection[Edge]]) -> tuple[tuple[str, ...], ...]:
    """Every node once, in waves: all blocking targets of a node lie in earlier waves, as early as can be.

    Inside a wave the order of ``nodes`` is kept. A blocking edge wins over a ``no-wait`` one to the same
    target. Targets that are no nodes are taken as there already.

    Raises:
        CycleError: with the circle of blocking edges.
    """
    waiting = {
        name: {edge.target: None for edge in edges if edge.blocking and edge.target in nodes}
        for name, edges in nodes.items()
    }
    waves: list[tuple[str, ...]] = []
    while waiting:
        wave = tuple(name for name, targets in waiting.items() if not targets)
        if not wave:
            raise CycleError(_find_circle(waiting))
        for name in wave:
            del waiting[name]
        for targets in waiting.values():
            for name in wave:
                targets.pop(name, None)
        waves.append(wave)
    return tuple(waves)


def _find_circle(waiting: Mapping[str, Mapping[str, None]]) -> tuple[str, ...]:
    """A circle among nodes that each wait for another one of them."""
    name = next(iter(waiting))
    path: dict[str, None] = {}
    while name not in path:
        path[name] = None
        name = next(iter(waiting[name]))
    steps = list(path)
    return tuple(steps[steps.index(name) :])
