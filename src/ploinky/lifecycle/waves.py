"""Many agents: waves of the ``enable`` graph, side by side inside a wave, backwards for stopping."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection

from ploinky.lifecycle.context import LifecycleContext
from ploinky.lifecycle.options import STOP_GRACE_S, StartOptions
from ploinky.wire.events import Event


def start_waves(ctx: LifecycleContext, keys: Collection[str]) -> tuple[tuple[str, ...], ...]:
    """The waves in which the agents and all they ``enable`` (if enabled here) start.

    Raises:
        CycleError: showing the circle.
    """
    raise NotImplementedError


def start_agents(
    ctx: LifecycleContext, keys: Collection[str], options: StartOptions | None = None
) -> AsyncIterator[Event]:
    """Start agents and their dependencies; a Failure is yielded per failed agent, the rest goes on.

    Raises:
        PloinkyError: AGENTS_FAILED at the end if any failed (the agent's own error if only one was asked
            for and nothing else failed).
    """
    raise NotImplementedError


def stop_agents(
    ctx: LifecycleContext, keys: Collection[str], *, grace_s: float = STOP_GRACE_S
) -> AsyncIterator[Event]:
    """Stop agents, those that others need last."""
    raise NotImplementedError


def remove_agents(
    ctx: LifecycleContext, keys: Collection[str], *, grace_s: float = STOP_GRACE_S
) -> AsyncIterator[Event]:
    """Stop agents and remove their sandboxes; they stay enabled."""
    raise NotImplementedError
