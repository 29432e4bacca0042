"""Where an agent's ``mcp-config.json`` may lie, and reading it from there.

A path inside the sandbox that a mount makes visible on the host is read on the host; any other is read
through the agent's launcher. A symlink that leaves its mount is never followed on the host: inside the
sandbox it means another file.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ploinky.base.errors import PloinkyError, UsageError
from ploinky.base.files import safe_join

MAX_CONFIG_BYTES = 1024 * 1024
_VARIABLES = ("PLOINKY_AGENT_CONFIG", "MCP_CONFIG_FILE", "AGENT_CONFIG_FILE", "PLOINKY_MCP_CONFIG_PATH")
_FIXED = ("/tmp/ploinky/mcp-config.json", "/code/mcp-config.json")  # noqa: S108 (inside the sandbox)


@dataclass(frozen=True)
class Mount:
    """A folder of the host and the path where the sandbox sees it."""

    inside: str
    host: Path


@dataclass(frozen=True)
class ConfigSource:
    """One place of the configuration: its path inside, and the mounts that may show it on the host."""

    inside: str
    mount: Mount | None = None

    def host_path(self) -> Path | None:
        """The file on the host, or None if it can only be read inside.

        Asked anew each time, for a link may come and go.
        """
        if self.mount is None:
            return None
        relative = PurePosixPath(self.inside).relative_to(self.mount.inside)
        try:
            return safe_join(self.mount.host, str(relative))
        except UsageError:
            return None


@dataclass(frozen=True)
class Stamp:
    """What tells one version of a file from another."""

    path: str
    mtime_ns: int
    size: int


def config_sources(
    environment: Mapping[str, str], mounts: Iterable[Mount], *, code_path: str = "/code"
) -> tuple[ConfigSource, ...]:
    """The places to try, in order: four variables of the agent, then two fixed paths.

    A relative path in a variable is taken from ``code_path``; doubles are left out.
    """
    by_depth = sorted(mounts, key=lambda mount: len(PurePosixPath(mount.inside).parts), reverse=True)
    named = (environment.get(variable, "") for variable in _VARIABLES)
    paths = [os.path.normpath(PurePosixPath(code_path, path)) for path in (*named, *_FIXED) if path]
    return tuple(ConfigSource(path, _mount_of(path, by_depth)) for path in dict.fromkeys(paths))


def stat_stamp(source: ConfigSource, host: Path) -> Stamp | None:
    """The stamp of the file on the host, or None if there is none.

    Raises:
        PloinkyError: ``MCP_CONFIG_UNREADABLE`` if that cannot be told.
    """
    try:
        facts = host.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unreadable(host, error.strerror or str(error)) from error
    return Stamp(source.inside, facts.st_mtime_ns, facts.st_size)


def read_host_file(path: Path) -> bytes:
    """The configuration at ``path``, which an agent may have put there: only a regular file, within bounds.

    Nothing that an agent can make of the path, a pipe say, keeps the reader waiting.

    Raises:
        PloinkyError: ``MCP_CONFIG_UNREADABLE``.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _unreadable(path, "it is no regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            data = stream.read(MAX_CONFIG_BYTES + 1)
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    finally:
        os.close(descriptor)
    if len(data) > MAX_CONFIG_BYTES:
        raise _unreadable(path, f"it has more than {MAX_CONFIG_BYTES} bytes")
    return data


def _unreadable(path: Path, reason: str) -> PloinkyError:
    return PloinkyError("MCP_CONFIG_UNREADABLE", f"{path} cannot be read: {reason}.")


def _mount_of(path: str, mounts: Iterable[Mount]) -> Mount | None:
    pure = PurePosixPath(path)
    for mount in mounts:
        if pure.is_relative_to(mount.inside):
            return mount
    return None
