"""The environment of programs that run in an agent now: shells, tools, hooks."""

from __future__ import annotations

from collections.abc import Mapping

from ploinky.lifecycle.context import LifecycleContext


async def agent_environment(ctx: LifecycleContext, key: str) -> Mapping[str, str]:
    """All variables of a running agent, secrets resolved now, with a fresh agent token.

    Below them lies what the image itself sets (PATH, HOME), read from the sandbox.

    Raises:
        NotFoundError: AGENT_NOT_ENABLED. PloinkyError: CHANNEL_UNREACHABLE if it does not run.
    """
    raise NotImplementedError
