"""Which addresses a repository may be cloned from, and how they are shown.

Allowed: ``https://``, ``ssh://``, ``[user@]host:path``, ``file://``, a path on disk (bare repository, work
tree or plain folder); ``http://`` on this machine only. Refused: transports that run commands (``ext::``)
and anything that git could take for an option.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from ploinky.base.errors import NotFoundError, UsageError

_SCP_LIKE = re.compile(r"[^/]*:")
_SCP = re.compile(r"(?:[A-Za-z0-9._][A-Za-z0-9._-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*:[^\s\0-][^\0]*\Z")
_BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+@#-]*\Z")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_SCHEMES = frozenset({"https", "http", "ssh", "file"})


class SourceForm(StrEnum):
    """``GIT``: cloned by git; ``FOLDER``: copied, because it is no git repository."""

    GIT = "git"
    FOLDER = "folder"


@dataclass(frozen=True)
class CloneSource:
    """A checked address; ``shown`` is it without user and password, ``password`` is to be masked."""

    url: str
    form: SourceForm
    shown: str
    password: str | None = None


def clone_source(url: str, *, relative_to: Path) -> CloneSource:
    """Check an address; a relative path counts from ``relative_to``.

    Raises:
        UsageError: ``BAD_REPO_URL``, saying what is allowed.
        NotFoundError: ``REPO_SOURCE_NOT_FOUND`` for a path that is no folder.
    """
    if not url or url.startswith("-") or "\0" in url or any(char.isspace() and char != " " for char in url):
        raise _refused(url)
    if "://" in url:
        return _address(url, relative_to)
    if _SCP_LIKE.match(url):  # git, too, takes a colon before the first slash for a host
        if "::" in url or not _SCP.match(url):
            raise _refused(url)
        return CloneSource(url, SourceForm.GIT, url)
    return _folder(relative_to / url, url)


def check_branch(branch: str) -> str:
    """``branch`` if git could have one of that name.

    Raises:
        UsageError: ``BAD_BRANCH``.
    """
    if not _BRANCH.match(branch) or ".." in branch or branch.endswith((".lock", "/", ".")):
        raise UsageError("BAD_BRANCH", f"{branch!r} cannot be the name of a branch.")
    return branch


def url_password(url: str) -> str | None:
    """The password that an address carries, or None."""
    try:
        return urlsplit(url).password or None if "://" in url else None
    except ValueError:
        return None


def without_password(url: str) -> str:
    """An address as it may be shown: user and password removed."""
    if "://" not in url:
        return url
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


def _address(url: str, relative_to: Path) -> CloneSource:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        raise _refused(url) from None
    if parts.scheme not in _SCHEMES or "::" in parts.scheme:
        raise _refused(url)
    if parts.scheme == "file":
        return _folder(relative_to / parts.path, url)
    if not host or host.startswith("-") or (parts.username or "").startswith("-"):
        raise _refused(url)
    if parts.scheme == "http" and host not in _LOOPBACK:
        raise _refused(url)
    return CloneSource(url, SourceForm.GIT, without_password(url), parts.password or None)


def _folder(path: Path, given: str) -> CloneSource:
    folder = path.resolve()
    if not folder.is_dir():
        raise NotFoundError(
            "REPO_SOURCE_NOT_FOUND",
            f"There is no folder {folder}.",
            hint="Give a folder, a git repository on disk, or an https or ssh address.",
            details={"url": without_password(given)},
        )
    bare = (folder / "HEAD").is_file() and (folder / "objects").is_dir() and (folder / "refs").is_dir()
    form = SourceForm.GIT if bare or (folder / ".git").exists() else SourceForm.FOLDER
    return CloneSource(str(folder), form, str(folder))


def _refused(url: str) -> UsageError:
    return UsageError(
        "BAD_REPO_URL",
        f"{without_password(url)!r} cannot be cloned.",
        hint="Use https://..., ssh://..., git@host:path, or a folder or git repository on disk.",
    )
