"""Who may call: the owner's token and the agents' signed tokens.

The owner's token is random, made once, 0600. An agent's token is ``pla1.<payload>.<HMAC-SHA256>`` over
workspace, agent and times, by a key that only the gateway reads: no agent can make another's, nor change
its own. Times are seconds since the epoch; comparisons are constant-time.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ploinky.base.errors import PloinkyError
from ploinky.base.files import FileLock, read_bytes, write_atomic
from ploinky.base.names import require_name
from ploinky.workspace.layout import Layout

OWNER_PREFIX = "plo1."
AGENT_PREFIX = "pla1."
CLOCK_SKEW_S = 30.0
TOKEN_SHAPES = (r"pla1\.[\w-]+\.[\w-]{43}", r"plo1\.[\w-]{43}")
"""How both kinds of token look: those that are not known by value are redacted by this."""
_LONGEST = 1024
_KEY_BYTES = 32
_CONTEXT = b"ploinky agent token v1\0"


@dataclass(frozen=True)
class Caller:
    """An agent that has proved itself: its registry key, and when its token ends."""

    agent: str
    expires_at: float


class OwnerToken:
    """The token of the workspace's owner. ``verify`` notices when the file changes."""

    def __init__(self, layout: Layout) -> None:
        self._path = layout.owner_token_file
        self._lock = layout.lock("tokens")
        self._seen: tuple[int, int] | None = None
        self._value: bytes | None = None

    def ensure(self) -> str:
        """The token; made (0600) if there is none yet."""
        with FileLock(self._lock):
            return self.read() or self._write()

    def read(self) -> str | None:
        """The token, or None before the first start."""
        data = read_bytes(self._path)
        return data.decode("ascii", "replace").strip() or None if data is not None else None

    def rotate(self) -> str:
        """Replace the token; the former one is refused from now on."""
        with FileLock(self._lock):
            return self._write()

    def verify(self, token: str) -> bool:
        """Whether ``token`` is the owner's; False also when there is none yet."""
        expected = self._current()
        return expected is not None and hmac.compare_digest(token.encode("utf-8", "replace"), expected)

    def _current(self) -> bytes | None:
        try:
            facts = os.stat(self._path)  # noqa: PTH116 (on the path of every request)
        except FileNotFoundError:
            return None
        seen = (facts.st_ino, facts.st_mtime_ns)
        if seen != self._seen:
            text = self.read()
            self._value = text.encode() if text else None
            self._seen = seen
        return self._value

    def _write(self) -> str:
        token = OWNER_PREFIX + secrets.token_urlsafe(_KEY_BYTES)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(self._path, f"{token}\n".encode(), mode=0o600)
        return token


class TokenSigner:
    """Makes and checks agents' tokens. Its key is made at first use and stays with the gateway."""

    def __init__(self, layout: Layout, *, clock: Callable[[], float] = time.time) -> None:
        self._workspace = layout.id
        self._clock = clock
        self._key = _signing_key(layout)

    def mint(self, agent: str, ttl_s: float) -> str:
        """A token for one agent (its registry key) that ends after ``ttl_s`` seconds.

        Raises:
            UsageError: ``BAD_NAME``.
        """
        now = self._clock()
        payload = {
            "w": self._workspace,
            "a": require_name(agent, what="an agent"),
            "i": now,
            "x": now + ttl_s,
        }
        body = _encode(json.dumps(payload, separators=(",", ":")).encode())
        return f"{AGENT_PREFIX}{body}.{_encode(self._sign(body))}"

    def verify(self, token: str) -> Caller | None:
        """The agent whose token this is; None if it is forged, ended, from the future, or of elsewhere."""
        if not token.startswith(AGENT_PREFIX) or len(token) > _LONGEST or not token.isascii():
            return None
        body, dot, signature = token[len(AGENT_PREFIX) :].partition(".")
        if not dot or not hmac.compare_digest(signature.encode(), _encode(self._sign(body)).encode()):
            return None
        try:
            payload = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
            workspace, agent = str(payload["w"]), str(payload["a"])
            issued, expires = float(payload["i"]), float(payload["x"])
        except (ValueError, KeyError, TypeError, binascii.Error):
            return None
        now = self._clock()
        if workspace != self._workspace or now > expires + CLOCK_SKEW_S or issued > now + CLOCK_SKEW_S:
            return None
        return Caller(agent, expires)

    def _sign(self, body: str) -> bytes:
        return hmac.new(self._key, _CONTEXT + body.encode(), hashlib.sha256).digest()


def _signing_key(layout: Layout) -> bytes:
    path = layout.signing_key_file
    with FileLock(layout.lock("tokens")):
        key = read_bytes(path)
        if key is None:
            key = secrets.token_bytes(_KEY_BYTES)
            write_atomic(path, key, mode=0o600)
    return _checked_key(path, key)


def _checked_key(path: Path, key: bytes) -> bytes:
    if len(key) != _KEY_BYTES:
        raise PloinkyError(
            "SIGNING_KEY_INVALID",
            f"{path} does not hold a signing key.",
            hint="Stop the gateway, remove the file and start again; agents get new tokens.",
            details={"path": str(path)},
        )
    return key


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
