"""Where skills come from: an https address, a repository, a zip, a folder, a file; all become files here.

Everything is bounded and nothing is executed: names are checked, links are refused, a repository is cloned
without hooks and without this person's settings. ``address#folder`` takes a folder of a repository or a zip.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import anyio

from ploinky.base.errors import NotFoundError, PloinkyError, UsageError
from ploinky.base.outbound import OutboundPolicy, checked_addresses, fetch
from ploinky.base.processes import run
from ploinky.skills.safety.skill import MAIN_FILES

MOST_FILES = 2_000
MOST_BYTES = 64 * 1024 * 1024
_GIT_TIMEOUT_S = 120.0
_IGNORED = frozenset({".git", "__pycache__", ".DS_Store", "node_modules", ".venv"})
_FORGES = ("github.com", "gitlab.com", "bitbucket.org", "codeberg.org")


@dataclass(frozen=True)
class Bundle:
    """The files of a skill by their paths ('/' between parts). ``source`` is where to look for it again."""

    source: str
    name: str
    files: Mapping[str, bytes]
    commit: str = ""

    def digests(self) -> dict[str, str]:
        """The SHA-256 of every file."""
        return {name: hashlib.sha256(data).hexdigest() for name, data in sorted(self.files.items())}


async def fetch_skill(source: str, *, policy: OutboundPolicy, relative_to: Path) -> Bundle:
    """The files of the skill at ``source``.

    Raises:
        NotFoundError: ``SKILL_NOT_FOUND`` if there is nothing, or no SKILL.md in it.
        PloinkyError: ``SKILL_TOO_LARGE``, ``SKILL_FILES``; those of ``outbound.fetch``; ``GIT_FAILED``.
    """
    address, _, inner = source.partition("#")
    if "://" not in address and not address.startswith("git@"):
        return await anyio.to_thread.run_sync(_local, source, relative_to)
    if _is_git(address):
        return await _git(source, address, inner, policy)
    fetched = await fetch(address, policy=policy)
    if fetched.status != 200:
        raise _missing(source, f"the host answers {fetched.status}")
    name = PurePosixPath(urlsplit(address).path).stem or "skill"
    if fetched.body.startswith(b"PK\x03\x04"):
        return _one(source, name, _unzipped(fetched.body), inner)
    if fetched.content_type == "text/html":
        raise _missing(source, "it is a web page; give the address of the file itself")
    parent = PurePosixPath(urlsplit(address).path).parent.name
    return Bundle(source, parent or name, {"SKILL.md": fetched.body})


def _is_git(address: str) -> bool:
    parts = urlsplit(address)
    folders = [each for each in parts.path.split("/") if each]
    return (
        address.startswith(("git@", "ssh://"))
        or parts.path.endswith(".git")
        or ((parts.hostname or "") in _FORGES and len(folders) == 2)
    )


async def _git(source: str, address: str, inner: str, policy: OutboundPolicy) -> Bundle:
    parts = urlsplit(address)
    if parts.scheme != "https" or parts.username or parts.password or parts.hostname is None:
        raise UsageError("URL_REFUSED", "A repository is cloned over https without a password only.")
    await checked_addresses(parts.hostname, parts.port or 443, policy)
    env = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "https",
        **{
            key: value for key, value in os.environ.items() if key.lower() in ("https_proxy", "ssl_cert_file")
        },
    }
    with tempfile.TemporaryDirectory(prefix="ploinky-skill-") as scratch:
        folder = Path(scratch) / "clone"
        argv = [
            "git",
            "-c",
            "core.hooksPath=/dev/null",
            "-c",
            "core.symlinks=false",
            "clone",
            "--quiet",
            "--depth",
            "1",
        ]
        done = await run([*argv, "--", address, str(folder)], timeout_s=_GIT_TIMEOUT_S, env=env)
        if done.returncode != 0:
            raise PloinkyError(
                "GIT_FAILED", f"Cannot clone {address}.", hint=done.error_text.strip()[-300:] or None
            )
        head = await run(["git", "-C", str(folder), "rev-parse", "HEAD"], timeout_s=10, env=env)
        files = await anyio.to_thread.run_sync(_read_folder, folder)
    return _one(source, PurePosixPath(parts.path).stem, files, inner, commit=head.text.strip())


def _local(source: str, relative_to: Path) -> Bundle:
    text, _, inner = source.partition("#")
    path = (relative_to / Path(text).expanduser()).resolve()
    shown = str(path) if not inner else f"{path}#{inner}"
    if path.is_dir():
        return _one(shown, path.name, _read_folder(path), inner)
    if not path.is_file():
        raise _missing(source, "there is no such file or folder")
    data = path.read_bytes()
    if data.startswith(b"PK\x03\x04"):
        return _one(shown, path.stem, _unzipped(data), inner)
    return Bundle(shown, path.parent.name, {"SKILL.md": data})


def _one(source: str, name: str, files: Mapping[str, bytes], inner: str, *, commit: str = "") -> Bundle:
    """The one skill among ``files``: at their root, in ``inner``, or in the only folder that has one."""
    prefix = f"{inner.strip('/')}/" if inner else ""
    if not prefix and not any(each in files for each in MAIN_FILES):
        folders = {path.rpartition("/")[0] for path in files if path.rpartition("/")[2] in MAIN_FILES}
        if len(folders) > 1:
            some = ", ".join(sorted(folders)[:8])
            raise UsageError(
                "SKILL_SEVERAL", f"{source} holds {len(folders)} skills.", hint=f"Name one after '#': {some}"
            )
        prefix = f"{folders.pop()}/" if folders else ""
    mine = {path.removeprefix(prefix): data for path, data in files.items() if path.startswith(prefix)}
    if not any(each in mine for each in MAIN_FILES):
        raise _missing(source, "there is no SKILL.md in it")
    return Bundle(source, PurePosixPath(prefix).name or name, mine, commit)


def _read_folder(folder: Path) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    total = 0
    for path in _walk(folder):
        info = path.lstat()
        if not stat.S_ISREG(info.st_mode):
            raise PloinkyError(
                "SKILL_FILES", f"{path.relative_to(folder)} is no plain file (a link, a pipe, a device)."
            )
        total += info.st_size
        if len(files) >= MOST_FILES or total > MOST_BYTES:
            raise _too_large()
        files[path.relative_to(folder).as_posix()] = path.read_bytes()
    return files


def _walk(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if entry.name in _IGNORED:
            continue
        if entry.is_dir() and not entry.is_symlink():
            yield from _walk(entry)
        else:
            yield entry


def _unzipped(data: bytes) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    total = 0
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for entry in archive.infolist():
                parts = PurePosixPath(entry.filename).parts
                if entry.is_dir() or any(part in _IGNORED for part in parts):
                    continue
                if entry.filename.startswith("/") or ".." in parts or "\\" in entry.filename or not parts:
                    raise PloinkyError(
                        "SKILL_FILES", f"The archive holds a name that leaves it: {entry.filename!r}."
                    )
                if stat.S_ISLNK(entry.external_attr >> 16) or entry.flag_bits & 1:
                    raise PloinkyError(
                        "SKILL_FILES", f"The archive holds a link or an encrypted file: {entry.filename!r}."
                    )
                with archive.open(entry) as stream:
                    content = stream.read(MOST_BYTES - total + 1)
                total += len(content)
                if len(files) >= MOST_FILES or total > MOST_BYTES:
                    raise _too_large()
                files["/".join(parts)] = content
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        raise PloinkyError("SKILL_FILES", "The archive cannot be read.") from error
    return files


def _too_large() -> PloinkyError:
    return PloinkyError(
        "SKILL_TOO_LARGE", f"A skill may have {MOST_FILES} files and {MOST_BYTES} bytes at most."
    )


def _missing(source: str, why: str) -> NotFoundError:
    return NotFoundError(
        "SKILL_NOT_FOUND",
        f"No skill at {source.partition('?')[0]!r}: {why}.",
        hint="Give a folder with a SKILL.md.",
    )
