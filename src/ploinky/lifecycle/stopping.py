"""Stop an agent, or remove its sandbox, whatever state a former command left behind."""

from __future__ import annotations

from collections.abc import AsyncIterator

from ploinky.lifecycle.context import LifecycleContext
from ploinky.lifecycle.options import STOP_GRACE_S
from ploinky.wire.events import Event


def stop_agent(ctx: LifecycleContext, key: str, *, grace_s: float = STOP_GRACE_S) -> AsyncIterator[Event]:
    """Stop the agent and record that it should stay stopped; no-op for one that does not run."""
    raise NotImplementedError


def remove_agent(ctx: LifecycleContext, key: str, *, grace_s: float = STOP_GRACE_S) -> AsyncIterator[Event]:
    """Stop the agent and remove its sandbox with all that was made for it; it stays enabled."""
    raise NotImplementedError
