"""Where an agent's programs run, and how one is started there.

A relative command or folder is taken from the agent's code; a bare word that is no file there is looked up in
PATH. Variables of the agent come first, those of the entry over them, the arguments' last.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from ploinky.base.redaction import Redactor
from ploinky.channel.model import SpawnRequest
from ploinky.toolhost.specs import ProgramSpec

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MAX_OUTPUT_BYTES = 8 * 1024 * 1024


async def no_secrets() -> Redactor:
    """For places without any."""
    return Redactor()


@dataclass(frozen=True)
class ToolPlace:
    """The agent that tools run in: its key, its paths inside, how to get its environment, and what masks the
    secrets of that in a failing program's words."""

    agent: str
    environment: Callable[[], Awaitable[Mapping[str, str]]]
    code_path: str = "/code"
    workspace_path: str = "/code"
    redactor: Callable[[], Awaitable[Redactor]] = no_secrets


def spawn_request(spec: ProgramSpec, place: ToolPlace, environment: Mapping[str, str]) -> SpawnRequest:
    """How to start the program. One that asks the client is not timed by the launcher, which cannot know
    how long the client takes."""
    if spec.cwd == "workspace":
        cwd = place.workspace_path
    else:
        cwd = str(PurePosixPath(place.code_path, spec.cwd or ""))
    return SpawnRequest(
        argv=(str(PurePosixPath(place.code_path, spec.command)), *spec.args),
        env=tuple({"PATH": DEFAULT_PATH, **environment, **dict(spec.env)}.items()),
        cwd=cwd,
        timeout_s=None if spec.asks else spec.limit_s,
        max_output=MAX_OUTPUT_BYTES,
    )
