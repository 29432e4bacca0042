"""Logins of browsers: a random cookie per login, known here by its digest only, and one-time links.

Sessions outlive the gateway (``.ploinky/running/sessions.json``, 0600). Each is bound to what it was proved
by (a digest of the owner's token or of the password's hash): when that changes, the session ends. A code of a
one-time link lives for a minute in memory and is good once.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ploinky.base.errors import PloinkyError
from ploinky.base.files import FileLock, read_text, write_atomic
from ploinky.workspace.layout import Layout

logger = logging.getLogger(__name__)
LIFETIME_S = 30 * 24 * 3600.0
CODE_LIFETIME_S = 60.0
MOST_SESSIONS = 200
_MOST_CODES = 50
_LONGEST = 200


@dataclass(frozen=True)
class _Session:
    basis: str
    expires_at: float


class SessionStore:
    """Makes, knows and forgets sessions. ``basis`` says what a login stands on now; ``clock`` gives seconds
    since the epoch."""

    def __init__(
        self, layout: Layout, basis: Callable[[], str], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._path: Path = layout.running / "sessions.json"
        self._lock = layout.lock("sessions")
        self._basis = basis
        self._clock = clock
        self._codes: dict[str, float] = {}
        self._known = self._load()
        self.cookie_name = f"ploinky_{layout.id[:12]}"

    def open(self) -> str:
        """A new session: the value for its cookie."""
        value = secrets.token_urlsafe(32)
        self._known[_digest(value)] = _Session(self._digest_of_basis(), self._clock() + LIFETIME_S)
        while len(self._known) > MOST_SESSIONS:
            del self._known[min(self._known, key=lambda key: self._known[key].expires_at)]
        self._save()
        return value

    def is_open(self, value: str) -> bool:
        """Whether a cookie's value is that of a session which has not ended."""
        if len(value) > _LONGEST:
            return False
        session = self._known.get(_digest(value))
        if session is None or session.expires_at < self._clock():
            return False
        return hmac.compare_digest(session.basis, self._digest_of_basis())

    def close(self, value: str) -> None:
        """End a session."""
        if self._known.pop(_digest(value), None) is not None:
            self._save()

    def new_code(self) -> str:
        """The code of a one-time link."""
        now = self._clock()
        self._codes = {key: ends for key, ends in self._codes.items() if ends > now}
        while len(self._codes) >= _MOST_CODES:
            del self._codes[next(iter(self._codes))]
        code = secrets.token_urlsafe(32)
        self._codes[_digest(code)] = now + CODE_LIFETIME_S
        return code

    def redeem(self, code: str) -> bool:
        """Whether the code is good; it is not any more afterwards."""
        if len(code) > _LONGEST:
            return False
        return self._codes.pop(_digest(code), 0.0) > self._clock()

    def _digest_of_basis(self) -> str:
        return _digest(self._basis())

    def _load(self) -> dict[str, _Session]:
        """Sessions of the former gateway; a file that cannot be read means that everybody logs in again."""
        try:
            facts = json.loads(read_text(self._path) or "{}")
            return {key: _Session(str(each[0]), float(each[1])) for key, each in facts.items()}
        except (PloinkyError, ValueError, TypeError, AttributeError, IndexError) as error:
            logger.warning("the logins of before are forgotten: %s", type(error).__name__)
            return {}

    def _save(self) -> None:
        facts = {key: [each.basis, each.expires_at] for key, each in self._known.items()}
        with FileLock(self._lock):
            write_atomic(self._path, json.dumps(facts).encode(), mode=0o600)


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
