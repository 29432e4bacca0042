"""Where assistants live: which roots the configuration names, and that each is safe.

A root resolves, symlinks included, inside the workspace; none repeats; one inside another is closed to the
outer one; the control folder and the folders of agents are nobody's root. A root that fails is left out with
its reason or, if the configuration says so, fails everything. Opens no store.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ploinky.assistants.settings import ProfileEntry, ProfilesSection, is_assistant_id
from ploinky.base.errors import PloinkyError, UsageError
from ploinky.base.files import safe_join
from ploinky.workspace.layout import Layout

DEFAULT_ID = "default"
DEFAULT_ROOT = "assistants/default"


@dataclass(frozen=True)
class RootFault:
    """An assistant that cannot be: why, as a person should read it."""

    id: str
    error: PloinkyError


@dataclass(frozen=True)
class ProfileRoot:
    """A root that passed every check: absolute, resolved.

    ``closed`` are folders that no tool of this assistant may enter; of those in ``shielded`` (its own root
    and the ones around it) only what is an assistant's own is closed.
    """

    id: str
    path: Path
    model_id: str | None
    closed: tuple[Path, ...] = ()
    shielded: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Roots:
    """The assistants that can be, in the order of the configuration, and those that cannot."""

    found: tuple[ProfileRoot, ...]
    faults: tuple[RootFault, ...]


def find_roots(layout: Layout, section: ProfilesSection) -> Roots:
    """The roots that the configuration names; the default one is made if it is missing.

    Raises:
        PloinkyError: the first fault, if ``profilesOnError`` is ``fail``; ``ROOT_INVALID`` if the folder of
            all roots is unusable.
    """
    found: list[ProfileRoot] = []
    faults: list[RootFault] = []
    taken: dict[Path, str] = {}
    for entry in _entries(layout, section):
        try:
            path = _require_root(layout, entry)
            if path in taken:
                raise _fault(entry, f"it is the root of '{taken[path]}' already")
        except PloinkyError as error:
            if section.profiles_on_error == "fail":
                raise
            faults.append(RootFault(entry.id, error))
        else:
            taken[path] = entry.id
            found.append(ProfileRoot(entry.id, path, entry.model_id))
    return Roots(tuple(_closed(layout, root, found) for root in found), tuple(faults))


def is_single(section: ProfilesSection) -> bool:
    """Whether nothing is configured, so that there is the one assistant ``default``."""
    return section.profiles is None and section.agent_profiles_root is None


def _entries(layout: Layout, section: ProfilesSection) -> list[ProfileEntry]:
    if is_single(section):
        safe_join(layout.root, DEFAULT_ROOT).mkdir(parents=True, exist_ok=True, mode=0o700)
        return [ProfileEntry(id=DEFAULT_ID, root=DEFAULT_ROOT)]
    if section.profiles is not None:
        return list(section.profiles)
    base = section.agent_profiles_root or "."
    folder = safe_join(layout.root, base)
    try:
        names = sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name[0] not in "._")
    except OSError as error:
        raise PloinkyError(
            "ROOT_INVALID",
            f"agentProfilesRoot {base!r} cannot be read: {error.strerror}.",
            hint="Make the folder, or correct the key in .ploinky/config.json.",
        ) from error
    return [ProfileEntry.model_construct(id=name, root=f"{base}/{name}", model_id=None) for name in names]


def _require_root(layout: Layout, entry: ProfileEntry) -> Path:
    if not is_assistant_id(entry.id):
        raise _fault(entry, "its name is no id (1 to 64 of a-z, 0-9, '_' and '-')")
    try:
        path = safe_join(layout.root, entry.root)
    except UsageError as error:
        raise _fault(entry, "it leads outside the workspace") from error
    if not path.is_dir():
        raise _fault(entry, "there is no such folder")
    for reserved in (layout.control, layout.agents, layout.code, layout.skills):
        if path == reserved or reserved in path.parents:
            raise _fault(entry, f"{reserved.relative_to(layout.root)} is not for assistants")
    return path


def _closed(layout: Layout, root: ProfileRoot, all_roots: list[ProfileRoot]) -> ProfileRoot:
    around = tuple(each.path for each in all_roots if each is root or each.path in root.path.parents)
    others = tuple(each.path for each in all_roots if each.path not in around)
    return ProfileRoot(root.id, root.path, root.model_id, (layout.control, *others), around)


def _fault(entry: ProfileEntry, why: str) -> PloinkyError:
    return PloinkyError(
        "ROOT_INVALID",
        f"The assistant '{entry.id}' is left out: its root {entry.root!r} cannot be used, {why}.",
        hint="Correct it in .ploinky/config.json, or make it: ploinky assistant create ID",
        details={"profileId": entry.id, "root": entry.root},
    )
