"""The registry of enabled agents: ``.ploinky/agents``, a JSON object keyed by alias or agent name.

Readers take no lock and always see a whole file; ``update`` reads, changes and writes under one. A file
that cannot be understood stops the command and is never overwritten. Keys that this version does not know,
in an entry or at the top (those starting with ``_``), survive. The older ``agents.json`` is read while
there is no ``agents``; ``registry_forms`` knows the older shapes.

Commands that only show what is enabled read ``summary`` instead, which costs no pydantic.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, ValidationError

from ploinky.base.camel import CamelModel
from ploinky.base.clock import now_iso
from ploinky.base.errors import NotFoundError
from ploinky.base.files import FileLock
from ploinky.base.names import closest, is_name
from ploinky.manifest.refs import RunMode
from ploinky.workspace.documents import shape_error, write_json
from ploinky.workspace.layout import Layout
from ploinky.workspace.leftovers import remove_leftovers
from ploinky.workspace.registry_forms import REGISTRY_INVALID, read_raw_registry
from ploinky.workspace.states import AgentState, Desired, require_transition

T = TypeVar("T")
HISTORY_KEPT = 20
LOCK_NAME = "registry"


def _checked_name(text: str) -> str:
    if not is_name(text):
        raise ValueError("must be a name: letters, digits, '.', '_' or '-'")
    return text


Name = Annotated[str, AfterValidator(_checked_name)]


class _Record(CamelModel):
    model_config = ConfigDict(extra="allow")


class StateChange(_Record):
    """The agent entered ``state`` at ``at`` (ISO 8601) for ``reason``."""

    state: AgentState
    at: str
    reason: str = ""


class Bind(_Record):
    """A host path seen at ``target``; ``ro``: read-only."""

    source: str
    target: str
    ro: bool = False


class BoundPort(_Record):
    """A port of the agent as it is offered on the host; ``host_port`` 0: not known yet."""

    container_port: int
    host_port: int = 0
    host_ip: str = "127.0.0.1"
    protocol: str = "tcp"


class ProfileConfig(_Record):
    """What the profile resolved to: values that anybody may see, and the names of secrets, never values."""

    env: dict[str, str] = Field(default_factory=dict)
    secrets_loaded: tuple[str, ...] = ()


class RegistryEntry(_Record):
    """One enabled agent. Immutable: change it by ``model_copy(update=...)`` or ``moved_to``.

    ``enabled_by`` is the key of the agent whose ``enable`` pulled this one in, None if a person did;
    ``order`` counts the enabling. ``spec_digest`` and ``install_digest`` are what the sandbox was made
    from and what its installs ran for. JSON names are the camelCase forms.
    """

    agent_name: Name
    repo_name: Name
    alias: Name | None = None
    container_image: str = ""
    container_name: str = ""
    container_id: str | None = None
    created_at: str = Field(default_factory=now_iso)
    project_path: str = ""
    run_mode: RunMode = RunMode.ISOLATED
    type: str = "agent"
    profile: str | None = None
    state: AgentState = AgentState.ENABLED
    state_reason: str = ""
    state_since: str = Field(default_factory=now_iso)
    history: tuple[StateChange, ...] = ()
    desired: Desired = Desired.STOPPED
    runtime: str | None = None
    spec_digest: str | None = None
    install_digest: str | None = None
    profile_config: ProfileConfig = Field(default_factory=ProfileConfig)
    binds: tuple[Bind, ...] = ()
    ports: tuple[BoundPort, ...] = ()
    order: int = 0
    enabled_by: str | None = None

    @property
    def key(self) -> str:
        """The name under which the registry, links, routes and commands know this agent."""
        return self.alias or self.agent_name

    def moved_to(self, state: AgentState, reason: str = "") -> RegistryEntry:
        """This entry in ``state``, the step noted in its history with the time and ``reason``.

        Staying in the same state for the same reason changes nothing.

        Raises:
            PloinkyError: ``ILLEGAL_TRANSITION``.
        """
        require_transition(self.key, self.state, state)
        if state is self.state and reason == self.state_reason:
            return self
        now = now_iso()
        change = StateChange(state=state, at=now, reason=reason)
        history = (*self.history, change)[-HISTORY_KEPT:]
        return self.model_copy(
            update={"state": state, "state_reason": reason, "state_since": now, "history": history}
        )


class Registry:
    """The enabled agents of one workspace. Holds no state: every call asks the disk."""

    def __init__(self, layout: Layout, *, lock_timeout_s: float = 10.0) -> None:
        self._layout = layout
        self._lock_timeout_s = lock_timeout_s

    def read(self) -> dict[str, RegistryEntry]:
        """All entries by key, in the order of the file; empty if nothing was ever enabled.

        Raises:
            PloinkyError: ``REGISTRY_INVALID`` with path and place.
        """
        entries, _ = self._load()
        return entries

    def get(self, key: str) -> RegistryEntry | None:
        return self.read().get(key)

    def require(self, key: str) -> RegistryEntry:
        """The entry of ``key``.

        Raises:
            NotFoundError: ``AGENT_NOT_ENABLED``, with the nearest key that is enabled.
        """
        entries = self.read()
        if key in entries:
            return entries[key]
        raise not_enabled(key, entries)

    def update(self, change: Callable[[dict[str, RegistryEntry]], T]) -> T:
        """Read, let ``change`` alter the dictionary, write; no other writer comes between.

        Nothing is written if ``change`` raises or leaves the dictionary equal. Entries are stored under
        their own ``key``, whatever key ``change`` used.

        Raises:
            PloinkyError: ``REGISTRY_INVALID``; ``FILE_LOCKED`` after the lock's deadline.
        """
        with FileLock(self._layout.lock(LOCK_NAME), timeout_s=self._lock_timeout_s):
            entries, extras = self._load()
            before = dict(entries)
            result = change(entries)
            if entries != before:
                self._store(entries, extras)
            return result

    def put(self, entry: RegistryEntry) -> RegistryEntry:
        """Add or replace one entry."""

        def change(entries: dict[str, RegistryEntry]) -> RegistryEntry:
            entries[entry.key] = entry
            return entry

        return self.update(change)

    def move(self, key: str, state: AgentState, reason: str = "") -> RegistryEntry:
        """Move one agent to ``state`` (``RegistryEntry.moved_to``).

        Raises:
            NotFoundError: ``AGENT_NOT_ENABLED``.
            PloinkyError: ``ILLEGAL_TRANSITION``.
        """

        def change(entries: dict[str, RegistryEntry]) -> RegistryEntry:
            if key not in entries:
                raise not_enabled(key, entries)
            entries[key] = entries[key].moved_to(state, reason)
            return entries[key]

        return self.update(change)

    def remove(self, key: str) -> RegistryEntry | None:
        """Forget one agent; its last entry, or None if it was not there."""
        return self.update(lambda entries: entries.pop(key, None))

    def _load(self) -> tuple[dict[str, RegistryEntry], dict[str, object]]:
        raw = read_raw_registry(self._layout)
        entries: dict[str, RegistryEntry] = {}
        for key, fields in raw.entries.items():
            entries[key] = _entry(raw.path, key, fields)
        return entries, raw.extras

    def _store(self, entries: dict[str, RegistryEntry], extras: dict[str, object]) -> None:
        path = self._layout.registry_file
        remove_leftovers(path)
        body = {entry.key: entry.model_dump(mode="json", by_alias=True) for entry in entries.values()}
        write_json(path, {**extras, **body})


def not_enabled(key: str, enabled: dict[str, RegistryEntry]) -> NotFoundError:
    """The error for an agent that is not in the registry."""
    near = closest(key, enabled)
    hint = f"Did you mean '{near}'?" if near else f"Enable it: ploinky enable agent {key}"
    return NotFoundError(
        "AGENT_NOT_ENABLED", f"Agent '{key}' is not enabled.", hint=hint, details={"agent": key}
    )


def _entry(path: Path, key: str, fields: dict[str, object]) -> RegistryEntry:
    try:
        return RegistryEntry.model_validate(fields, by_alias=True, by_name=False)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join([key, *(str(part) for part in first["loc"])])
        raise shape_error(path, REGISTRY_INVALID, f"{place}: {first['msg']}", key=place) from None
