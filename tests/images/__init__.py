"""Images for tests, made from what this Debian machine has installed: no registry is asked.

``busybox``: one static program and its names, about 0.1 s. ``packages``: the files of installed Debian
packages and of all they depend on, over a busybox, 1 to 3 s. By hand:
``python -m tests.images podman busybox:stable python:3.11-slim`` gives the images the names that manifests
use, so that example agents start without a registry.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.images.debian import MissingPackageError, files_of

BUSYBOX = Path("/usr/bin/busybox")
FOLDERS = ("bin", "dev", "etc", "proc", "root", "run", "sys", "tmp", "usr", "usr/bin", "var", "var/tmp")
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nagent:x:1000:1000:agent:/tmp:/bin/sh\n",
    "etc/group": "root:x:0:\nagent:x:1000:\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
}
MERGED = ("bin", "sbin", "lib", "lib64", "lib32", "libx32")
TIMEOUT_S = 300


class UnmadeImageError(Exception):
    """An image cannot be made here; the text says what is missing."""


@dataclass(frozen=True)
class Recipe:
    """What an image holds besides busybox: Debian packages, folders of this machine as they are (a tool that
    was updated past its package), and further names for programs."""

    packages: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    trees: tuple[Path, ...] = ()
    names: tuple[tuple[str, str], ...] = ()


NPM = Path("/usr/lib/node_modules/npm")
PYTHON = Recipe(
    packages=("python3", "python3-venv", "ca-certificates"), names=(("usr/bin/python", "python3"),)
)
NODE = Recipe(
    packages=("nodejs", "ca-certificates"),
    without=("python3-minimal", "python3"),
    trees=(NPM,),
    names=(("usr/bin/npm", f"../..{NPM}/bin/npm-cli.js"), ("usr/bin/npx", f"../..{NPM}/bin/npx-cli.js")),
)
GIT = Recipe(packages=("git",), without=("perl", "liberror-perl"))
RECIPES = {
    "busybox:stable": Recipe(),
    "python:3.11-slim": PYTHON,
    "node:20-alpine": NODE,
    "alpine/git:latest": GIT,
}


def make(engine: str, tag: str, recipe: Recipe) -> None:
    """Make an image with ``podman`` or ``docker`` and name it.

    Raises:
        UnmadeImageError: a program or package is missing here, or the engine refused.
    """
    if not BUSYBOX.is_file() or shutil.which(engine) is None:
        raise UnmadeImageError(f"busybox-static and {engine} are needed to make {tag}")
    try:
        archive = _archive(recipe)
    except MissingPackageError as error:
        raise UnmadeImageError(str(error)) from error
    change = "ENV PATH=/usr/local/bin:/usr/bin:/bin"
    done = subprocess.run(
        [engine, "import", "--change", change, "-", tag],
        input=archive,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        raise UnmadeImageError(f"{engine} import {tag}: {done.stderr.decode(errors='replace').strip()}")


def present(engine: str, tag: str) -> bool:
    found = subprocess.run(
        [engine, "image", "inspect", tag], capture_output=True, timeout=TIMEOUT_S, check=False
    )
    return found.returncode == 0


def remove(engine: str, tag: str) -> None:
    """Remove an image; one that is not there is no failure."""
    subprocess.run([engine, "rmi", "--force", tag], capture_output=True, timeout=TIMEOUT_S, check=False)


def _archive(recipe: Recipe) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        taken = _skeleton(archive, merged=bool(recipe.packages))
        for file in _files(recipe):
            name = _inside(file)
            if len(file.parts) > 2 and name not in taken:
                taken.add(name)
                archive.add(file, arcname=name, recursive=False, filter=_plain)
        for name, target in (*recipe.names, *_applets("usr/bin" if recipe.packages else "bin")):
            if name not in taken:
                taken.add(name)
                _link(archive, name, target)
    return buffer.getvalue()


def _files(recipe: Recipe) -> Iterator[Path]:
    yield from files_of(recipe.packages, without=recipe.without)
    for tree in recipe.trees:
        yield from (file for file in sorted(tree.rglob("*")) if file.is_symlink() or file.is_file())


def _skeleton(archive: tarfile.TarFile, *, merged: bool) -> set[str]:
    """Folders, accounts and busybox. With packages, ``/bin`` and the like are links into ``/usr``."""
    taken = set()
    for name in FOLDERS:
        if merged and name in MERGED:
            continue
        folder = tarfile.TarInfo(name)
        folder.type = tarfile.DIRTYPE
        folder.mode = 0o1777 if name in {"tmp", "var/tmp"} else 0o755
        archive.addfile(folder)
        taken.add(name)
    for name in MERGED if merged else ():
        _link(archive, name, f"usr/{name}")
        taken.add(name)
    for name, text in FILES.items():
        member = tarfile.TarInfo(name)
        member.size = len(text)
        member.mode = 0o644
        archive.addfile(member, io.BytesIO(text.encode()))
        taken.add(name)
    program = "usr/bin/busybox" if merged else "bin/busybox"
    archive.add(BUSYBOX, arcname=program, filter=_plain)
    return {*taken, program}


def _applets(folder: str) -> Iterator[tuple[str, str]]:
    listed = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, timeout=30, check=True)
    for name in listed.stdout.split():
        if name != "busybox":
            yield f"{folder}/{name}", "busybox"


def _link(archive: tarfile.TarFile, name: str, target: str) -> None:
    member = tarfile.TarInfo(name)
    member.type = tarfile.SYMTYPE
    member.linkname = target
    archive.addfile(member)


def _inside(file: Path) -> str:
    """Where a host's file lies in the image, with ``/lib`` and the like inside ``/usr``."""
    first, *rest = file.parts[1:]
    return "/".join(("usr", first, *rest) if first in MERGED else (first, *rest))


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member
