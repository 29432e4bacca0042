"""The section ``secrets`` of ``config.json``: which remote stores there are, in the order they are asked.

Where a credential for a store is needed, the settings name its place, never the credential itself:
``env:NAME``, ``secrets:NAME`` (in ``.ploinky/.secrets``) or ``file:PATH``. To add a kind of store: a model
here, a driver beside ``vault``, a row in ``remote.DRIVERS``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    Field,
    JsonValue,
    ValidationError,
    field_validator,
    model_validator,
)

from ploinky.base.camel import CamelSection
from ploinky.base.errors import PloinkyError

PROFILE_MARK = "{profile}"
_REFERENCE = r"(?:env|secrets):[A-Za-z_][A-Za-z0-9_]*|file:.+"
Reference = Annotated[str, Field(pattern=rf"\A(?:{_REFERENCE})\z")]
Text = Annotated[str, Field(min_length=1)]


class TokenAuth(CamelSection):
    """A token that somebody else made."""

    method: Literal["token"] = "token"
    token_from: Reference = "env:VAULT_TOKEN"  # noqa: S105 (a place)

    @property
    def credential_from(self) -> str:
        return self.token_from


class AppRoleAuth(CamelSection):
    """A role of Vault's AppRole method."""

    method: Literal["approle"]
    role_id: Text
    secret_id_from: Reference = "env:VAULT_SECRET_ID"  # noqa: S105 (a place)
    mount: Text = "approle"

    @property
    def credential_from(self) -> str:
        return self.secret_id_from


class VaultSettings(CamelSection):
    """One secret of a KV engine; its keys are the names. ``{profile}`` may stand in ``path``."""

    type: Literal["vault"]
    address: Text
    path: Text
    mount: Text = "secret"
    namespace: str | None = None
    auth: Annotated[TokenAuth | AppRoleAuth, Field(discriminator="method")] = TokenAuth()
    ca_file: str | None = None
    allow_plain_http: bool = False

    @model_validator(mode="after")
    def _checked(self) -> VaultSettings:
        parts = urlsplit(self.address)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise ValueError("'address' is an https:// URL without user or password")
        if parts.scheme == "http" and not self.allow_plain_http and not _is_loopback(parts.hostname):
            raise ValueError("'address' is http://, which shows token and secrets to the network")
        return self


class AwsSettings(CamelSection):
    """Either one secret that holds a JSON object (its keys are the names), or a secret for each name, called
    ``prefix`` plus the name. ``{profile}`` may stand in both."""

    type: Literal["aws"]
    region: str | None = None
    endpoint: str | None = None
    secret: str | None = None
    prefix: str | None = None

    @model_validator(mode="after")
    def _checked(self) -> AwsSettings:
        if (self.secret is None) == (self.prefix is None):
            raise ValueError("give either 'secret' or 'prefix'")
        parts = urlsplit(self.endpoint or "https://aws")
        if parts.scheme != "https" and not _is_loopback(parts.hostname or ""):
            raise ValueError("'endpoint' is an https:// URL")
        return self


class SecretsSettings(CamelSection):
    """``timeoutSeconds`` bounds each question to a store; ``cacheSeconds`` is how long an answer counts."""

    stores: tuple[Annotated[VaultSettings | AwsSettings, Field(discriminator="type")], ...] = ()
    timeout_seconds: Annotated[float, Field(gt=0, le=120)] = 10.0
    cache_seconds: Annotated[float, Field(ge=0)] = 60.0

    @field_validator("stores", mode="before")
    @classmethod
    def _as_tuple(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("timeout_seconds", "cache_seconds", mode="before")
    @classmethod
    def _as_float(cls, value: object) -> object:
        return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def parse_secrets_settings(section: Mapping[str, JsonValue]) -> SecretsSettings:
    """The section, checked whole.

    Raises:
        PloinkyError: ``CONFIG_INVALID`` with every faulty key.
    """
    try:
        return SecretsSettings.model_validate(dict(section))
    except ValidationError as error:
        faults = [
            f"  secrets.{'.'.join(map(str, fault['loc']))}: {fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors(include_url=False, include_input=False)
        ]
        raise PloinkyError(
            "CONFIG_INVALID",
            "The section 'secrets' of .ploinky/config.json is not valid:\n" + "\n".join(faults),
            hint="Correct these keys and try again; the file was not changed.",
        ) from None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
