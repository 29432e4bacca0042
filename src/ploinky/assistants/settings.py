"""What may be set for an assistant: the sections of ``config.json`` that all share, and a root's overlay.

Every section may stand in the workspace's ``config.json`` (for all assistants) and in ``config.json`` of a
profile root (for that one, laid over). Everything is checked whole and every fault names its key. To add a
setting: a field of its section, and a line in docs/assistants.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from ploinky.assistants.durations import Duration
from ploinky.base.camel import CamelSection
from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.base.names import closest

CONFIG_INVALID = "CONFIG_INVALID"
_S = TypeVar("_S", bound="Section")
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\Z")
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d\Z")


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("no such time zone; write one such as Europe/Paris") from None
    return name


def _clock(text: str) -> str:
    if _CLOCK.match(text) is None:
        raise ValueError("write a time of day such as 08:30")
    return text


def _identifier(text: str) -> str:
    if _ID.match(text) is None:
        raise ValueError("an id is 1 to 64 of a-z, 0-9, '_' and '-', and begins with a letter or digit")
    return text


def is_assistant_id(text: str) -> bool:
    """Whether ``text`` may be the id of an assistant."""
    return _ID.match(text) is not None


AssistantId = Annotated[str, AfterValidator(_identifier)]
ZoneName = Annotated[str, AfterValidator(_zone)]
Clock = Annotated[str, AfterValidator(_clock)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Names = Annotated[tuple[str, ...], Field(strict=False)]


class Section(CamelSection):
    """A part of the configuration: camelCase on disk, unknown keys refused, immutable."""


class ActiveHours(Section):
    """From ``start`` to ``end`` (which may lie on the next day) in ``time_zone``."""

    start: Clock = "00:00"
    end: Clock = "23:59"
    time_zone: ZoneName = "UTC"


class HeartbeatSettings(Section):
    """``jitter`` is added at random, up to so much; what it says goes into the thread ``session``."""

    enabled: bool = True
    every: Duration = 1800.0
    jitter: Annotated[float, Field(ge=0)] = 60.0
    active_hours: ActiveHours | None = None
    session: str = "main"


class CronSettings(Section):
    """``missed``: what happens to runs that fell into a time when nothing ran."""

    enabled: bool = True
    missed: Literal["skip", "once"] = "once"
    retries: Count = 2
    retry_after: Duration = 30.0
    time_zone: ZoneName = "UTC"
    history: Positive = 50


class MemorySettings(Section):
    """``consolidation``: who accepts proposed edits of MEMORY.md.

    ``embeddings``: the id of a model that makes vectors of memory, for finding what is meant and not only
    what is written; None: words only.
    """

    embeddings: str | None = None
    consolidation: Literal["off", "ask", "auto"] = "ask"
    recency_half_life: Duration = 30 * 86400.0
    results: Positive = 8


class ContextShares(Section):
    """How the tokens of one request are divided; what a part leaves over, the thread gets."""

    substrate: Share = 0.25
    memory: Share = 0.10
    skills: Share = 0.05
    tools: Share = 0.20
    reply: Share = 0.15


class ContextSettings(Section):
    """``max_context_tokens``: None takes the model's own size, or ``assumed_tokens`` if that is unknown."""

    max_context_tokens: Positive | None = None
    assumed_tokens: Positive = 8192
    shares: ContextShares = ContextShares()
    summarise: bool = True


class BudgetSettings(Section):
    """What one assistant may spend; None: no limit. Proactive messages are those that nobody asked for."""

    proactive_per_hour: Count | None = 6
    proactive_per_day: Count | None = 40
    tokens_per_day: Count | None = None
    cost_per_day: Annotated[float, Field(ge=0)] | None = None


class WorkspaceRoot(Section):
    """A folder, relative to the workspace, that the assistant may read, or also write."""

    path: str
    access: Literal["read", "write"] = "read"


class WorkspacesSettings(Section):
    roots: Annotated[tuple[WorkspaceRoot, ...], Field(strict=False)] = ()
    max_file_bytes: Positive = 512 * 1024


class ToolSettings(Section):
    """``allow`` and ``deny`` hold globs over tool names (``agent.tool``, or a built-in's name); ``approve``
    those that need a person's word each time unless a grant covers them, ``trust`` those that never do."""

    allow: Names = ("*",)
    deny: Names = ()
    approve: Names = ()
    trust: Names = ()
    timeout: Duration = 300.0
    max_result_chars: Positive = 50_000


class TurnSettings(Section):
    """Bounds of one turn and of the queue of one session."""

    max_rounds: Positive = 32
    timeout: Duration = 900.0
    max_output_chars: Positive = 400_000
    queue: Positive = 16
    approval_timeout: Duration = 1800.0


class SkillsSettings(Section):
    enabled: bool = True


class AssistantSettings(Section):
    """Everything that may differ from one assistant to another; also the shape of a root's overlay."""

    name: str | None = None
    model_id: str | None = None
    heartbeat: HeartbeatSettings = HeartbeatSettings()
    cron: CronSettings = CronSettings()
    memory: MemorySettings = MemorySettings()
    context: ContextSettings = ContextSettings()
    budgets: BudgetSettings = BudgetSettings()
    workspaces: WorkspacesSettings = WorkspacesSettings()
    tools: ToolSettings = ToolSettings()
    turn: TurnSettings = TurnSettings()
    skills: SkillsSettings = SkillsSettings()


class ProfileEntry(Section):
    """One assistant as the workspace's configuration names it; ``root`` is relative to the workspace."""

    id: AssistantId
    root: str
    model_id: str | None = None


class ProfilesSection(Section):
    """The keys of ``config.json`` that say which assistants there are."""

    profiles: Annotated[tuple[ProfileEntry, ...], Field(strict=False)] | None = None
    agent_profiles_root: str | None = None
    profiles_on_error: Literal["skip", "fail"] = "skip"


SHARED = ("heartbeat", "cron", "memory", "context", "budgets", "workspaces", "tools", "turn", "skills")


def parse_profiles(path: Path, document: Mapping[str, JsonValue]) -> ProfilesSection:
    """Which assistants ``config.json`` at ``path`` names.

    Raises:
        PloinkyError: ``CONFIG_INVALID``, naming every faulty key.
    """
    keys = ("profiles", "agentProfilesRoot", "profilesOnError")
    given = {key: document[key] for key in keys if document.get(key) is not None}
    section = _checked(ProfilesSection, path, given)
    if section.profiles is not None and section.agent_profiles_root is not None:
        raise _invalid(path, ["agentProfilesRoot: give either this or profiles"], ["agentProfilesRoot"])
    seen: set[str] = set()
    for index, entry in enumerate(section.profiles or ()):
        if entry.id in seen:
            raise _invalid(path, [f"profiles.{index}.id: '{entry.id}' stands there twice"], ["profiles"])
        seen.add(entry.id)
    return section


def shared_sections(path: Path, document: Mapping[str, JsonValue]) -> JsonObject:
    """The sections of ``config.json`` that hold for all assistants, checked.

    Raises:
        PloinkyError: ``CONFIG_INVALID``.
    """
    given: JsonObject = {key: document[key] for key in SHARED if document.get(key) is not None}
    _checked(AssistantSettings, path, given)
    return given


def settings_of(shared: JsonObject, overlay: JsonObject, path: Path) -> AssistantSettings:
    """The settings of one assistant: ``overlay`` (the file at ``path``) over what all share.

    Raises:
        PloinkyError: ``CONFIG_INVALID``.
    """
    return _checked(AssistantSettings, path, laid_over(shared, overlay))


def laid_over(base: Mapping[str, JsonValue], over: Mapping[str, JsonValue]) -> JsonObject:
    """``base`` with ``over`` laid on it: objects key by key, everything else replaced."""
    merged: JsonObject = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = (
            laid_over(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
        )
    return merged


def _checked(kind: type[_S], path: Path, value: object) -> _S:
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
        keys = [".".join(str(part) for part in fault["loc"]) for fault in faults]
        said = [
            _guess(kind, fault["loc"]) if fault["type"] == "extra_forbidden" else fault["msg"]
            for fault in faults
        ]
        raise _invalid(path, [f"{key}: {text}" for key, text in zip(keys, said, strict=True)], keys) from None


def _invalid(path: Path, lines: list[str], keys: list[str]) -> PloinkyError:
    return PloinkyError(
        CONFIG_INVALID,
        f"{path} is not valid:\n" + "\n".join(f"  {line}" for line in lines),
        hint="Correct these keys and try again; the file was not changed.",
        details={"path": str(path), "keys": ", ".join(keys)},
    )


def _guess(kind: type[Section], place: tuple[int | str, ...]) -> str:
    section: type[BaseModel] | None = kind
    for part in place[:-1]:
        field = next((f for f in section.model_fields.values() if f.alias == part), None) if section else None
        inner = field.annotation if field else None
        section = inner if isinstance(inner, type) and issubclass(inner, BaseModel) else None
    known = [f.alias or name for name, f in section.model_fields.items()] if section else []
    near = closest(str(place[-1]), known)
    return f"unknown key; did you mean '{near}'?" if near else "unknown key"
