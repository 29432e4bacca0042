"""HashiCorp Vault (and OpenBao): one secret of a KV engine, whose keys are the names.

The engine is taken to be of version 2; where that is refused, Vault is asked, so that a secret of a version 1
engine is never taken for one that does not exist. Signs in by token or AppRole; a token that an AppRole
sign-in gave is kept until Vault refuses it. Follows no redirect, so that the token goes nowhere else. Values
that are no text are given as JSON.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import aiohttp

from ploinky.base.errors import PloinkyError
from ploinky.secrets.remote import Reach, unreachable
from ploinky.secrets.remote_settings import PROFILE_MARK, AppRoleAuth, VaultSettings
from ploinky.secrets.sources import SourceKind

_MOST_BYTES = 4 * 1024 * 1024


class Vault:
    """One path of one Vault."""

    kind = SourceKind.VAULT

    def __init__(self, settings: VaultSettings, reach: Reach) -> None:
        self._settings = settings
        self._reach = reach
        self._token: str | None = None
        self._versioned = True

    async def fetch(self, profile: str, names: frozenset[str]) -> Mapping[str, str]:
        path = self._settings.path.replace(PROFILE_MARK, profile).strip("/")
        async with self._session() as session:
            status, body = await self._read(session, path)
            if self._versioned and status in (403, 404) and await self._is_first_version(session, path):
                self._versioned = False
                status, body = await self._read(session, path)
        if status == 404 and not body.get("errors"):
            return {}
        if status != 200:
            raise self._failed(status, body, f"read {self._settings.mount}/{path}")
        values = body.get("data") or {}
        if self._versioned:
            values = values.get("data") or {}
        return {name: _text(values[name]) for name in names if values.get(name) is not None}

    async def _read(self, session: aiohttp.ClientSession, path: str) -> tuple[int, dict[str, Any]]:
        mount = quote(self._settings.mount.strip("/"))
        return await self._get(session, f"/v1/{mount}/{'data/' if self._versioned else ''}{quote(path)}")

    async def _is_first_version(self, session: aiohttp.ClientSession, path: str) -> bool:
        """What every token may ask that may read the path, as Vault's own command line does."""
        place = f"{self._settings.mount.strip('/')}/{path}"
        status, body = await self._get(session, f"/v1/sys/internal/ui/mounts/{quote(place)}")
        engine = body.get("data") or {}
        options = engine.get("options") or {}
        return status == 200 and engine.get("type") in ("kv", "generic") and options.get("version") != "2"

    async def _get(self, session: aiohttp.ClientSession, url: str) -> tuple[int, dict[str, Any]]:
        status, body = await self._request(session, "GET", url, token=await self._signed_in(session))
        if status == 403 and isinstance(self._settings.auth, AppRoleAuth):
            self._token = None  # it has ended
            status, body = await self._request(session, "GET", url, token=await self._signed_in(session))
        return status, body

    def _session(self) -> aiohttp.ClientSession:
        settings, headers = self._settings, {"X-Vault-Request": "true"}
        if settings.namespace:
            headers["X-Vault-Namespace"] = settings.namespace
        context: ssl.SSLContext | bool = True
        if settings.ca_file:
            try:
                context = ssl.create_default_context(cafile=str(self._reach.root / settings.ca_file))
            except OSError as error:
                raise unreachable("Vault", f"caFile {settings.ca_file} cannot be read") from error
        return aiohttp.ClientSession(
            headers=headers,
            connector=aiohttp.TCPConnector(ssl=context),
            timeout=aiohttp.ClientTimeout(total=self._reach.timeout_s),
            trust_env=True,
        )

    async def _signed_in(self, session: aiohttp.ClientSession) -> str:
        auth = self._settings.auth
        if not isinstance(auth, AppRoleAuth):
            return self._reach.credential(auth.token_from)
        if self._token is None:
            login = {"role_id": auth.role_id, "secret_id": self._reach.credential(auth.secret_id_from)}
            url = f"/v1/auth/{quote(auth.mount.strip('/'))}/login"
            status, body = await self._request(session, "POST", url, body=login)
            token = (body.get("auth") or {}).get("client_token")
            if status != 200 or not isinstance(token, str):
                raise self._failed(status if status != 400 else 403, body, "sign in by AppRole")
            self._token = token
        return self._token

    async def _request(
        self,
        session: aiohttp.ClientSession,
        method: str,
        url: str,
        *,
        token: str | None = None,
        body: Mapping[str, str] | None = None,
    ) -> tuple[int, dict[str, Any]]:
        headers = {"X-Vault-Token": token} if token else {}
        address = self._settings.address.rstrip("/") + url
        try:
            async with session.request(
                method, address, json=body, headers=headers, allow_redirects=False
            ) as answer:
                data = await answer.content.read(_MOST_BYTES)
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            reason = "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
            raise unreachable(f"Vault at {self._settings.address}", reason) from None
        try:
            parsed = json.loads(data) if data else {}
        except ValueError:
            parsed = {}
        return status, parsed if isinstance(parsed, dict) else {}

    def _failed(self, status: int, body: Mapping[str, Any], what: str) -> PloinkyError:
        """Vault's own reasons are not shown: they may repeat what was sent."""
        where = f"Vault at {self._settings.address}"
        if status in (429, 472, 473, 500, 502, 503):
            return unreachable(where, "it is sealed or on standby" if status == 503 else f"status {status}")
        if status in (401, 403):
            return PloinkyError(
                "SECRETS_STORE_DENIED",
                f"{where} did not let us {what} (status {status}).",
                hint="See that the credential is right, has not ended, and that its policy allows this.",
            )
        count = len(body.get("errors") or ())
        return PloinkyError(
            "SECRETS_STORE_REFUSED",
            f"{where} refused to {what}: status {status}, {count} reasons.",
            hint="See mount, path and namespace in .ploinky/config.json; the engine must be a KV engine.",
        )


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
