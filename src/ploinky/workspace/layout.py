"""Every path of a workspace, in one place.

Knows where things lie, not what they hold. ``Layout`` is a value: it touches no disk except to look for
``.ploinky`` upwards and to name the runtime folder.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ploinky.base.errors import NotFoundError, PloinkyError
from ploinky.base.names import require_name

CONTROL_FOLDER = ".ploinky"


@dataclass(frozen=True)
class Layout:
    """The paths of the workspace at ``root`` (absolute, symlinks resolved)."""

    root: Path

    @property
    def control(self) -> Path:
        return self.root / CONTROL_FOLDER

    @property
    def id(self) -> str:
        """Sixteen hex digits that name this workspace on this host (labels, networks, runtime folder)."""
        return hashlib.sha256(str(self.root).encode()).hexdigest()[:16]

    @property
    def registry_file(self) -> Path:
        return self.control / "agents"

    @property
    def tasks_file(self) -> Path:
        """The tasks of async tools (SQLite)."""
        return self.control / "tasks.sqlite"

    @property
    def sessions_file(self) -> Path:
        """The sessions of MCP clients (SQLite)."""
        return self.control / "sessions.sqlite"

    @property
    def old_registry_file(self) -> Path:
        return self.control / "agents.json"

    @property
    def enabled_repos_file(self) -> Path:
        return self.control / "enabled_repos.json"

    @property
    def config_file(self) -> Path:
        return self.control / "config.json"

    @property
    def profile_file(self) -> Path:
        return self.control / "profile"

    @property
    def routing_file(self) -> Path:
        return self.control / "routing.json"

    @property
    def secrets_file(self) -> Path:
        return self.control / ".secrets"

    @property
    def credentials_file(self) -> Path:
        """Encrypted credentials of assistants, of users at other servers, and of the workspace."""
        return self.control / "credentials.sealed"

    @property
    def owner_token_file(self) -> Path:
        return self.control / "running" / "owner.token"

    @property
    def signing_key_file(self) -> Path:
        return self.control / "running" / "signing.key"

    @property
    def client_tokens_file(self) -> Path:
        """Digests of the tokens that were made for other programs."""
        return self.control / "tokens.json"

    @property
    def blobs(self) -> Path:
        return self.control / "blobs"

    @property
    def start_agent_file(self) -> Path:
        """The agent that was named last in a start."""
        return self.control / "start_agent"

    @property
    def trust_file(self) -> Path:
        return self.control / "trust.json"

    @property
    def running(self) -> Path:
        """Live state: gateway pid file, journals of starts, locks. Safe to delete when nothing runs."""
        return self.control / "running"

    @property
    def logs(self) -> Path:
        return self.control / "logs"

    @property
    def deps(self) -> Path:
        return self.control / "deps"

    @property
    def repos(self) -> Path:
        return self.control / "repos"

    @property
    def agents(self) -> Path:
        return self.root / "agents"

    @property
    def code(self) -> Path:
        return self.root / "code"

    @property
    def skills(self) -> Path:
        return self.root / "skills"

    @property
    def shared(self) -> Path:
        return self.root / "shared"

    def repo(self, repo: str) -> Path:
        return self.repos / require_name(repo, what="a repository")

    def agent_source(self, repo: str, agent: str) -> Path:
        """The agent's folder in its repository, where ``manifest.json`` lies."""
        return self.repo(repo) / require_name(agent, what="an agent")

    def work_dir(self, agent: str) -> Path:
        return self.agents / require_name(agent, what="an agent")

    def code_link(self, agent: str) -> Path:
        return self.code / require_name(agent, what="an agent")

    def skills_link(self, agent: str) -> Path:
        return self.skills / require_name(agent, what="an agent")

    def agent_log(self, agent: str) -> Path:
        return self.logs / f"{require_name(agent, what='an agent')}.log"

    def lock(self, name: str) -> Path:
        return self.running / f"{require_name(name, what='a lock')}.lock"

    def container_name(self, repo: str, agent: str, project_path: Path) -> str:
        """``ploinky_<repo>_<agent>_<first 8 hex of md5(projectPath)>``."""
        digest = hashlib.md5(str(project_path).encode(), usedforsecurity=False).hexdigest()[:8]
        return f"ploinky_{repo}_{agent}_{digest}"


def find_workspace(start: Path) -> Layout | None:
    """The workspace of ``start``: its nearest ancestor (or itself) that holds ``.ploinky/``."""
    folder = start.resolve()
    for candidate in (folder, *folder.parents):
        if (candidate / CONTROL_FOLDER).is_dir():
            return Layout(candidate)
    return None


def require_workspace(start: Path) -> Layout:
    """Like ``find_workspace``.

    Raises:
        NotFoundError: ``NO_WORKSPACE``.
    """
    layout = find_workspace(start)
    if layout is None:
        raise NotFoundError(
            "NO_WORKSPACE", f"{start} is not inside a workspace.", hint="Make one here: ploinky init"
        )
    return layout


def runtime_folder(layout: Layout, environ: Mapping[str, str]) -> Path:
    """The short private folder for this workspace's sockets; made if missing, mode 0700.

    Sockets lie outside the workspace because their paths may be 107 bytes at most. It is
    ``$XDG_RUNTIME_DIR/ploinky/<id>``, else ``/run/ploinky/<id>`` for root, else ``/tmp/ploinky-<uid>/<id>``.

    Raises:
        PloinkyError: ``RUNTIME_FOLDER`` if it is a link, belongs to somebody else or cannot be made.
    """
    folder = runtime_base(environ) / layout.id
    _make_private(folder, os.getuid())
    return folder


def runtime_base(environ: Mapping[str, str]) -> Path:
    """The short private folder that the runtime folders of all workspaces of this user lie in.

    Raises:
        PloinkyError: as ``runtime_folder``.
    """
    base = environ.get("XDG_RUNTIME_DIR")
    uid = os.getuid()
    if base and len(base) <= 40 and Path(base).is_dir():
        folder = Path(base) / "ploinky"
    elif uid == 0:
        folder = Path("/run/ploinky")
    else:
        folder = Path("/tmp") / f"ploinky-{uid}"  # noqa: S108 (owner and mode are checked below)
    _make_private(folder, uid)
    return folder


def _make_private(folder: Path, uid: int) -> None:
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        facts = folder.lstat()
    except OSError as error:
        raise PloinkyError(
            "RUNTIME_FOLDER", f"Cannot make {folder}: {error.strerror}.", hint="Set XDG_RUNTIME_DIR."
        ) from error
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != uid or facts.st_mode & 0o077:
        raise PloinkyError(
            "RUNTIME_FOLDER",
            f"{folder} is not a private folder of this user.",
            hint=f"Remove it, or set XDG_RUNTIME_DIR to a folder of mode 0700 of uid {uid}.",
        )
