"""Where a path leads, in a world with made-up roots: the skill's folder, its home, a private /tmp.

``place_of`` takes text that may hold holes, with ``..`` and the links that the commands themselves made
resolved. What a zone may be used for is the caller's.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ploinky.skills.safety.values import HOLE

WORKSPACE = "/@workspace"
SKILL = f"{WORKSPACE}/assistants/one/skills/installed/skill"
HOME = "/@home"
TEMP = "/tmp"  # noqa: S108 (a name in the analysed text)


class Zone(StrEnum):
    """``SELF`` is the skill's folder; ``OWN_HOME`` a tool's folder in the private home."""

    SELF = "self"
    TEMP = "temp"
    SINK = "sink"
    OWN_HOME = "own-home"
    SECRET = "secret"  # noqa: S105
    SYSTEM = "system"
    OUTSIDE = "outside"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Place:
    zone: Zone
    path: str


_SINKS = frozenset(
    {"/dev/null", "/dev/stdout", "/dev/stderr", "/dev/stdin", "/dev/tty", "/dev/fd/1", "/dev/fd/2"}
)
SECRET_HOME = re.compile(
    r"\.(?:ssh|aws|gnupg|gpg|azure|kube|docker|netrc|pgpass|npmrc|pypirc|git-credentials|password-store"
    r"|\w*_history|config/(?:gcloud|gh|op|hub|rclone|solana|google-chrome|chromium|BraveSoftware|sops)"
    r"|local/share/keyrings"
    r"|mozilla|thunderbird|bitcoin|ethereum|electrum|vault-token|env|claude\.json|claude/\.credentials"
    r"|codex/auth|(?:openclaw|clawdbot|moltbot|clawdis|ploinky)/(?:\w+\.json|credentials|\.env)"
    r"|cargo/credentials|gem/credentials|terraform)(?:[./]|\Z)"
    r"|Library/(?:Keychains|Cookies|Application Support)(?:/|\Z)"
)
_SECRET_SYSTEM = re.compile(
    r"/(?:etc/(?:shadow|gshadow|passwd|sudoers|ssh|ssl/private|krb5\.keytab|master\.passwd)"
    r"|proc/(?:self|\d+|\*|\x00)/(?:environ|mem|maps|root|cwd|fd)|root(?:/|\Z)|var/lib/(?:docker|kubelet)"
    r"|run/secrets|var/run/(?:docker\.sock|secrets)|run/(?:docker\.sock|podman)|dev/(?:mem|kmem|sd|nvme"
    r"|disk))"
)
_STARTUP_HOME = re.compile(
    r"\.(?:config/(?:autostart|systemd|fish|environment\.d|pip|uv|npm|git|nvim)|local/(?:bin|lib)"
    r"|local/share/(?:applications|systemd)|bashrc\.d|zshrc\.d|zsh|oh-my-zsh|vim|emacs\.d|ipython|jupyter|pip"
    r"|cargo/(?:config[\w.]*|env|bin)|gradle|m2|openclaw|clawdbot|moltbot|clawdis|ploinky|claude|codex"
    r"|cursor|gemini|aider|skills|agents)(?:/|\Z)"
)
_INSTALLED_SKILL = re.compile(
    rf"{HOME}/(?:\.[a-z]+/(?:workspace/)?skills|clawd/skills)/[\w.-]+/(?:[\w-]+/)*[\w.-]+\.(?:py|sh|js|mjs"
    rf"|ts|rb)\Z"
)
_DOT_FILE = re.compile(
    r"\.(?:[^/]*(?:rc|profile|login|logout|env|config|\.\w+)|(?:bash|zsh|k?sh|t?csh|input|vim|emacs|git|gdb"
    r"|lldb|irb|psql|sqlite|screen|tmux|xinit|xsession|xserver|[xX]resources|curl|wget|hg|pam)[\w.-]*)\Z"
)
_WHOLE = frozenset(
    {"", HOME, f"{HOME}/.config", f"{HOME}/.local/share", f"{HOME}/Library", "/home", "/root", "/etc",
     "/Users", "/var", "/mnt",
     "/srv", "/proc", WORKSPACE}
)  # fmt: skip
_TOOL_FOLDER = re.compile(r"\.(?:config/|cache/|local/share/|local/state/)?[A-Za-z0-9][\w.-]*(?:/|\Z)")
_SYSTEM = re.compile(
    r"/(?:usr/(?:bin|lib|share|include|local/bin)|bin|lib|lib64|sbin|etc/(?:os-release|lsb-release"
    r"|debian_version|hosts|ssl/certs"
    r"|timezone|localtime|issue)|proc/(?:cpuinfo|meminfo|version|loadavg)|sys/class|opt/homebrew"
    r"|dev/(?:urandom|random|zero))(?:/|\Z)"
)


def place_of(text: str, cwd: str, links: Mapping[str, str]) -> Place:
    """The place that ``text`` names for a command whose working directory is ``cwd``."""
    if text in ("", "-"):
        return Place(Zone.SINK if text else Zone.UNKNOWN, text)
    path = text if text.startswith(("/", HOLE)) else posixpath.join(cwd, text)
    if path.startswith(HOLE):
        return Place(Zone.UNKNOWN, path)
    path = follow(posixpath.normpath(path.replace("//", "/")), links)
    before, hole, after = path.partition(HOLE)
    if hole:
        zone = _zone(before.rstrip("/") or "/")
        if _SECRET_SYSTEM.match(path):
            return Place(Zone.SECRET, path)
        harmless = zone in (Zone.SELF, Zone.TEMP, Zone.OWN_HOME) and ".." not in after
        return Place(Zone.UNKNOWN if harmless else zone, path)
    return Place(_zone(path), path)


def holds_everything(path: str) -> bool:
    """Whether a folder holds what an owner has:
    a home, the workspace, the system, or a folder around the skill.
    """
    return path.rstrip("/") in _WHOLE or (within(SKILL, path) and path.rstrip("/") != SKILL)


def is_installed_skill(path: str) -> bool:
    """Whether a script lies where products keep installed skills: that is how a skill names itself there."""
    return _INSTALLED_SKILL.match(path) is not None


def follow(path: str, links: Mapping[str, str]) -> str:
    """``path`` with the links that the commands made resolved."""
    for _ in range(8):
        for link, target in links.items():
            if path == link or path.startswith(f"{link}/"):
                path = posixpath.normpath(f"{target}{path[len(link) :]}")
                break
        else:
            return path
    return "/"


def within(path: str, folder: str) -> bool:
    """Whether ``path`` is ``folder`` or lies in it; both are normal."""
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def _zone(path: str) -> Zone:
    if path in _SINKS:
        return Zone.SINK
    if within(path, SKILL):
        return Zone.SELF
    if within(path, HOME):
        return _home_zone(path[len(HOME) + 1 :])
    if (within(path, TEMP) and path != TEMP) or within(path, "/var/tmp") or within(path, "/dev/shm"):  # noqa: S108
        return Zone.TEMP
    real_home = re.match(r"/(?:home|Users)/[^/]+/(.*)", path)
    if real_home:
        return Zone.SECRET if SECRET_HOME.match(real_home.group(1)) else Zone.OUTSIDE
    if _SECRET_SYSTEM.match(path) or re.search(r"/credentials?(?:[./]|\Z)|/secrets?(?:[./]|\Z)", path):
        return Zone.SECRET
    if within(path, WORKSPACE) and re.search(
        r"\.(?:json|ya?ml|toml|env|key|pem|db)\Z|/\.\w+|/\.ploinky", path
    ):
        return Zone.SECRET
    return Zone.SYSTEM if _SYSTEM.match(path) else Zone.OUTSIDE


def _home_zone(rest: str) -> Zone:
    if SECRET_HOME.match(rest):
        return Zone.SECRET
    if _STARTUP_HOME.match(rest) or _DOT_FILE.match(rest):
        return Zone.OUTSIDE
    return Zone.OWN_HOME if _TOOL_FOLDER.match(rest) else Zone.OUTSIDE
