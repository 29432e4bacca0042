"""Which profile is active: the flag, else ``PLOINKY_PROFILE``, else ``.ploinky/profile``, else the manifest.

Knows names only; what a profile means is the manifest's business.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ploinky.base.errors import UsageError
from ploinky.base.files import FileLock, read_text, write_atomic
from ploinky.workspace.layout import Layout

ENVIRONMENT_VARIABLE = "PLOINKY_PROFILE"
_PROFILE_NAME = re.compile(r"[a-z][a-z0-9_-]*\Z")


class ProfileOrigin(StrEnum):
    """Where the choice comes from; ``MANIFEST``: nobody chose, each manifest's default holds; ``AGENT``: an
    agent was last started with it."""

    FLAG = "flag"
    ENVIRONMENT = "environment"
    FILE = "file"
    MANIFEST = "manifest"
    AGENT = "agent"


@dataclass(frozen=True)
class ActiveProfile:
    """``name`` is None when each manifest's ``defaultProfile`` (else ``dev``) decides."""

    name: str | None
    origin: ProfileOrigin


def active_profile(layout: Layout, environ: Mapping[str, str], flag: str | None = None) -> ActiveProfile:
    """The active profile and who chose it.

    Raises:
        UsageError: ``BAD_PROFILE_NAME``, naming where the bad name stands.
    """
    if flag is not None:
        return ActiveProfile(require_profile_name(flag, "--profile"), ProfileOrigin.FLAG)
    if environ.get(ENVIRONMENT_VARIABLE):
        name = require_profile_name(environ[ENVIRONMENT_VARIABLE], ENVIRONMENT_VARIABLE)
        return ActiveProfile(name, ProfileOrigin.ENVIRONMENT)
    stored = (read_text(layout.profile_file) or "").strip()
    if stored:
        return ActiveProfile(require_profile_name(stored, str(layout.profile_file)), ProfileOrigin.FILE)
    return ActiveProfile(None, ProfileOrigin.MANIFEST)


def set_active_profile(layout: Layout, name: str) -> None:
    """Make ``name`` the workspace's profile (``.ploinky/profile``, one line).

    Raises:
        UsageError: ``BAD_PROFILE_NAME``.
    """
    require_profile_name(name, "profile")
    with FileLock(layout.lock("profile")):
        write_atomic(layout.profile_file, f"{name}\n".encode())


def is_profile_name(name: str) -> bool:
    """Whether ``name`` may name a profile; it becomes part of a file name (``.env.<profile>``)."""
    return _PROFILE_NAME.match(name) is not None


def require_profile_name(name: str, where: str) -> str:
    """Return ``name`` if it may name a profile; ``where`` it stands, for the error.

    Raises:
        UsageError: ``BAD_PROFILE_NAME``.
    """
    if not is_profile_name(name):
        raise UsageError(
            "BAD_PROFILE_NAME",
            f"{name!r} ({where}) cannot be the name of a profile.",
            hint="A profile's name is a lower-case letter and then letters, digits, '_' or '-' (a to z).",
        )
    return name
