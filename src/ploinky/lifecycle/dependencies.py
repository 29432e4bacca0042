"""What steps 6 and 7 install for an agent, and whether it is there already.

A set of dependencies has a key: the hash of everything that it comes from (merged files, lock, image,
runtime, machine). The key is written to ``agents/.cache`` only after an install ended well, and removed
before one begins, so an interrupted install is done over. To add a language: a reader of its files like
``node`` or ``python_deps``, and a row in ``_parts``.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

from ploinky.base.errors import UsageError
from ploinky.base.files import open_folder, read_text, require_unlinked, write_atomic
from ploinky.lifecycle.node import BASE_NAME, NodePackages, node_packages
from ploinky.lifecycle.python_deps import PythonPackages, python_packages
from ploinky.manifest.values import EffectiveConfig
from ploinky.workspace.layout import Layout

NODE_FOLDER = "node_modules"
VENV_FOLDER = "venv"
_CACHE_FOLDER = ".cache"
_MARKER_SUFFIX = ".deps.hash"


@dataclass(frozen=True)
class Dependencies:
    """What one agent needs. ``key`` is empty if it needs nothing."""

    agent: str
    work_dir: Path
    marker: Path
    node: NodePackages | None
    python: PythonPackages | None
    key: str = field(default="")

    @property
    def wanted(self) -> bool:
        return self.node is not None or self.python is not None

    @property
    def satisfied(self) -> bool:
        """Whether exactly these were installed, whole, and are still there."""
        if not self.wanted:
            return True
        folders = [self.work_dir / NODE_FOLDER] if self.node else []
        folders += [self.work_dir / VENV_FOLDER / "bin"] if self.python else []
        installed = (read_text(self.marker) or "").strip() == self.key
        return installed and all(folder.is_dir() for folder in folders)

    def in_image(self, image_id: str) -> Dependencies:
        """The same for an image of this content, which brings the interpreters."""
        if not self.wanted:
            return self
        return replace(self, key=hashlib.sha256(f"{self.key}@{image_id}".encode()).hexdigest())

    @property
    def recorded(self) -> bool:
        """Whether something was installed, be it for an older set."""
        return self.marker.is_file()

    def begin(self) -> None:
        """Trust nothing that is there: the marker goes, and so do half-installed trees.

        Raises:
            PloinkyError: FOLDER_IS_LINK.
        """
        _remove(self.marker, self.work_dir, node=self.node is not None, python=self.python is not None)

    def finish(self) -> None:
        require_unlinked(self.marker.parent).mkdir(parents=True, exist_ok=True)
        write_atomic(self.marker, f"{self.key}\n".encode())


def find_dependencies(
    layout: Layout, config: EffectiveConfig, *, key: str, folder: Path, image: str, runtime: str
) -> Dependencies:
    """What the agent in ``folder`` needs; ``image`` and ``runtime`` are part of the key.

    Raises:
        PloinkyError: as ``node_packages`` and ``python_packages`` do.
    """
    code = code_folder(folder)
    node = node_packages(
        key,
        code=code,
        folder=folder,
        extra=config.dependencies,
        workspace_base=layout.control / BASE_NAME,
    )
    python = python_packages(code=code, folder=folder)
    parts = _parts(node, python)
    # a new host system means new installs, because in a sandbox the interpreters are the host's own
    system = read_text(Path("/etc/os-release")) or ""
    facts = [parts, image, runtime, platform.machine(), system]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest() if parts else ""
    return Dependencies(key, layout.work_dir(key), find_marker(layout, key), node, python, digest)


def remove_installed(layout: Layout, key: str) -> bool:
    """Remove all that was installed for an agent, whatever it asks for now; whether there was anything.

    Raises:
        PloinkyError: FOLDER_IS_LINK.
    """
    work_dir, marker = layout.work_dir(key), find_marker(layout, key)
    trees = [work_dir / name for name in (NODE_FOLDER, VENV_FOLDER)]
    there = marker.is_file() or any(tree.is_dir() and any(tree.iterdir()) for tree in trees)
    _remove(marker, work_dir, node=True, python=True)
    return there


def find_marker(layout: Layout, key: str) -> Path:
    """Where it is noted what was installed for an agent."""
    return layout.agents / _CACHE_FOLDER / f"{key}{_MARKER_SUFFIX}"


def code_folder(folder: Path) -> Path:
    """The agent's code: ``code/`` in its folder, else the folder itself.

    Raises:
        UsageError: PATH_ESCAPES if ``code`` is a link that leads out of the folder.
    """
    inner = folder / "code"
    return require_own(folder, inner) if inner.is_dir() else folder


def require_own(folder: Path, path: Path) -> Path:
    """``path``, which lies in an agent's folder wherever links lead.

    The repository's author made the link, or the agent itself if its code is writable.

    Raises:
        UsageError: PATH_ESCAPES.
    """
    base = folder.resolve()
    real = Path(os.path.realpath(path))
    if real != base and base not in real.parents:
        raise UsageError(
            "PATH_ESCAPES",
            f"{path} leads outside the agent's folder, to {real}.",
            hint="A link in an agent's folder must stay inside it.",
        )
    return path


def _parts(node: NodePackages | None, python: PythonPackages | None) -> dict[str, object]:
    parts: dict[str, object] = {}
    if node is not None:
        parts["node"] = [node.package_json, node.lock]
    if python is not None:
        parts["python"] = python.facts
    return parts


def _remove(marker: Path, work_dir: Path, *, node: bool, python: bool) -> None:
    """``node_modules`` itself stays, since a running sandbox has it mounted. The agent writes its working
    folder, so nothing is removed through a link."""
    require_unlinked(marker.parent)
    marker.unlink(missing_ok=True)
    if node:
        _empty(require_unlinked(work_dir / NODE_FOLDER))
    if python:
        with contextlib.suppress(FileNotFoundError), open_folder(work_dir) as folder:
            shutil.rmtree(VENV_FOLDER, ignore_errors=True, dir_fd=folder)


def _empty(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError), open_folder(folder) as descriptor:
        for entry in list(os.scandir(descriptor)):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.name, ignore_errors=True, dir_fd=descriptor)
            else:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(entry.name, dir_fd=descriptor)
