"""Tokens of other programs and people: each with a name, scopes, the agents it may reach, and an end.

A token is ``plc1.<random>`` and is shown once, when it is made; the file (0600) keeps only its digest. A
token that ended or was revoked is refused from the next request on.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Callable

from pydantic import BaseModel, ConfigDict, ValidationError

from ploinky.base.errors import NotFoundError, PloinkyError, UsageError
from ploinky.base.files import FileLock, read_bytes, write_atomic
from ploinky.base.names import require_name
from ploinky.workspace.layout import Layout

CLIENT_PREFIX = "plc1."
_BYTES = 32


class ClientToken(BaseModel):
    """What is kept of one token. ``agents`` are globs; times are seconds since the epoch."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    name: str
    digest: str
    scopes: tuple[str, ...]
    agents: tuple[str, ...]
    created_at: float
    expires_at: float | None = None


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    tokens: tuple[ClientToken, ...] = ()


class ClientTokens:
    """The tokens of one workspace. ``verify`` notices when the file changes."""

    def __init__(self, layout: Layout, *, clock: Callable[[], float] = time.time) -> None:
        self._path = layout.client_tokens_file
        self._lock = layout.lock("tokens")
        self._clock = clock
        self._seen: tuple[int, int] | None = None
        self._by_digest: dict[str, ClientToken] = {}

    def create(
        self, name: str, *, scopes: tuple[str, ...], agents: tuple[str, ...], ttl_s: float | None
    ) -> str:
        """Make a token and return it; it cannot be shown again. ``ttl_s`` None: until it is revoked.

        Raises:
            UsageError: ``TOKEN_EXISTS``; ``BAD_NAME``.
            PloinkyError: ``TOKENS_INVALID``; ``FILE_WRITE``.
        """
        require_name(name, what="a token")
        token = CLIENT_PREFIX + secrets.token_urlsafe(_BYTES)
        now = self._clock()
        made = ClientToken(
            name=name,
            digest=_digest(token),
            scopes=scopes,
            agents=agents,
            created_at=now,
            expires_at=None if ttl_s is None else now + ttl_s,
        )
        with FileLock(self._lock):
            known = self._read()
            if any(each.name == name for each in known):
                raise UsageError(
                    "TOKEN_EXISTS",
                    f"There is a token {name!r} already.",
                    hint=f"Choose another name, or first: ploinky token revoke {name}",
                )
            self._write((*known, made))
        return token

    def list(self) -> tuple[ClientToken, ...]:
        """In the order in which they were made; those that ended too.

        Raises:
            PloinkyError: ``TOKENS_INVALID``; ``FILE_READ``.
        """
        return self._read()

    def revoke(self, name: str) -> None:
        """Refuse this token from now on.

        Raises:
            NotFoundError: ``TOKEN_NOT_FOUND``.
        """
        with FileLock(self._lock):
            known = self._read()
            kept = tuple(each for each in known if each.name != name)
            if len(kept) == len(known):
                raise NotFoundError(
                    "TOKEN_NOT_FOUND", f"There is no token {name!r}.", hint="See: ploinky token list"
                )
            self._write(kept)

    def verify(self, token: str) -> ClientToken | None:
        """What is known of ``token``; None if it is wrong, revoked or has ended.

        Raises:
            PloinkyError: ``TOKENS_INVALID``: the file cannot be understood.
        """
        if not token.startswith(CLIENT_PREFIX):
            return None
        return self._living(self._current().get(_digest(token)))  # by digest: no comparison with a secret

    def find(self, name: str) -> ClientToken | None:
        """The token of this name, unless it was revoked or has ended.

        Raises:
            PloinkyError: ``TOKENS_INVALID``.
        """
        return self._living(next((each for each in self._current().values() if each.name == name), None))

    def _living(self, token: ClientToken | None) -> ClientToken | None:
        ended = token is not None and token.expires_at is not None and self._clock() > token.expires_at
        return None if ended else token

    def _current(self) -> dict[str, ClientToken]:
        try:
            facts = os.stat(self._path)  # noqa: PTH116 (on the path of every request)
        except FileNotFoundError:
            return {}
        seen = (facts.st_ino, facts.st_mtime_ns)
        if seen != self._seen:
            self._by_digest = {each.digest: each for each in self._read()}
            self._seen = seen
        return self._by_digest

    def _read(self) -> tuple[ClientToken, ...]:
        data = read_bytes(self._path)
        if data is None:
            return ()
        try:
            return _File.model_validate_json(data).tokens
        except ValidationError as error:
            raise PloinkyError(
                "TOKENS_INVALID",
                f"{self._path} cannot be understood.",
                hint="It was not changed. Put it right, or remove it and make the tokens anew.",
                details={"path": str(self._path)},
            ) from error

    def _write(self, tokens: tuple[ClientToken, ...]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(self._path, _File(tokens=tokens).model_dump_json(indent=2).encode(), mode=0o600)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
