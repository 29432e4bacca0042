"""One agent with a real launcher, and hosts over its present configuration."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from ploinky.base.jsontypes import JsonObject
from ploinky.channel.client import Channel
from ploinky.toolhost.config import parse_mcp_config
from ploinky.toolhost.host import CallMeta, ToolHost, ToolPlace
from ploinky.toolhost.listener import Deaf
from ploinky.toolhost.said import LogMessage, Progress, Question
from tests.router.stand import Agent

META = CallMeta("r1", None, "owner")


class Follower(Deaf):
    """Remembers what it heard; answers questions by key."""

    def __init__(self, answers: Mapping[str, JsonObject] | None = None, *capabilities: str) -> None:
        self.answers = answers or {}
        self.capabilities = frozenset(capabilities)
        self.seen: list[Progress] = []
        self.logs: list[LogMessage] = []
        self.changed: list[str] = []
        self.asked: list[Mapping[str, Question]] = []

    def progress(self, progress: Progress) -> None:
        self.seen.append(progress)

    def log(self, message: LogMessage) -> None:
        self.logs.append(message)

    def updated(self, uri: str) -> None:
        self.changed.append(uri)

    async def ask(self, questions: Mapping[str, Question]) -> Mapping[str, JsonObject]:
        self.asked.append(questions)
        return {key: self.answers[key] for key in questions}


@contextlib.asynccontextmanager
async def agent() -> AsyncIterator[Agent]:
    """An agent that runs, without a configuration yet."""
    with tempfile.TemporaryDirectory(prefix="ploinky-host-", dir="/tmp") as name:
        folder = Path(name) / "code"
        folder.mkdir()
        made = Agent("alpha", folder, Path(name) / "s")
        await made.start()
        try:
            yield made
        finally:
            await made.kill()


def host_over(made: Agent, channel: Channel) -> ToolHost:
    """A host of the agent's present configuration over an open channel."""

    async def environment() -> dict[str, str]:
        return made.environment

    async def connected() -> Channel:
        return channel

    config = parse_mcp_config(made.config_file.read_text(encoding="utf-8"), source="mcp-config.json")
    place = ToolPlace("alpha", environment, str(made.folder), str(made.folder.parent))
    return ToolHost(place, connected, config)


@contextlib.asynccontextmanager
async def hosting(made: Agent) -> AsyncIterator[ToolHost]:
    """A host with a connection of its own."""
    async with await Channel.connect(made.socket_path) as channel:
        host = host_over(made, channel)
        try:
            yield host
        finally:
            await host.close()
