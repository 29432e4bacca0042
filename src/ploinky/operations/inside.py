"""Programs inside an agent for a person at a terminal: a shell, the agent's own ``cli``, any command.

No events: a terminal wants bytes. The program ends with the context, whatever happens to the caller.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence

from ploinky.base.errors import PloinkyError
from ploinky.channel.client import open_channel
from ploinky.channel.model import SpawnRequest
from ploinky.channel.program import Program
from ploinky.lifecycle.context import LifecycleContext
from ploinky.lifecycle.environment import agent_environment
from ploinky.lifecycle.sandboxes import socket_folder
from ploinky.lifecycle.sources import effective_config
from ploinky.lifecycle.variables import command_args
from ploinky.manifest.refs import AgentRef
from ploinky.operations.platform import Platform
from ploinky.operations.references import require_enabled
from ploinky.runtimes.spec import SOCKET_NAME

_SHELL = ("/bin/sh", "-c", "command -v bash >/dev/null 2>&1 && exec bash; exec sh")
_CODE = "/code"


@contextlib.asynccontextmanager
async def open_program(
    platform: Platform, agent: AgentRef, argv: Sequence[str], *, pty: tuple[int, int] | None
) -> AsyncIterator[Program]:
    """Run ``argv`` in the agent, in its working directory, with its whole environment.

    Raises:
        NotFoundError: ``AGENT_NOT_ENABLED``. PloinkyError: ``AGENT_NOT_RUNNING``; as ``Channel.spawn``.
    """
    key = require_enabled(platform.registry, agent).key
    async with platform.open_lifecycle() as ctx:
        config = effective_config(ctx, ctx.registry.require(key))
        environment = await _environment(ctx, key)
        if pty is not None:
            environment.setdefault("TERM", platform.environ.get("TERM", "xterm"))
        request = SpawnRequest(
            argv=tuple(argv),
            env=tuple(sorted(environment.items())),
            cwd=config.commands.workdir or _CODE,
            pty=pty,
        )
        async with (
            open_channel(socket_folder(ctx, key) / SOCKET_NAME) as channel,
            channel.spawn(request) as program,
        ):
            yield program


def shell_args() -> tuple[str, ...]:
    """The argv of the best shell that the agent has."""
    return _SHELL


async def cli_args(platform: Platform, agent: AgentRef) -> tuple[str, ...]:
    """The argv of the agent's own interactive command (``cli``, else ``run``, else a shell)."""
    entry = require_enabled(platform.registry, agent)
    async with platform.open_lifecycle() as ctx:
        config = effective_config(ctx, entry)
    return command_args(config.commands.interactive, config.commands)


async def _environment(ctx: LifecycleContext, key: str) -> dict[str, str]:
    try:
        return dict(await agent_environment(ctx, key))
    except PloinkyError as error:
        if error.code not in ("CHANNEL_UNREACHABLE", "CHANNEL_LOST"):
            raise
        raise PloinkyError(
            "AGENT_NOT_RUNNING", f"Agent '{key}' does not run.", hint=f"Start it: ploinky start {key}"
        ) from error
