"""Repositories that are plain folders: copied, with a note of where from and what was copied.

The note (``.ploinky-source``) lies in the copy. Its digest tells whether somebody has changed the copy.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ploinky.base.errors import UsageError
from ploinky.workspace.documents import read_json_object, shape_error, write_json

NOTE = ".ploinky-source"
_LEFT_BEHIND = frozenset({".git", ".ploinky", NOTE})


@dataclass(frozen=True)
class CopyNote:
    """``folder``: what was copied; ``digest``: ``folder_digest`` of the copy when it was made."""

    folder: str
    digest: str


def copy_folder(source: Path, target: Path, *, workspace: Path) -> None:
    """Copy a folder to ``target``, which must not exist, and leave the note there.

    Links stay links; sockets, devices, ``.git`` and ``.ploinky`` are left behind.

    Raises:
        UsageError: ``BAD_REPO_URL`` if the folder holds the workspace.
    """
    if source == workspace or source in workspace.parents:
        raise UsageError(
            "BAD_REPO_URL",
            f"{source} holds this workspace and cannot be copied into it.",
            hint="Give the folder in which the agents' folders lie.",
        )
    shutil.copytree(source, target, symlinks=True, ignore=_ignored)
    write_json(target / NOTE, {"folder": str(source), "digest": folder_digest(target)}, mode=0o644)


def read_note(folder: Path) -> CopyNote | None:
    """The note of a copied repository, or None if it is none."""
    path = folder / NOTE
    document = read_json_object(path, code="REPO_NOTE_INVALID")
    if document is None:
        return None
    source, digest = document.get("folder"), document.get("digest")
    if not isinstance(source, str) or not isinstance(digest, str):
        raise shape_error(path, "REPO_NOTE_INVALID", "must hold folder and digest")
    return CopyNote(source, digest)


def folder_digest(folder: Path) -> str:
    """``sha256:<hex>`` over names, executable bits, link targets and contents, in a fixed order."""
    total = hashlib.sha256()
    for relative, facts in file_facts(folder).items():
        total.update(f"{relative}\0{facts}\n".encode("utf-8", "surrogateescape"))
    return f"sha256:{total.hexdigest()}"


def file_facts(folder: Path) -> dict[str, str]:
    """For every file by relative path: a text that changes when the file does."""
    return {str(path.relative_to(folder)): _facts(path) for path in _files(folder)}


def _files(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        links = [name for name in folders if Path(root, name).is_symlink()]
        folders[:] = sorted(name for name in folders if name not in _LEFT_BEHIND and name not in links)
        for name in sorted([*names, *links]):
            if name not in _LEFT_BEHIND and _is_portable(Path(root, name)):
                yield Path(root, name)


def _facts(path: Path) -> str:
    if path.is_symlink():
        return f"link {os.readlink(path)}"  # noqa: PTH115 (the text of the link, not a path)
    executable = "x" if path.stat().st_mode & 0o100 else "-"
    return f"{executable} {hashlib.sha256(path.read_bytes()).hexdigest()}"


def _is_portable(path: Path) -> bool:
    mode = path.lstat().st_mode
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)


def _ignored(folder: str, names: list[str]) -> set[str]:
    return {name for name in names if name in _LEFT_BEHIND or not _is_portable(Path(folder, name))}
