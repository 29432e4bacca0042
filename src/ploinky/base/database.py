"""A SQLite file that many processes share: opened in WAL mode, brought up to date by numbered migrations.

Readers never wait for writers and see one moment; writers take turns, across processes too. A file that is
broken, or of a newer version, is an error and stays as it is. Migrations are recorded by name and never
edited; to change a schema, add one to the end of the list. Knows no table.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import anyio.to_thread

from ploinky.base.clock import now_iso
from ploinky.base.errors import DeadlineError, PloinkyError

BUSY_TIMEOUT_S = 20.0
_PAGES_IN_LOG = 8000  # 32 MB; ``checkpoint`` comes earlier where somebody calls it
_T = TypeVar("_T")
Work = Callable[[sqlite3.Connection], _T]


@dataclass(frozen=True)
class Migration:
    """One step of a schema's history: its lasting name and its statements."""

    name: str
    statements: tuple[str, ...]


class Database:
    """One file, with one connection to read and one to write; usable from every thread of the process.

    ``read`` and ``write`` block: short reads may be done on the event loop, where ``commit`` is for writing.
    """

    def __init__(self, path: Path, migrations: Sequence[Migration]) -> None:
        """Open the file, made with mode 0600 if it is missing, and run the migrations it lacks.

        Raises:
            PloinkyError: ``DATABASE_BROKEN``, ``DATABASE_NEWER``, ``DATABASE_OPEN``.
            DeadlineError: ``DATABASE_BUSY``.
        """
        self.path = path
        self._read_lock = threading.Lock()
        self._write_lock = threading.Lock()
        self._writer = self._connect()
        try:
            self._migrate(migrations)
            self._reader = self._connect()
        except BaseException:
            self._writer.close()
            raise

    def read(self, work: Work[_T]) -> _T:
        """What ``work`` finds; everything it reads is of one moment.

        Raises:
            PloinkyError: ``DATABASE_BROKEN``.
        """
        with self._read_lock, self._guarded():
            self._reader.execute("BEGIN")
            try:
                return work(self._reader)
            finally:
                self._reader.execute("ROLLBACK")

    def write(self, work: Work[_T]) -> _T:
        """Do ``work`` as one transaction: all of it or, if it raises, nothing.

        Raises:
            PloinkyError: ``DATABASE_BROKEN``. DeadlineError: ``DATABASE_BUSY``.
        """
        with self._write_lock, self._guarded():
            self._writer.execute("BEGIN IMMEDIATE")
            return self._transaction(work)

    async def commit(self, work: Work[_T]) -> _T:
        """Like ``write``, for the event loop: done at once if nobody else writes, else in a thread.

        A short transaction costs less than handing it to a thread and waiting for the interpreter twice.
        """
        done, value = self._try_write(work)
        if done:
            return value  # type: ignore[return-value]  # it is what work returned
        return await anyio.to_thread.run_sync(self.write, work)

    def checkpoint(self) -> None:
        """Move what was written into the file itself; blocks, and is to be called now and then."""
        with self._guarded(), contextlib.closing(self._connect()) as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def version(self) -> int:
        """A number that changes whenever another connection, of any process, has written."""
        with self._read_lock, self._guarded():
            row = self._reader.execute("PRAGMA data_version").fetchone()
            return int(row[0])

    def close(self) -> None:
        """Let go of the file; what was written is kept."""
        with self._write_lock, self._read_lock:
            self._reader.close()
            self._writer.close()

    def _try_write(self, work: Work[_T]) -> tuple[bool, _T | None]:
        """(False, None) if somebody else writes just now."""
        if not self._write_lock.acquire(blocking=False):
            return False, None
        try:
            self._writer.execute("PRAGMA busy_timeout = 0")
            try:
                self._writer.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return False, None  # busy, or broken: the patient way tells
            finally:
                self._writer.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}")
            return True, self._transaction(work)
        finally:
            self._write_lock.release()

    def _transaction(self, work: Work[_T]) -> _T:
        """Do ``work`` in the transaction that has begun, and end it."""
        with self._guarded():
            try:
                done = work(self._writer)
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise
            return done

    def _connect(self) -> sqlite3.Connection:
        try:
            if not self.path.exists():
                self.path.touch(mode=0o600, exist_ok=True)
            connection = sqlite3.connect(
                self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            raise PloinkyError("DATABASE_OPEN", f"Cannot open {self.path}: {error}.") from error
        try:
            with self._guarded():
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute("PRAGMA foreign_keys = ON")
                connection.execute(f"PRAGMA wal_autocheckpoint = {_PAGES_IN_LOG}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _migrate(self, migrations: Sequence[Migration]) -> None:
        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, at TEXT NOT NULL)"
            )
            done = {row[0] for row in connection.execute("SELECT name FROM migrations")}
            unknown = done - {migration.name for migration in migrations}
            if unknown:
                raise PloinkyError(
                    "DATABASE_NEWER",
                    f"{self.path} was written by a newer Ploinky ({', '.join(sorted(unknown))}).",
                    hint="Use that version, or move the file away; it was not changed.",
                )
            for migration in migrations:
                if migration.name not in done:
                    for statement in migration.statements:
                        connection.execute(statement)
                    connection.execute("INSERT INTO migrations VALUES (?, ?)", (migration.name, now_iso()))

        self.write(work)

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise DeadlineError(
                    f"{self.path}, which another process writes", BUSY_TIMEOUT_S, code="DATABASE_BUSY"
                ) from error
            raise self._fault(error) from error
        except sqlite3.IntegrityError:
            raise  # the caller's own rule; it knows what it means
        except sqlite3.DatabaseError as error:
            raise self._fault(error) from error

    def _fault(self, error: sqlite3.Error) -> PloinkyError:
        return PloinkyError(
            "DATABASE_BROKEN",
            f"{self.path} cannot be used: {error}.",
            hint="Restore it from a backup, or move it away; it was not changed.",
            details={"path": str(self.path)},
        )
