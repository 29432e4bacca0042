"""Files that are never lost, torn or misplaced.

``write_atomic`` replaces a file whole (temporary file, fsync, rename, fsync of the folder); ``FileLock``
keeps other processes out while a file is read, changed and written; ``safe_join`` admits only paths
inside a root, symlinks resolved. An unreadable file is an error, never an empty one. Paths that somebody
else may write to are read with ``read_inside`` and entered with ``open_folder``.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from ploinky.base.errors import DeadlineError, PloinkyError, UsageError

_LOCK_POLL_S = 0.01
_MOST_FOREIGN_BYTES = 32 * 1024 * 1024


def write_atomic(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Replace ``path`` by ``data`` so that a reader sees the old or the new content, whole.

    The temporary file lies beside the target, starts with ``.tmp-`` and is removed on failure.

    Raises:
        PloinkyError: ``FILE_WRITE``, naming the path and the reason (no space, no permission).
    """
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".tmp-{path.name}-", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                os.fchmod(stream.fileno(), mode)
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            Path(name).replace(path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                Path(name).unlink()
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise _file_error("FILE_WRITE", "write", path, error) from error


def read_bytes(path: Path) -> bytes | None:
    """The content of ``path``, or None if there is no such file.

    Raises:
        PloinkyError: ``FILE_READ`` if it exists and cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _file_error("FILE_READ", "read", path, error) from error


def read_text(path: Path) -> str | None:
    """The content of ``path`` as UTF-8, or None if there is no such file.

    Raises:
        PloinkyError: ``FILE_READ`` if it cannot be read, ``FILE_ENCODING`` if it is not UTF-8.
    """
    data = read_bytes(path)
    return None if data is None else decode_text(data, path)


def decode_text(data: bytes, path: Path) -> str:
    """What was read from ``path``, as UTF-8 with or without a mark.

    Raises:
        PloinkyError: ``FILE_ENCODING``.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PloinkyError(
            "FILE_ENCODING",
            f"{path} is not UTF-8 text (byte {error.start}).",
            hint="Save the file as UTF-8 and try again; it was not changed.",
        ) from error


def safe_join(root: Path, *parts: str) -> Path:
    """Join names that came from outside to ``root``; the resolved result lies inside the resolved root.

    Raises:
        UsageError: ``PATH_ESCAPES`` if the parts leave the root, by ``..``, an absolute part or a symlink.
    """
    base = root.resolve()
    try:
        resolved: Path | None = base.joinpath(*parts).resolve()
        if str(resolved) != os.path.realpath(str(resolved)):
            resolved = None  # a circle of links was cut short, and what is left of the path leads on
    except (ValueError, RuntimeError, OSError):
        resolved = None  # a NUL, a lone surrogate, links in a circle
    if resolved is None or not (resolved == base or base in resolved.parents):
        raise UsageError(
            "PATH_ESCAPES",
            f"{'/'.join(parts)!r} leads outside {root}.",
            hint="Give a path inside that folder (symlinks count by where they point).",
        )
    return resolved


def require_unlinked(path: Path) -> Path:
    """``path`` itself, an absolute one that leads through no symlink; it need not exist.

    Raises:
        PloinkyError: ``FOLDER_IS_LINK``.
    """
    if os.path.realpath(path) != str(path):
        raise PloinkyError(
            "FOLDER_IS_LINK",
            f"{path} is a link or leads through one.",
            hint="An agent may have put it there: look where it leads, then put a folder in its place.",
            details={"path": str(path)},
        )
    return path


@contextlib.contextmanager
def open_folder(path: Path) -> Iterator[int]:
    """A descriptor of the folder at the absolute ``path``, reached through no symlink.

    What is done by it is done there, even if somebody moves the path meanwhile.

    Raises:
        OSError: if it is no folder, or a part of the path is a symlink.
    """
    descriptor = _open_unlinked(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def hold_path(path: Path) -> int:
    """A descriptor (O_PATH) of the file or folder at the absolute ``path``, reached through no symlink.

    Raises:
        OSError: if there is nothing, or a part of the path is a symlink.
    """
    return _open_unlinked(path, os.O_PATH)


def _open_unlinked(path: Path, flags: int) -> int:
    always = os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path.anchor, os.O_PATH | os.O_DIRECTORY | always)
    for number, part in enumerate(path.parts[1:], start=2):
        wanted = flags if number == len(path.parts) else os.O_PATH | os.O_DIRECTORY
        try:
            inner = os.open(part, wanted | always, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = inner
    if stat.S_ISLNK(os.fstat(descriptor).st_mode):  # O_PATH opens a link itself
        os.close(descriptor)
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return descriptor


def open_inside(root: Path, path: Path) -> int:
    """A readable descriptor of the regular file at ``path``, which lies in ``root`` at that moment.

    For files that others wrote: no link leads out, no pipe makes wait.

    Raises:
        FileNotFoundError: there is none.
        UsageError: ``PATH_ESCAPES`` if a link leads outside.
        PloinkyError: ``FILE_READ``.
    """
    try:
        held = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            _require_regular_inside(root, path, held)
            return os.open(f"/proc/self/fd/{held}", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.close(held)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _file_error("FILE_READ", "read", path, error) from error


def read_inside(root: Path, path: Path, *, max_bytes: int = _MOST_FOREIGN_BYTES) -> bytes:
    """The content of the file that ``open_inside`` opens; no size exhausts memory.

    Raises:
        UsageError: ``PATH_ESCAPES`` if a link leads outside.
        PloinkyError: ``FILE_READ``.
    """
    try:
        with os.fdopen(open_inside(root, path), "rb") as stream:
            data = stream.read(max_bytes + 1)
    except OSError as error:
        raise _file_error("FILE_READ", "read", path, error) from error
    if len(data) > max_bytes:
        raise PloinkyError("FILE_READ", f"Cannot read {path}: it has more than {max_bytes} bytes.")
    return data


def _require_regular_inside(root: Path, path: Path, held: int) -> None:
    real = Path(f"/proc/self/fd/{held}").readlink()
    if root.resolve() not in real.parents:
        raise UsageError(
            "PATH_ESCAPES",
            f"{path} leads outside {root}.",
            hint="Put the file itself there; links count by where they point.",
        )
    if not stat.S_ISREG(os.fstat(held).st_mode):
        raise PloinkyError("FILE_READ", f"Cannot read {path}: it is no regular file.")


class FileLock:
    """An exclusive lock between processes, held while the context is open.

    The lock is the kernel's (flock): a holder that dies, even by SIGKILL, releases it. The lock file
    stays behind empty on purpose; removing it would let two holders in.
    """

    def __init__(self, path: Path, *, timeout_s: float = 10.0) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._descriptor: int | None = None

    def __enter__(self) -> FileLock:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _file_error("FILE_LOCK", "lock", self._path, error) from error
        try:
            self._wait(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _wait(self, descriptor: int) -> None:
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EACCES):
                    raise _file_error("FILE_LOCK", "lock", self._path, error) from error
                if time.monotonic() > deadline:
                    raise DeadlineError(
                        f"the lock {self._path}",
                        self._timeout_s,
                        code="FILE_LOCKED",
                        hint="Another ploinky command is working here; wait for it to end and try again.",
                    ) from error
                time.sleep(_LOCK_POLL_S)
            else:
                return


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _file_error(code: str, verb: str, path: Path, error: OSError) -> PloinkyError:
    return PloinkyError(
        code, f"Cannot {verb} {path}: {error.strerror or error}.", details={"path": str(path)}
    )
