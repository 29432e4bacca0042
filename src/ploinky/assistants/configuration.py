"""The configuration of all assistants at one moment: ``config.json`` of the workspace and of every root.

Read whole and checked whole: either everything is known, or the fault names its file and key. One assistant
whose own overlay is faulty is left out (or fails everything, per ``profilesOnError``). Reading it again is
how a change takes effect; ``stamp`` says cheaply whether there is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from ploinky.assistants.roots import ProfileRoot, RootFault, find_roots, is_single
from ploinky.assistants.settings import (
    CONFIG_INVALID,
    AssistantSettings,
    ProfilesSection,
    parse_profiles,
    settings_of,
    shared_sections,
)
from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.providers.config import OFFLINE, ModelConfig
from ploinky.workspace.documents import read_json_object
from ploinky.workspace.layout import Layout

OVERLAY = "config.json"
OFFLINE_ID = "offline"


@dataclass(frozen=True)
class AssistantConfig:
    """One assistant as configured; ``model_id`` is resolved: its own, or the workspace's default."""

    root: ProfileRoot
    settings: AssistantSettings
    model_id: str

    @property
    def id(self) -> str:
        return self.root.id


@dataclass(frozen=True)
class Configuration:
    """All assistants in order, those left out, and the models they may use."""

    assistants: tuple[AssistantConfig, ...]
    faults: tuple[RootFault, ...]
    models: Mapping[str, ModelConfig]
    default_model: str
    section: ProfilesSection
    stamp: tuple[object, ...]

    @property
    def is_single(self) -> bool:
        return is_single(self.section)


def read_configuration(layout: Layout) -> Configuration:
    """The configuration of this moment.

    Raises:
        PloinkyError: ``CONFIG_INVALID``, ``ROOT_INVALID``, ``FILE_READ``.
    """
    before = _stat(layout.config_file)
    document = _document(layout.config_file)
    section = parse_profiles(layout.config_file, document)
    shared = shared_sections(layout.config_file, document)
    models, default = read_models(layout.config_file, document)
    roots = find_roots(layout, section)
    assistants: list[AssistantConfig] = []
    faults = list(roots.faults)
    for root in roots.found:
        try:
            assistants.append(_assistant(root, shared, models, default))
        except PloinkyError as error:
            if section.profiles_on_error == "fail":
                raise
            faults.append(RootFault(root.id, error))
    overlays = tuple((str(root.path), _stat(root.path / OVERLAY)) for root in roots.found)
    listing = _listing(layout, section)
    return Configuration(
        tuple(assistants), tuple(faults), models, default, section, (before, overlays, listing)
    )


def stamp_of(layout: Layout, last: Configuration) -> tuple[object, ...]:
    """Differs from ``last.stamp`` if a file that was read has changed since; never raises."""
    paths = [Path(str(path)) for path, _ in _overlays(last)]
    overlays = tuple((str(path), _stat(path / OVERLAY)) for path in paths)
    return (_stat(layout.config_file), overlays, _listing(layout, last.section))


def read_models(path: Path, document: Mapping[str, JsonValue]) -> tuple[dict[str, ModelConfig], str]:
    """The models of ``config.json`` (always with ``offline``) and the id of the default one.

    Raises:
        PloinkyError: ``CONFIG_INVALID``, naming every faulty key.
    """
    given = document.get("models") or {}
    if not isinstance(given, dict):
        raise _invalid(path, ["models: must be an object"])
    models, lines = {OFFLINE_ID: OFFLINE}, []
    for name, entry in given.items():
        try:
            models[name] = ModelConfig.model_validate(entry)
        except ValidationError as error:
            for fault in error.errors(include_url=False, include_input=False):
                key = ".".join(("models", name, *(str(part) for part in fault["loc"])))
                lines.append(f"{key}: {fault['msg']}")
    default = document.get("defaultModel")
    if default is not None and (not isinstance(default, str) or default not in {*models, *given}):
        lines.append("defaultModel: there is no such entry in models")
    if lines:
        raise _invalid(path, lines)
    return models, default if isinstance(default, str) else OFFLINE_ID


def _assistant(
    root: ProfileRoot, shared: JsonObject, models: Mapping[str, ModelConfig], default: str
) -> AssistantConfig:
    file = root.path / OVERLAY
    settings = settings_of(shared, _document(file), file)
    model_id = settings.model_id or root.model_id or default
    if model_id not in models:
        raise _invalid(file, [f"modelId: there is no model '{model_id}' in models"])
    return AssistantConfig(root, settings, model_id)


def _document(path: Path) -> dict[str, JsonValue]:
    found = read_json_object(path, code=CONFIG_INVALID)
    return {} if found is None else dict(found)  # type: ignore[arg-type]  # JSON is all that JSON holds


def _overlays(configuration: Configuration) -> tuple[tuple[str, object], ...]:
    found = configuration.stamp[1]
    assert isinstance(found, tuple)
    return found


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_size, facts.st_ino


def _listing(layout: Layout, section: ProfilesSection) -> object:
    if section.agent_profiles_root is None:
        return None
    return _stat(layout.root / section.agent_profiles_root)


def _invalid(path: Path, lines: list[str]) -> PloinkyError:
    return PloinkyError(
        CONFIG_INVALID,
        f"{path} is not valid:\n" + "\n".join(f"  {line}" for line in lines),
        hint="Correct these keys and try again; the file was not changed.",
        details={"path": str(path), "keys": ", ".join(line.partition(":")[0] for line in lines)},
    )
