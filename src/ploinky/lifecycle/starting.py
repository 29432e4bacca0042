"""One agent's start: the twelve steps in order, or the short way when nothing changed."""

from __future__ import annotations

from collections.abc import AsyncIterator

from ploinky.lifecycle.context import LifecycleContext
from ploinky.lifecycle.options import StartOptions
from ploinky.wire.events import Event


def start_agent(
    ctx: LifecycleContext, key: str, options: StartOptions | None = None
) -> AsyncIterator[Event]:
    """Start one enabled agent and wait until it is ready; a running, unchanged one is left alone.

    Yields StepStarted and StepDone per step, Output of hooks and installs, StateChanged, Notice.

    Raises:
        PloinkyError: after the state FAILED was recorded, and nothing half-made is left running.
        NeedsApprovalError: MISSING_SECRETS or TRUST_REQUIRED; nothing was created.
    """
    raise NotImplementedError
