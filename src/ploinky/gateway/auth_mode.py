"""How people log in, as the settings say and the address allows."""

from __future__ import annotations

from dataclasses import dataclass

from ploinky.base.addresses import is_loopback
from ploinky.base.errors import UsageError
from ploinky.workspace.settings import GatewaySettings


@dataclass(frozen=True)
class AuthMode:
    """``name`` is ``token``, ``password``, ``oidc`` or ``none``; ``secure``: cookies go by HTTPS only."""

    name: str
    password_hash: str | None = None
    secure: bool = False


def auth_mode(gateway: GatewaySettings, host: str) -> AuthMode:
    """The mode for a gateway that listens on ``host``.

    Raises:
        UsageError: ``AUTH_NONE_NOT_LOCAL``; ``PASSWORD_NOT_SET``; ``OIDC_NOT_SET``.
    """
    auth = gateway.auth
    if auth.mode == "none" and not is_loopback(host):
        raise UsageError(
            "AUTH_NONE_NOT_LOCAL",
            f"gateway.auth.mode 'none' is for the loopback only; the gateway listens on {host}.",
            hint="Set gateway.auth.mode to 'token' or 'password' in .ploinky/config.json.",
        )
    if auth.mode == "password" and not auth.password_hash:
        raise UsageError(
            "PASSWORD_NOT_SET",
            "gateway.auth.mode is 'password' and no password is set.",
            hint="Set one: ploinky password",
        )
    if auth.mode == "oidc" and (auth.oidc is None or not auth.oidc.allow):
        raise UsageError(
            "OIDC_NOT_SET",
            "gateway.auth.mode is 'oidc' and gateway.auth.oidc does not say whom to let in.",
            hint="Set issuer, clientId and allow (subjects or e-mail addresses) in .ploinky/config.json.",
        )
    return AuthMode(auth.mode, auth.password_hash, secure=gateway.tls is not None)
