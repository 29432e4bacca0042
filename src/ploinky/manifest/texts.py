"""Single texts of a manifest: image names, memory sizes, volume paths, users, scripts of hooks.

Each reader takes one text and raises ``UsageError`` with a reason and a hint; none touches a disk.
"""

from __future__ import annotations

import posixpath
import re

from ploinky.base.errors import UsageError
from ploinky.manifest.values import VolumeSpec

_VARIABLE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")
_LABEL = r"[A-Za-z0-9]++(?:-++[A-Za-z0-9]++)*+"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{{1,5}})?"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_TAG = r":[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"@[A-Za-z][A-Za-z0-9]*(?:[+._-][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_IMAGE = re.compile(rf"(?P<name>(?:{_DOMAIN}/)?{_COMPONENT}(?:/{_COMPONENT})*)(?:{_TAG})?(?:{_DIGEST})?\Z")
_LONGEST_IMAGE = 255
_MEMORY = re.compile(
    r"(?P<number>[0-9]{1,19}(?:\.[0-9]{1,19})?)\s*(?:(?P<unit>[kmgt])i?)?b?\Z", re.IGNORECASE
)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_LEAST_MEMORY = 1024 * 1024
_USER = re.compile(r"(?:[0-9]+|[a-z_][a-z0-9_-]{0,31})(?::(?:[0-9]+|[a-z_][a-z0-9_-]{0,31}))?\Z")
_CAPABILITY = re.compile(r"(?:CAP_)?[A-Z][A-Z_]*\Z", re.IGNORECASE)
_FIRST_WORD = re.compile(r"\s*(?P<word>[\w.@+/-]+)(?=[\s;&|<>)]|\Z)")
_OURS_EXACTLY = frozenset({"/", "/code", "/code/node_modules", "/code/.AchillesSkills", "/shared"})
_OURS_WHOLLY = ("/Agent", "/agent", "/run/ploinky", "/proc", "/sys", "/dev")


def require_image(text: str) -> str:
    """Return ``text`` if it names an image as engines do; ``${VAR}`` stands for any part of it.

    Raises:
        UsageError: ``BAD_IMAGE``.
    """
    sample = _VARIABLE.sub("x", text)
    if len(sample) > 2 * _LONGEST_IMAGE:
        raise UsageError("BAD_IMAGE", "this is too long for the name of an image.")
    match = _IMAGE.match(sample)
    if match is None or len(match["name"]) > _LONGEST_IMAGE:
        near = text.strip().lower()
        hint = "Write [registry/]name[:tag][@digest], such as node:20-alpine."
        if near != text and _IMAGE.match(_VARIABLE.sub("x", near)):
            hint = f"Did you mean {near!r}? Names of images are in small letters."
        raise UsageError("BAD_IMAGE", "this is not the name of an image.", hint=hint)
    return text


def parse_memory(value: str | int) -> int:
    """Bytes from ``512m``, ``1.5g``, ``512MiB`` or a number of bytes; every unit is a power of 1024.

    Raises:
        UsageError: ``BAD_MEMORY``.
    """
    match = _MEMORY.match(str(value).strip())
    size = int(float(match["number"]) * 1024 ** _POWERS[(match["unit"] or "").lower()]) if match else 0
    if size < _LEAST_MEMORY or size >= 2**63:
        raise UsageError(
            "BAD_MEMORY",
            "this is not an amount of memory of 1 MiB or more.",
            hint="Write '512m' or '2g'; a bare number counts bytes.",
        )
    return size


def require_user(text: str) -> str:
    """Return ``text`` if it is ``uid[:gid]``, by number or by name.

    Raises:
        UsageError: ``BAD_USER``.
    """
    if not _USER.match(text):
        raise UsageError(
            "BAD_USER", "this is not a user.", hint="Write '1000', '1000:1000' or a user's name."
        )
    return text


def parse_capability(text: str) -> str:
    """A Linux capability without ``CAP_``, in capitals.

    Raises:
        UsageError: ``BAD_CAPABILITY``.
    """
    if not _CAPABILITY.match(text):
        raise UsageError("BAD_CAPABILITY", "this is not a capability.", hint="Write for example 'NET_ADMIN'.")
    return text.upper().removeprefix("CAP_")


def parse_volume(host: str, container: str) -> VolumeSpec:
    """One pair of ``volumes``; ``container`` may end in ``:ro`` or ``:rw``.

    Whether the host side stays inside the workspace with symlinks resolved is for the planner to see.

    Raises:
        UsageError: ``BAD_VOLUME``.
    """
    target, read_only = container, False
    for suffix in (":ro", ":rw"):
        if container.endswith(suffix):
            target, read_only = container[: -len(suffix)], suffix == ":ro"
    return VolumeSpec(require_volume_host(host), _require_target(target), read_only)


def require_volume_host(host: str) -> str:
    """Return the host side if, by its words alone, it stays in the workspace and off our control files.

    Raises:
        UsageError: ``BAD_VOLUME``.
    """
    plain = _VARIABLE.sub("x", host)
    path = posixpath.normpath(plain) if plain else ""
    if not plain or "$" in plain:
        raise _bad_volume("the host side is not a path.")
    if path.startswith(("/", "~", "../")) or path == "..":
        raise _bad_volume("the host side leads out of the workspace.")
    inside_control = path == ".ploinky" or path.startswith(".ploinky/")
    if path == "." or (inside_control and not path.startswith(".ploinky/data/")):
        raise _bad_volume("the host side would cover the control files in .ploinky.")
    return host


def relative_script(step: str) -> str | None:
    """The first word of a command if it is a path relative to the agent's folder, else None."""
    match = _FIRST_WORD.match(step)
    word = match["word"] if match else ""
    return word if "/" in word and not word.startswith("/") else None


def require_step(step: str) -> str:
    """Return a hook's step if a script it starts with stays, by its words, in the agent's folder.

    Raises:
        UsageError: ``BAD_HOOK``.
    """
    script = relative_script(step)
    if script is not None:
        require_inside(script)
    return step


def require_inside(path: str) -> str:
    """Return ``path`` if it is relative and does not leave the folder it starts in.

    Raises:
        UsageError: ``BAD_HOOK``.
    """
    normal = posixpath.normpath(path) if path else ".."
    if normal.startswith(("/", "../")) or normal == "..":
        raise UsageError(
            "BAD_HOOK",
            "the script lies outside the agent's folder.",
            hint="Write for example scripts/run.sh.",
        )
    return path


def _require_target(target: str) -> str:
    path = posixpath.normpath(_VARIABLE.sub("x", target)) if target else ""
    if not path.startswith("/") or ":" in path:
        raise _bad_volume("the container side is not an absolute path.")
    path = "/" + path.lstrip("/")
    if path in _OURS_EXACTLY or any(path == own or path.startswith(own + "/") for own in _OURS_WHOLLY):
        raise _bad_volume(f"the container side {path} belongs to the platform.")
    return target


def _bad_volume(reason: str) -> UsageError:
    return UsageError(
        "BAD_VOLUME", reason, hint='Write "folder/in/workspace": "/path/in/container", or ":ro" after it.'
    )
