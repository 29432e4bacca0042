"""What an install would run: steps made of the structured entries and of the commands of the section Install.

Entries become argv lists by us, with checked names; commands run in a shell that stops at the first failure.
Each step names the hosts that it needs; a person sees them before anything runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from ploinky.base.errors import PloinkyError
from ploinky.skills.model import Fence, InstallEntry
from ploinky.skills.safety.structured import NAMES, entry_names

Registries = Mapping[str, frozenset[str]]
"""The hosts of package managers by kind: npm, pip, go, ..."""

_URL = re.compile(r"https?://[^\s\"'`|;)>]+")
_TOOLS = re.compile(r"(?:^|[\s;&|(])(npm|pnpm|yarn|npx|pip|pip3|uv|uvx|pipx|cargo|go|gem|brew)\b")
_PYTHON_KINDS = frozenset({"pip", "uv", "python", "pipx"})
_NODE_KINDS = frozenset({"npm", "node", "pnpm", "yarn", "bun"})
_BY_HAND = frozenset(
    {"brew", "cask", "apt", "dnf", "apk", "pacman", "winget", "choco", "scoop", "snap", "nix"}
)


@dataclass(frozen=True)
class Step:
    """One program of an install: what it is called, its words, the hosts it may reach.

    ``by_hand`` steps are not run: a person installs such programs on the system.
    """

    label: str
    argv: tuple[str, ...]
    hosts: frozenset[str] = frozenset()
    by_hand: bool = False


def plan_steps(
    commands: tuple[Fence, ...], installs: tuple[InstallEntry, ...], registries: Registries
) -> tuple[Step, ...]:
    """The steps of an install."""
    steps = [_entry_step(entry, registries) for entry in installs]
    steps += [_command_step(fence, registries) for fence in commands]
    return tuple(steps)


def _command_step(fence: Fence, registries: Registries) -> Step:
    hosts = {_host(match.group(0)) for match in _URL.finditer(fence.text)}
    for match in _TOOLS.finditer(fence.text):
        hosts |= registries.get(_kind(match.group(1)), frozenset())
    argv = ("bash", "--norc", "-euo", "pipefail", "-c", fence.text)
    return Step(fence.text.strip(), argv, frozenset(each for each in hosts if each))


def _kind(tool: str) -> str:
    if tool in ("pip3", "uv", "uvx", "pipx"):
        return "pip"
    return "npm" if tool in ("pnpm", "yarn", "npx") else tool


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    host = parts.hostname or ""
    if parts.scheme == "http":
        return f"{host}:{port or 80}"
    return f"{host}:{port}" if port else host


def _entry_step(entry: InstallEntry, registries: Registries) -> Step:
    if entry.kind == "download":
        return _download(entry)
    pattern = NAMES.get(entry.kind)
    names = entry_names(entry)
    if pattern is None or not names or not all(pattern.match(name) for name in names):
        raise PloinkyError(
            "SKILL_INSTALL_ENTRY", f"An install entry of the kind {entry.kind!r} cannot be used."
        )
    label = f"install {', '.join(names)} ({entry.kind})"
    if entry.kind in _BY_HAND:
        return Step(label, (), by_hand=True)
    make = _MAKERS.get(entry.kind)
    if make is None:
        return Step(label, (), by_hand=True)
    kind = "pip" if entry.kind in _PYTHON_KINDS else "npm" if entry.kind in _NODE_KINDS else entry.kind
    return Step(label, make(names), registries.get(kind, frozenset()))


def _pip(names: tuple[str, ...]) -> tuple[str, ...]:
    options = ("--no-input", "--no-cache-dir", "--disable-pip-version-check", "--target", "lib/python")
    return ("python3", "-m", "pip", "install", "--quiet", *options, "--", *names)


def _npm(names: tuple[str, ...]) -> tuple[str, ...]:
    return ("npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--", *names)


def _go(names: tuple[str, ...]) -> tuple[str, ...]:
    pinned = (name if "@" in name else f"{name}@latest" for name in names)
    return ("env", "GOBIN=/skill/bin", "GOFLAGS=-modcacherw", "go", "install", *pinned)


_MAKERS: dict[str, Callable[[tuple[str, ...]], tuple[str, ...]]] = {
    **dict.fromkeys(_PYTHON_KINDS, _pip),
    **dict.fromkeys(_NODE_KINDS, _npm),
    "go": _go,
}


def _download(entry: InstallEntry) -> Step:
    """Fetched, checked and put into ``bin`` by a fixed script; address and digest are arguments, not text."""
    url, digest = entry.value("url"), entry.value("sha256").lower()
    name = entry.value("filename") or (entry.bins[0] if entry.bins else urlsplit(url).path.rpartition("/")[2])
    if not re.fullmatch(r"[\w][\w.+-]{0,100}", name) or not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise PloinkyError(
            "SKILL_INSTALL_ENTRY", "A download needs a plain file name and its SHA-256.",
            hint="Without a digest nobody can say what was downloaded; install it by hand if you trust it.",
        )  # fmt: skip
    script = (
        'mkdir -p bin && curl -fsSL --proto-redir =https -o "bin/.$3" -- "$1" && '
        'printf "%s  %s\\n" "$2" "bin/.$3" | sha256sum -c --status - && '
        'chmod 755 "bin/.$3" && mv "bin/.$3" "bin/$3"'
    )
    argv = ("sh", "-c", script, "download", url, digest, name)
    return Step(f"download {url} (sha256 {digest})", argv, frozenset({_host(url)}))
