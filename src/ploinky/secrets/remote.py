"""Remote stores behind one interface, asked at once and remembered for a short while.

``RemoteValues`` is what ``SecretSources`` asks: it knows order, deadline and cache, not protocols. An answer
is kept in memory only. When a store cannot be reached, a value that it gave in the last hour still counts
here (a running agent goes on); a start in a new process has none and fails. To add a store: a driver with
``fetch`` and a row in ``DRIVERS``.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Protocol

from ploinky.base.errors import DeadlineError, NeedsApprovalError, PloinkyError
from ploinky.secrets.sources import SourceKind

_log = logging.getLogger(__name__)
STALE_AFTER_S = 3600.0
_THREAD_GRACE_S = 2.0


class RemoteStore(Protocol):
    """One store under its settings; used from one thread at a time."""

    kind: SourceKind

    async def fetch(self, profile: str, names: frozenset[str]) -> Mapping[str, str]:
        """The values of those of ``names`` that the store has. Returns within ``timeout_s`` of its making.

        Raises:
            PloinkyError: ``SECRETS_STORE_UNREACHABLE`` (also sealed, or too slow), ``SECRETS_STORE_DENIED``,
                ``SECRETS_STORE_REFUSED`` (it does not know what was asked for).
        """
        ...


@dataclass(frozen=True)
class Reach:
    """What a driver may use: a deadline in seconds, the workspace, and the credentials that settings name."""

    timeout_s: float
    root: Path
    environ: Mapping[str, str]
    kept: Callable[[str], str | None]

    def credential(self, reference: str) -> str:
        """The credential at ``env:NAME``, ``secrets:NAME`` or ``file:PATH``.

        Raises:
            NeedsApprovalError: ``SECRETS_STORE_CREDENTIAL`` if there is none.
        """
        kind, _, place = reference.partition(":")
        if kind == "file":
            try:
                found: str | None = (self.root / place).expanduser().read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError):
                found = None
        else:
            found = self.environ.get(place) if kind == "env" else self.kept(place)
        if not found:
            where = {"env": f"the variable {place}", "secrets": f".ploinky/.secrets under {place}"}
            raise NeedsApprovalError(
                "SECRETS_STORE_CREDENTIAL",
                f"The credential of the remote store is not in {where.get(kind, place)}.",
                hint="Put it there, or name another place in .ploinky/config.json under secrets.stores.",
                details={"reference": reference},
            )
        return found


@dataclass
class _Kept:
    """What a store answered about one name, and when."""

    value: str | None
    kind: SourceKind
    at: float = field(default_factory=time.monotonic)


class RemoteValues:
    """The values of all remote stores of a workspace. Safe to ask from any thread.

    ``stamp`` is a file that is touched when a secret was changed: answers from before count no more.
    """

    def __init__(
        self, stores: Callable[[], tuple[RemoteStore, ...]], *, timeout_s: float, cache_s: float, stamp: Path
    ) -> None:
        self._make = stores
        self._stores: tuple[RemoteStore, ...] | None = None
        self._timeout_s = timeout_s
        self._cache_s = cache_s
        self._stamp = stamp
        self._stamped = 0
        self._kept: dict[tuple[str, str], _Kept] = {}
        self._lock = threading.Lock()

    def find(self, profile: str | None, name: str) -> tuple[str, SourceKind] | None:
        self.prefetch(profile, [name])
        kept = self._kept.get((profile or "dev", name))
        return None if kept is None or kept.value is None else (kept.value, kept.kind)

    def prefetch(self, profile: str | None, names: Collection[str]) -> None:
        with self._lock:
            self._forget_if_changed()
            known = profile or "dev"
            now = time.monotonic()
            wanted = {name for name in names if not self._is_fresh((known, name), now)}
            if wanted:
                self._ask(known, frozenset(wanted))

    def _is_fresh(self, key: tuple[str, str], now: float) -> bool:
        kept = self._kept.get(key)
        return kept is not None and now - kept.at <= self._cache_s

    def _forget_if_changed(self) -> None:
        try:
            changed = self._stamp.stat().st_mtime_ns
        except FileNotFoundError:
            return
        if changed != self._stamped:
            self._stamped = changed
            self._kept.clear()

    def _ask(self, profile: str, names: frozenset[str]) -> None:
        if self._stores is None:
            self._stores = self._make()
        open_names = names
        try:
            for store in self._stores:
                found = _in_a_thread(store, profile, open_names, self._timeout_s)
                for name, value in found.items():
                    self._kept[profile, name] = _Kept(value, store.kind)
                open_names -= found.keys()
                if not open_names:
                    break
        except PloinkyError as error:
            now = time.monotonic()
            stale = [self._kept.get((profile, name)) for name in open_names]
            if error.code != "SECRETS_STORE_UNREACHABLE" or not all(
                each is not None and now - each.at < STALE_AFTER_S for each in stale
            ):
                raise
            _log.warning("%s; the values that it gave before are used", error.message)
            return
        for name in open_names:
            self._kept[profile, name] = _Kept(None, SourceKind.DEFAULT)


def unreachable(what: str, reason: str) -> PloinkyError:
    """The error for a store that gave no answer; ``what`` names it."""
    return PloinkyError(
        "SECRETS_STORE_UNREACHABLE",
        f"{what} could not be asked: {reason}.",
        hint="See that it runs and can be reached, or set the values nearer: ploinky var NAME",
    )


def _in_a_thread(
    store: RemoteStore, profile: str, names: frozenset[str], timeout_s: float
) -> Mapping[str, str]:
    """Ask from a thread and an event loop of their own: whoever asks may or may not be in one."""
    import anyio

    answers: list[Mapping[str, str]] = []
    failures: list[BaseException] = []

    async def ask() -> None:
        try:
            with anyio.fail_after(timeout_s):
                answers.append(await store.fetch(profile, names))
        except TimeoutError:
            failures.append(unreachable(store.kind.value, f"no answer within {timeout_s:g} s"))

    def work() -> None:
        try:
            anyio.run(ask)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work, name="remote-secrets", daemon=True)
    thread.start()
    thread.join(timeout_s + _THREAD_GRACE_S)
    if failures:
        raise failures[0]
    if not answers:
        raise DeadlineError(store.kind.value, timeout_s, code="SECRETS_STORE_UNREACHABLE")
    return answers[0]


DRIVERS = {"vault": "ploinky.secrets.vault:Vault", "aws": "ploinky.secrets.aws:AwsSecretsManager"}


def open_driver(kind: str, settings: object, reach: Reach) -> RemoteStore:
    """The driver for one entry of ``secrets.stores``; its module is imported now."""
    module, name = DRIVERS[kind].split(":")
    made: RemoteStore = getattr(import_module(module), name)(settings, reach)
    return made
