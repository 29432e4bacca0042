"""Structured ``install[]`` entries judged: the kind, the names, the digest of a download."""

from __future__ import annotations

import json
import re

from ploinky.skills.model import InstallEntry
from ploinky.skills.safety.programs.hosts import look_at
from ploinky.skills.safety.rules import Finding, finding

_NPM = re.compile(r"(?:@[a-z0-9~][\w.~-]*/)?[a-z0-9~][\w.~-]*(?:@[\w.^~<>=*| -]+)?\Z", re.IGNORECASE)
_PYTHON = re.compile(
    r"[A-Za-z0-9][\w.-]*(?:\[[\w,.-]+\])?(?:(?:==|>=|<=|~=|!=|<|>)[\w.*,<>=!~ ]+|@[\w.]+)?\Z"
)
_GO = re.compile(r"[a-z0-9][\w.-]*\.[a-z]{2,}/[\w./~-]+(?:@[\w.+-]+)?\Z")
_BREW = re.compile(r"(?:[\w.-]+/[\w.-]+/)?[\w.@+-]+\Z")
_SYSTEM = re.compile(r"[a-z0-9][\w.+:-]*\Z", re.IGNORECASE)
_FIELDS = ("package", "formula", "module", "name", "crate", "spec", "cask")

NAMES: dict[str, re.Pattern[str]] = {
    "npm": _NPM,
    "node": _NPM,
    "pnpm": _NPM,
    "yarn": _NPM,
    "bun": _NPM,
    "pip": _PYTHON,
    "pipx": _PYTHON,
    "uv": _PYTHON,
    "python": _PYTHON,
    "go": _GO,
    "brew": _BREW,
    "cask": _BREW,
    "cargo": _SYSTEM,
    "gem": _SYSTEM,
    "apt": _SYSTEM,
    "dnf": _SYSTEM,
    "apk": _SYSTEM,
    "pacman": _SYSTEM,
    "winget": _SYSTEM,
    "choco": _SYSTEM,
    "scoop": _SYSTEM,
    "snap": _SYSTEM,
    "nix": _SYSTEM,
}


def entry_names(entry: InstallEntry) -> tuple[str, ...]:
    """What an entry installs, by whatever key it says so."""
    single = tuple(value for value in (entry.value(field) for field in _FIELDS[:3]) if value)
    return entry.packages or single or tuple(filter(None, (entry.value(field) for field in _FIELDS[3:])))


def judge_entry(entry: InstallEntry, line: int = 1) -> list[Finding]:
    """Findings about one entry."""
    shown = json.dumps({"kind": entry.kind, **dict(entry.values)})
    if entry.kind == "download":
        return _download(entry, line, shown)
    pattern = NAMES.get(entry.kind)
    if pattern is None:
        return [finding("unknown-command", line, shown, f"no kind of install is called {entry.kind!r}")]
    names = entry_names(entry)
    if not names or not all(pattern.match(name) for name in names):
        return [finding("package-source", line, shown, "what it installs is no name of a package")]
    return [finding("package-install", line, shown)]


def _download(entry: InstallEntry, line: int, shown: str) -> list[Finding]:
    address = look_at(entry.value("url"))
    found = []
    if address.scheme != "https":
        found.append(finding("package-source", line, shown, "a download without encryption"))
    elif address.problem:
        found.append(finding(address.problem, line, shown, address.why))
    if not re.fullmatch(r"[0-9a-fA-F]{64}", entry.value("sha256")):
        found.append(finding("download", line, shown))
    return found
