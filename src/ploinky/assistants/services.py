"""What the composition root gives to all assistants; none of it belongs to one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ploinky.assistants.scrubbing import Scrubber
from ploinky.assistants.toolkit import AgentTools, BuiltinTool, RequestCredential
from ploinky.assistants.tools.run import ProgramRunner
from ploinky.base.outbound import OutboundPolicy
from ploinky.providers.config import ModelConfig
from ploinky.providers.models import Models
from ploinky.workspace.layout import Layout

MakeModels = Callable[[str, Path, Mapping[str, ModelConfig]], Models]
"""The configured models for the assistant of an id and a root, with a keyring that holds its keys only."""


class SkillShelf(Protocol):
    """The skills of assistants, by their ids."""

    def catalogue(self, assistant: str) -> Sequence[tuple[str, str]]:
        """Name and description of every skill that the assistant may use now."""
        ...

    def tools(self, assistant: str, request: RequestCredential) -> Sequence[BuiltinTool]:
        """The tools by which it uses them; made once per assistant. ``request`` asks for missing keys."""
        ...


class NoSkills:
    """No skills at all."""

    def catalogue(self, assistant: str) -> Sequence[tuple[str, str]]:
        return ()

    def tools(self, assistant: str, request: RequestCredential) -> Sequence[BuiltinTool]:
        return ()


@dataclass(frozen=True)
class AssistantServices:
    """``fetching`` is what ``web_fetch`` may reach; ``sandbox`` makes what ``exec`` runs in."""

    layout: Layout
    agents: AgentTools
    make_models: MakeModels
    scrubber: Scrubber
    fetching: OutboundPolicy
    skills: SkillShelf
    sandbox: Callable[[], ProgramRunner]
