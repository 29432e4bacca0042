"""The environment of programs that run in an agent now (shells, tools, probes), and what of it is secret."""

from __future__ import annotations

from collections.abc import Mapping

import anyio.to_thread

from ploinky.base.errors import PloinkyError
from ploinky.base.redaction import Redactor
from ploinky.channel.client import open_channel
from ploinky.lifecycle.context import LifecycleContext
from ploinky.lifecycle.launching import full_environment
from ploinky.lifecycle.planner import resolve_agent
from ploinky.lifecycle.sandboxes import socket_folder
from ploinky.manifest.env import looks_like_key
from ploinky.runtimes.spec import SOCKET_NAME
from ploinky.secrets.tokens import TOKEN_SHAPES


async def agent_environment(ctx: LifecycleContext, key: str) -> Mapping[str, str]:
    """All variables of a running agent, secrets resolved now, with a fresh agent token, under the profile
    that it was started with.

    Below them lies what the image itself sets (PATH, HOME), read from the sandbox.

    Raises:
        NotFoundError: AGENT_NOT_ENABLED. NeedsApprovalError: MISSING_SECRETS.
        PloinkyError: CHANNEL_UNREACHABLE if it does not run; a manifest's errors.
    """
    entry = ctx.registry.require(key)
    agent = await anyio.to_thread.run_sync(resolve_agent, ctx.as_last_started(entry), entry)
    async with open_channel(socket_folder(ctx, key) / SOCKET_NAME) as channel:
        return await full_environment(channel, agent.environment.values, ctx.layout.work_dir(key).resolve())


def agent_redactor(ctx: LifecycleContext, key: str) -> Redactor:
    """What takes an agent's secrets out of what it printed. May block.

    If its environment cannot be resolved by now, everything is masked that the workspace keeps or that is
    named like a key.

    Raises:
        NotFoundError: AGENT_NOT_ENABLED.
    """
    entry = ctx.registry.require(key)
    own = ctx.as_last_started(entry)
    try:
        return resolve_agent(own, entry).environment.redactor()
    except PloinkyError:
        sources = ctx.secrets.sources(own.profile.name)
        kept = ctx.secrets.kept.names()
        names = {name for name in sources.names() if looks_like_key(name)} | set(kept)
        values = [found.value for name in names if (found := sources.find(name)) is not None]
        return Redactor(values, TOKEN_SHAPES)
