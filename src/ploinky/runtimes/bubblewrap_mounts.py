"""The order of a sandbox's mounts, and the places they need on the host.

A mount whose target lies inside another mount needs a file or folder there before bwrap starts, because
the outer one may be read-only. Missing places are made in the outer mount's source, never through a
symlink.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ploinky.base.errors import PloinkyError, UsageError
from ploinky.base.files import hold_path, safe_join
from ploinky.runtimes import errors
from ploinky.runtimes.spec import LAUNCHER_MOUNT, SOCKET_MOUNT, Mount, RunSpec

_OF_THE_HOST = ("/usr", "/bin", "/sbin", "/lib", "/lib64")
_SYSTEM = ("/usr", "/etc", "/proc", "/dev", "/bin", "/sbin", "/lib", "/lib64")


@dataclass(frozen=True)
class Place:
    """One mount in order. ``source`` None is a mask: empty and read-only; ``is_file`` tells its shape."""

    target: str
    source: Path | None
    read_only: bool
    is_file: bool = False


def ordered_places(spec: RunSpec) -> tuple[Place, ...]:
    """Every mount and mask of the spec, outer ones first, a mask after a mount of the same target."""
    mounts = _all_mounts(spec)
    places = [Place(each.target, each.source, each.read_only) for each in mounts]
    for target in spec.masks:
        source = _host_path(target, mounts)
        places.append(Place(target, None, read_only=True, is_file=source is not None and source.is_file()))
    return tuple(
        sorted(places, key=lambda place: (len(PurePosixPath(place.target).parts), place.source is None))
    )


def check_mounts(spec: RunSpec) -> None:
    """Refuse a spec whose mounts cannot be made.

    Raises:
        PloinkyError: ``CONTAINER_CREATE_FAILED``, naming the mount.
    """
    for mount in _all_mounts(spec):
        _check_target(spec.name, mount.target)
        if not mount.source.is_absolute() or not mount.source.exists():
            raise errors.create_failed(
                spec.name, f"{mount.source} (to be seen at {mount.target}) does not exist on the host."
            )
        if mount in spec.mounts and os.path.realpath(mount.source) != str(mount.source):
            raise errors.create_failed(
                spec.name, f"{mount.source} (to be seen at {mount.target}) is or leads through a link."
            )
    for target in spec.masks:
        _check_target(spec.name, target)


@contextlib.contextmanager
def held_sources(spec: RunSpec) -> Iterator[Mapping[str, int]]:
    """Descriptors of the sources of the spec's mounts by target; none is reached through a symlink.

    An agent that runs may write where another one's sources lie, and replace one at any moment.

    Raises:
        PloinkyError: ``CONTAINER_START_FAILED``, naming the mount.
    """
    held: dict[str, int] = {}
    try:
        for mount in spec.mounts:
            try:
                held[mount.target] = hold_path(mount.source)
            except OSError as error:
                said = f"{mount.source} (to be seen at {mount.target}): {error.strerror}."
                raise errors.start_failed(spec.name, said) from error
        yield held
    finally:
        for descriptor in held.values():
            os.close(descriptor)


def make_mount_points(spec: RunSpec) -> tuple[Path, ...]:
    """Make the places on the host that inner mounts need; those that were made, outermost first.

    Raises:
        PloinkyError: ``CONTAINER_CREATE_FAILED`` if a place leads through a symlink, is of the wrong
            kind or cannot be made; what was made before is removed again.
    """
    made: list[Path] = []
    mounts = _all_mounts(spec)
    try:
        for place in ordered_places(spec):
            outer = _enclosing(place.target, mounts)
            if outer is not None and not _masked_since(place.target, outer, spec.masks):
                made.extend(_make_point(spec.name, place, outer))
    except BaseException:
        remove_mount_points(made)
        raise
    return tuple(made)


def remove_mount_points(made: Sequence[Path]) -> None:
    """Remove mount points that are still as empty as they were made."""
    for path in reversed(made):
        try:
            if path.is_dir():
                path.rmdir()
            elif path.stat().st_size == 0:
                path.unlink()
        except OSError:
            continue  # in use by now, or gone


def _make_point(name: str, place: Place, outer: Mount) -> list[Path]:
    relative = PurePosixPath(place.target).relative_to(outer.target)
    point = _inside(name, place, outer, relative)
    wants_file = place.is_file if place.source is None else place.source.is_file()
    if point.exists():
        if place.source is not None and point.is_dir() == wants_file:
            raise errors.create_failed(
                name, f"{place.target} must be a {'file' if wants_file else 'folder'}, as {place.source} is."
            )
        return []
    made = []
    try:
        for folder in reversed([each for each in point.parents if not each.exists()]):
            folder.mkdir()
            made.append(folder)
        if wants_file:
            point.touch()
        else:
            point.mkdir()
    except OSError as error:
        remove_mount_points(made)
        raise errors.create_failed(
            name,
            f"{place.target} lies inside {outer.target} and {point} cannot be made: {error.strerror}.",
            hint=f"Make the {'file' if wants_file else 'folder'} {point}, then try again.",
        ) from error
    return [*made, point]


def _inside(name: str, place: Place, outer: Mount, relative: PurePosixPath) -> Path:
    plain = outer.source.resolve().joinpath(*relative.parts)
    try:
        resolved = safe_join(outer.source, *relative.parts)
    except UsageError as error:
        raise _through_symlink(name, place, outer) from error
    if resolved != plain:
        raise _through_symlink(name, place, outer)
    return plain


def _through_symlink(name: str, place: Place, outer: Mount) -> PloinkyError:
    return errors.create_failed(
        name,
        f"{place.target} leads through a symlink in {outer.source}.",
        hint="Replace the symlink by a folder; a mount point must not be a link.",
    )


def _all_mounts(spec: RunSpec) -> tuple[Mount, ...]:
    own = (
        Mount(spec.launcher_dir, LAUNCHER_MOUNT, read_only=True),
        Mount(spec.socket_dir, SOCKET_MOUNT, read_only=False),
    )
    return own + spec.mounts


def _enclosing(target: str, mounts: Sequence[Mount]) -> Mount | None:
    """The innermost mount that a target lies inside of (a mount is not inside itself)."""
    path = PurePosixPath(target)
    around = [mount for mount in mounts if PurePosixPath(mount.target) in path.parents]
    return max(around, key=lambda mount: len(mount.target), default=None)


def _masked_since(target: str, outer: Mount, masks: Sequence[str]) -> bool:
    """Whether a mask between a mount and a target inside it hides the mount's source there."""
    above = [PurePosixPath(mask) for mask in masks if PurePosixPath(mask) in PurePosixPath(target).parents]
    return any(len(mask.parts) >= len(PurePosixPath(outer.target).parts) for mask in above)


def _host_path(target: str, mounts: Sequence[Mount]) -> Path | None:
    path = PurePosixPath(target)
    for mount in sorted(mounts, key=lambda mount: len(mount.target), reverse=True):
        if path == PurePosixPath(mount.target) or PurePosixPath(mount.target) in path.parents:
            return mount.source / path.relative_to(mount.target)
    return None


def _check_target(name: str, target: str) -> None:
    path = PurePosixPath(target)
    if not path.is_absolute() or ".." in path.parts or len(path.parts) < 2:
        raise errors.create_failed(name, f"{target!r} is not a path that something can be seen at.")
    if str(path) in _SYSTEM or _is_below(path, ("/proc", "/dev")):
        raise errors.create_failed(name, f"{target} belongs to the sandbox itself.")
    if _is_below(path, _OF_THE_HOST) and not Path(target).exists():
        raise errors.create_failed(
            name,
            f"{target} lies in the host's own programs, which are read-only in a sandbox, and is not there.",
            hint="Use another path in the manifest, or a container engine: --runtime podman",
        )


def _is_below(path: PurePosixPath, folders: tuple[str, ...]) -> bool:
    return any(PurePosixPath(each) in path.parents for each in folders)
