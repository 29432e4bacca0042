"""A household of real assistants over a real store, without a gateway: the way in that a gateway uses."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from ploinky.assistants.assistant import Assistant, RunRequest
from ploinky.assistants.household import Household
from ploinky.assistants.messages import NewMessage, Role
from ploinky.assistants.runs import Run, RunKind
from ploinky.assistants.scrubbing import Scrubber
from ploinky.assistants.services import AssistantServices, NoSkills
from ploinky.assistants.sessions import ChannelKind, Session
from ploinky.assistants.toolkit import AgentTool, OnProgress, ToolOutcome
from ploinky.base.jsontypes import JsonObject
from ploinky.base.outbound import OutboundPolicy
from ploinky.providers.config import ModelConfig
from ploinky.providers.credentials import Keyring
from ploinky.providers.models import Models
from ploinky.providers.registry import ProviderContext, ProviderRegistry
from ploinky.skills.sandbox import Sandbox
from ploinky.workspace.layout import Layout

Answerer = Callable[[str, JsonObject, OnProgress], Any]


@dataclass
class Crew:
    """Agents whose tools are functions of the test: slow, failing or dying ones on demand."""

    offered: list[AgentTool] = field(default_factory=list)
    calls: list[tuple[str, str, JsonObject, str]] = field(default_factory=list)
    answers: dict[str, Answerer] = field(default_factory=dict)

    def add(self, agent: str, tool: str, answer: Answerer, *, read_only: bool = False) -> None:
        schema: JsonObject = {"type": "object"}
        self.offered.append(AgentTool(agent, tool, f"{tool} of {agent}", schema, read_only))
        self.answers[f"{agent}.{tool}"] = answer

    def tools(self) -> Sequence[AgentTool]:
        return self.offered

    async def call(
        self, agent: str, tool: str, arguments: JsonObject, *, caller: str, on_progress: OnProgress
    ) -> ToolOutcome:
        self.calls.append((agent, tool, arguments, caller))
        answer = await self.answers[f"{agent}.{tool}"](tool, arguments, on_progress)
        return answer if isinstance(answer, ToolOutcome) else ToolOutcome(str(answer))


@dataclass
class Home:
    """A running household and what it stands on."""

    layout: Layout
    household: Household
    crew: Crew
    secrets: dict[str, str]

    def __getitem__(self, assistant: str) -> Assistant:
        return self.household.require(assistant)

    async def say(
        self, text: str, *, to: str | None = None, session: str = "main", kind: RunKind = RunKind.USER
    ) -> Run:
        """Send a message; the run as it was queued."""
        request = RunRequest(Session(session, ChannelKind.WEB), [NewMessage(Role.USER, text)], kind)
        return await self.household.require(to).start_run(request)

    async def talk(self, text: str, *, to: str | None = None, session: str = "main") -> str:
        """Send a message and wait for the answer."""
        assistant = self.household.require(to)
        run = await self.say(text, to=to, session=session)
        ended = await assistant.wait_run(run.id, 30)
        assert ended.ended, ended
        assert ended.error is None, ended.error
        return assistant.runs.text(run.id)

    def configure(self, **document: object) -> None:
        """Replace ``config.json``."""
        self.layout.config_file.write_text(json.dumps(document), encoding="utf-8")


@asynccontextmanager
async def open_home(
    layout: Layout,
    *,
    crew: Crew | None = None,
    registry: ProviderRegistry | None = None,
    environ: Mapping[str, str] | None = None,
    fetching: OutboundPolicy | None = None,
    **document: object,
) -> AsyncIterator[Home]:
    """A household of the workspace; ``document`` is its ``config.json``."""
    if document:
        layout.config_file.write_text(json.dumps(document), encoding="utf-8")
    installed = registry or ProviderRegistry.installed()
    secrets: dict[str, str] = {}

    def make_models(assistant: str, root: Path, entries: Mapping[str, ModelConfig]) -> Models:
        keys = Keyring(None, environ or {}, assistant)
        return Models(entries, installed, ProviderContext("", keys, environ or {}))

    agents = crew or Crew()
    services = AssistantServices(
        layout,
        agents,
        make_models,
        Scrubber(secrets.values),
        fetching or OutboundPolicy(),
        NoSkills(),
        lambda: Sandbox(os.environ),
    )
    household = Household(services)
    async with anyio.create_task_group() as tasks:
        await tasks.start(household.run)
        yield Home(layout, household, agents, secrets)
        tasks.cancel_scope.cancel()
