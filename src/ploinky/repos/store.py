"""The repositories of a workspace: added, enabled, disabled, listed, updated, searched.

A repository is cloned (or, if it is a plain folder, copied) into a temporary folder beside its place and
renamed into it, so that what bears a repository's name is whole. ``update`` only goes forward and never
over local changes. Long work yields lines of text for the terminal.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio.to_thread

from ploinky.base.errors import UsageError
from ploinky.base.files import FileLock, read_bytes
from ploinky.base.names import closest, is_name, require_name
from ploinky.base.redaction import Redactor
from ploinky.manifest.refs import AgentRef, parse_agent_ref
from ploinky.repos.enabled import EnabledRepos
from ploinky.repos.find import AgentLocation, Repositories, not_installed
from ploinky.repos.folders import copy_folder, folder_digest, read_note
from ploinky.repos.git import Git, clone_args
from ploinky.repos.predefined import PREDEFINED
from ploinky.repos.staging import staging_folder
from ploinky.repos.trust import TrustBook, TrustRecord
from ploinky.repos.update import update_clone, update_copy
from ploinky.repos.urls import (
    CloneSource,
    SourceForm,
    check_branch,
    clone_source,
    url_password,
    without_password,
)
from ploinky.workspace.layout import Layout

if TYPE_CHECKING:
    from ploinky.manifest.model import Manifest

CLONE_TIMEOUT_S = 1800.0


@dataclass(frozen=True)
class RepoInfo:
    """A row of ``list repos``. ``commit`` is git's, or ``sha256:...`` of a plain folder; None if unknown."""

    name: str
    installed: bool
    enabled: bool
    url: str
    branch: str | None = None
    commit: str | None = None
    agents: int = 0
    about: str = ""


class RepoStore:
    """The repositories of one workspace. Holds no state: every call asks the disk."""

    def __init__(self, layout: Layout, *, environ: Mapping[str, str] | None = None) -> None:
        self._layout = layout
        self._git = Git(os.environ if environ is None else environ)
        self._enabled = EnabledRepos(layout)
        self.trust_book = TrustBook(layout)

    def installed(self) -> tuple[str, ...]:
        """Names of the repositories on disk, sorted."""
        try:
            children = [child for child in self._layout.repos.iterdir() if is_name(child.name)]
        except FileNotFoundError:
            return ()
        return tuple(sorted(child.name for child in children if child.is_dir()))

    def enabled(self) -> tuple[str, ...]:
        """Names of the repositories that count when an agent is searched."""
        installed = self.installed()
        listed = self._enabled.read()
        return tuple(name for name in listed if name in installed) if listed else installed

    async def add(
        self,
        name: str,
        url: str | None = None,
        branch: str | None = None,
        *,
        relative_to: Path | None = None,
        timeout_s: float = CLONE_TIMEOUT_S,
    ) -> AsyncGenerator[str, None]:
        """Clone or copy a repository; without ``url`` the predefined one of that name. Yields progress.

        A relative path counts from ``relative_to`` (default: the workspace). Close the iterator to give up.

        Raises:
            UsageError: ``BAD_NAME``, ``BAD_REPO_URL``, ``BAD_BRANCH``, ``REPO_URL_NEEDED``, ``REPO_EXISTS``.
            NotFoundError: ``REPO_SOURCE_NOT_FOUND``.
            PloinkyError: ``GIT_FAILED``, ``GIT_TIMEOUT``, ``GIT_MISSING``, ``FILE_LOCKED``.
        """
        folder = self._layout.repo(name)
        source = clone_source(url or _predefined_url(name), relative_to=relative_to or self._layout.root)
        if branch is not None:
            check_branch(branch)
            if source.form is SourceForm.FOLDER:
                raise UsageError("BAD_BRANCH", f"{source.shown} is a plain folder and has no branches.")
        with self._lock(name):
            if folder.exists() or folder.is_symlink():
                raise _exists(name)
            with staging_folder(self._layout.repos, name) as staged:
                async with aclosing(self._fetch(source, staged, branch, timeout_s)) as lines:
                    async for line in lines:
                        yield line
                staged.rename(folder)
        yield self._added(name)

    def enable(self, name: str) -> None:
        """Let an installed repository count.

        Raises:
            NotFoundError: ``REPO_NOT_INSTALLED``: nothing is cloned unasked.
        """
        installed = self._require_installed(name)

        def change(names: list[str]) -> list[str]:
            if not names:
                return [*installed]  # all counted: they still do
            return names if name in names else [*names, name]

        self._enabled.update(change)

    def disable(self, name: str) -> None:
        """Let a repository count no more; its files and enabled agents stay.

        Raises:
            NotFoundError: ``REPO_NOT_INSTALLED``.
            UsageError: ``LAST_ENABLED_REPO``: an empty list would mean all of them.
        """
        installed = self._require_installed(name)

        def change(names: list[str]) -> list[str]:
            left = [each for each in names or installed if each != name]
            if not left:
                raise UsageError(
                    "LAST_ENABLED_REPO",
                    f"'{name}' is the only enabled repository; with none enabled, all would count.",
                    hint="Enable or add another one first: ploinky enable repo NAME",
                )
            return left

        self._enabled.update(change)

    async def list(self) -> tuple[RepoInfo, ...]:
        """Installed repositories, then predefined ones that are not installed."""
        present = self.installed()
        rows = [await self._info(name) for name in present]
        rows += [
            RepoInfo(name, installed=False, enabled=False, url=known.url, about=known.about)
            for name, known in PREDEFINED.items()
            if name not in present
        ]
        return tuple(rows)

    async def update(self, name: str) -> AsyncGenerator[str, None]:
        """Bring one repository forward; yields progress and at the end what changed.

        Raises:
            NotFoundError: ``REPO_NOT_INSTALLED``.
            PloinkyError: ``REPO_LOCAL_CHANGES``, ``REPO_DIVERGED``, ``REPO_PINNED``, ``REPO_HAS_NO_SOURCE``,
                ``REPO_SOURCE_NOT_FOUND``, ``GIT_FAILED``, ``GIT_TIMEOUT``; nothing was changed then.
        """
        self._require_installed(name)
        folder = self._layout.repo(name).resolve()
        with self._lock(name):
            note = read_note(folder)
            if note is not None:
                lines = update_copy(name, folder, note, workspace=self._layout.root)
            elif _is_clone(folder):
                password = url_password(await self._url(name))
                lines = update_clone(self._git, name, folder, Redactor([password] if password else []))
            else:
                raise _no_source(name, folder)
            async with aclosing(lines):
                async for line in lines:
                    yield line

    def agents(self) -> tuple[AgentLocation, ...]:
        """Every agent of the enabled repositories."""
        repositories = self._repositories()
        return tuple(each for repo in repositories.enabled for each in repositories.agents_of(repo))

    def find_agent(self, ref: AgentRef | str) -> AgentLocation:
        """The agent that ``[repo/]name`` (or a reference) means.

        Raises:
            NotFoundError: ``AGENT_NOT_FOUND``, ``REPO_NOT_INSTALLED``.
            UsageError: ``AMBIGUOUS_AGENT``, ``BAD_AGENT_REF``.
        """
        wanted = parse_agent_ref(ref) if isinstance(ref, str) else ref
        return self._repositories().find(wanted.agent, wanted.repo)

    def read_manifest(self, location: AgentLocation) -> Manifest:
        """The agent's manifest.

        Raises:
            NotFoundError: ``MANIFEST_NOT_FOUND``.
            ManifestError: ``MANIFEST_PARSE_ERROR``, ``MANIFEST_INVALID``, ``MISSING_CONTAINER``.
        """
        from ploinky.manifest.document import parse_manifest
        from ploinky.manifest.faults import manifest_not_found

        data = read_bytes(location.manifest_path)
        if data is None:
            raise manifest_not_found(location.agent, location.repo)
        return parse_manifest(data, source=str(location.manifest_path))

    async def head_commit(self, repo: str) -> str | None:
        """The commit of a clone, ``sha256:<hex>`` of a plain folder, None for a clone without commits."""
        folder = self._layout.repo(repo).resolve()
        if not _is_clone(folder):
            return await anyio.to_thread.run_sync(folder_digest, folder)
        found = await self._git.query(folder, "rev-parse", "--verify", "--quiet", "HEAD")
        return found.text.strip() or None

    async def is_trusted(self, repo: str) -> bool:
        """Whether a person has trusted this repository (its name and address) to run hooks on the host."""
        return self.trust_book.is_trusted(repo, without_password(await self._url(repo)))

    async def trust(self, repo: str) -> TrustRecord:
        """Remember that a person trusts this repository, with the commit of now."""
        self._require_installed(repo)
        url = without_password(await self._url(repo))
        return self.trust_book.trust(repo, url, await self.head_commit(repo) or "")

    async def _info(self, name: str) -> RepoInfo:
        return RepoInfo(
            name,
            installed=True,
            enabled=name in self.enabled(),
            url=without_password(await self._url(name)),
            branch=await self._branch(name),
            commit=await self.head_commit(name),
            agents=sum(1 for _ in self._repositories().agents_of(name)),
            about=PREDEFINED[name].about if name in PREDEFINED else "",
        )

    async def _fetch(
        self, source: CloneSource, staged: Path, branch: str | None, timeout_s: float
    ) -> AsyncGenerator[str, None]:
        if source.form is SourceForm.FOLDER:
            yield f"Copying {source.shown}"
            folder, workspace = Path(source.url), self._layout.root
            await anyio.to_thread.run_sync(lambda: copy_folder(folder, staged, workspace=workspace))
            return
        yield f"Cloning {source.shown}"
        cloning = self._git.follow(
            clone_args(source.url, staged, branch=branch),
            what=f"clone {source.shown}",
            timeout_s=timeout_s,
            redactor=Redactor([source.password] if source.password else []),
        )
        async with aclosing(cloning):
            async for line in cloning:
                if not line.startswith("Cloning into"):  # it would name the temporary folder
                    yield line

    def _added(self, name: str) -> str:
        count = sum(1 for _ in self._repositories().agents_of(name))
        told = f"Added repository '{name}' with {count} agent{'' if count == 1 else 's'}."
        return told if name in self.enabled() else f"{told} Let it count: ploinky enable repo {name}"

    def _repositories(self) -> Repositories:
        return Repositories(self._layout, self.installed(), self.enabled())

    def _require_installed(self, name: str) -> tuple[str, ...]:
        require_name(name, what="a repository")
        installed = self.installed()
        if name not in installed:
            raise not_installed(name, installed)
        return installed

    def _lock(self, name: str) -> FileLock:
        return FileLock(self._layout.lock(f"repo-{name}"[:64]), timeout_s=0.0)

    async def _url(self, repo: str) -> str:
        folder = self._layout.repo(repo).resolve()
        if not _is_clone(folder):
            note = read_note(folder)
            return note.folder if note else str(folder)
        found = await self._git.query(folder, "config", "--get", "remote.origin.url")
        return found.text.strip() or str(folder)

    async def _branch(self, repo: str) -> str | None:
        folder = self._layout.repo(repo).resolve()
        if not _is_clone(folder):
            return None
        found = await self._git.query(folder, "symbolic-ref", "--short", "--quiet", "HEAD")
        return found.text.strip() or None


def _is_clone(folder: Path) -> bool:
    """Without ``.git`` of its own git would answer for the repository that the workspace lies in."""
    return (folder / ".git").exists()


def _predefined_url(name: str) -> str:
    if name in PREDEFINED:
        return PREDEFINED[name].url
    near = closest(name, PREDEFINED)
    raise UsageError(
        "REPO_URL_NEEDED",
        f"'{name}' is not a predefined repository; say where it is.",
        hint=f"Did you mean '{near}'?" if near else f"ploinky add repo {name} URL",
    )


def _exists(name: str) -> UsageError:
    return UsageError(
        "REPO_EXISTS",
        f"There is a repository '{name}' already.",
        hint=f"Bring it up to date: ploinky update repo {name}",
        details={"repo": name},
    )


def _no_source(name: str, folder: Path) -> UsageError:
    return UsageError(
        "REPO_HAS_NO_SOURCE",
        f"Repository '{name}' is a folder made by hand ({folder}); there is nothing to update it from.",
        details={"repo": name},
    )
