"""One verb over many agents: the graph of what they ``enable``, work side by side, and who failed why.

``waves`` starts with it, ``backwards`` stops. Manifests are read only where there is an order to find.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field

import anyio

from ploinky.base.errors import PloinkyError
from ploinky.lifecycle.context import LifecycleContext
from ploinky.lifecycle.emitting import Emit
from ploinky.manifest.graph import Edge
from ploinky.wire.events import Failure
from ploinky.workspace.registry import RegistryEntry

Graph = Mapping[str, tuple[Edge, ...]]


@dataclass
class Outcome:
    """Who failed, and by whose fault. ``errors`` keeps those that failed by themselves."""

    causes: dict[str, str] = field(default_factory=dict)
    errors: dict[str, PloinkyError] = field(default_factory=dict)

    def raise_if_any(self, verb: str) -> None:
        """Raises:
        PloinkyError: the one error, or AGENTS_FAILED naming all.
        """
        if len(self.errors) == 1:
            raise next(iter(self.errors.values()))
        if self.errors:
            names = ", ".join(self.errors)
            also = sorted(set(self.causes) - set(self.errors))
            more = f" Not started because of them: {', '.join(also)}." if also else ""
            raise PloinkyError(
                "AGENTS_FAILED",
                f"{len(self.errors)} agents could not be {verb}: {names}.{more}",
                hint="See what happened to each: ploinky status",
                details={"agents": names},
            )


async def guarded(
    key: str,
    work: Callable[[Emit], Awaitable[None]],
    limit: anyio.CapacityLimiter,
    outcome: Outcome,
    emit: Emit,
) -> None:
    """Do one agent's part: a failure is told and kept in ``outcome``, the others go on."""
    async with limit:
        try:
            await work(emit)
        except PloinkyError as error:
            outcome.errors[key] = error
            outcome.causes[key] = key
            await emit(Failure(code=error.code, message=error.message, hint=error.hint, agent=key))


def read_graph(ctx: LifecycleContext, keys: Collection[str], *, closure: bool = True) -> Graph:
    """The edges of the agents and, with ``closure``, of all that they enable and that is enabled here.

    One agent alone has no order, so its manifest is not read then.

    Raises:
        NotFoundError: AGENT_NOT_ENABLED.
    """
    entries = ctx.registry.read()
    edges: dict[str, tuple[Edge, ...]] = {}
    pending = [ctx.registry.require(key).key for key in keys]
    if len(pending) == 1 and not closure:
        return {pending[0]: ()}
    while pending:
        key = pending.pop(0)
        if key in edges:
            continue
        edges[key] = _edges_of(ctx, entries, key)
        if closure:
            pending += [edge.target for edge in edges[key]]
    return edges


def _edges_of(ctx: LifecycleContext, entries: Mapping[str, RegistryEntry], key: str) -> tuple[Edge, ...]:
    """One agent's edges; a manifest that cannot be read has none here, its start will tell why."""
    from ploinky.lifecycle.sources import effective_config  # it brings the whole model of manifests

    try:
        config = effective_config(ctx, entries[key])
    except PloinkyError:
        return ()
    return tuple(Edge(ref.key, not ref.no_wait) for ref in config.enable if ref.key in entries)
