"""How callers come in, put together as the settings say: tokens, an authorization server, browsers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ploinky.gateway.audit import AuditLog
from ploinky.gateway.auth_mode import auth_mode
from ploinky.gateway.guard import Doors, Guard
from ploinky.gateway.issuer import Issuer
from ploinky.gateway.login import LoginDesk
from ploinky.gateway.oidc_login import OidcLogin, OidcParts
from ploinky.gateway.resource_server import ResourceServer, WithIssuer
from ploinky.gateway.rows import Mount, Row
from ploinky.gateway.sessions import SessionStore
from ploinky.providers.credentials import Keyring, read_key_reference
from ploinky.router.callers import TokenVerifier
from ploinky.workspace.layout import Layout
from ploinky.workspace.settings import GatewaySettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EntranceParts:
    """``own_url`` is where this gateway is reached, ``proof`` what logins of browsers stand on, ``keys``
    fetches the secret of a client of an OpenID provider."""

    layout: Layout
    settings: GatewaySettings
    host: str
    allowed_hosts: frozenset[str]
    verifier: TokenVerifier
    audit: AuditLog
    own_url: Callable[[], str]
    proof: Callable[[], str]
    keys: Keyring


@dataclass(frozen=True)
class Entrance:
    """What the application needs of it; ``issuers`` are to be run beside it."""

    guard: Guard
    login: LoginDesk
    sessions: SessionStore
    rows: Mapping[str, Row]
    mounts: tuple[Mount, ...]
    issuers: tuple[Issuer, ...]


def build_entrance(parts: EntranceParts) -> Entrance:
    """Raises:
    UsageError: the settings allow nobody in, or everybody from everywhere.
    """
    auth = parts.settings.auth
    mode = auth_mode(parts.settings, parts.host)
    if mode.name == "none":
        logger.warning("no token is asked for: every program of this machine is the owner, agents included")
    sessions = SessionStore(parts.layout, parts.proof)
    verifier, issuers = parts.verifier, list[Issuer]()
    mounts: tuple[Mount, ...] = ()
    if auth.resource_server is not None:
        issuer = Issuer(auth.resource_server.issuer)
        server = ResourceServer(auth.resource_server, issuer, parts.own_url)
        verifier, mounts = WithIssuer(parts.verifier, server, time.time), (server.mount(),)
        issuers.append(issuer)
    doors = Doors(sessions, open=mode.name == "none", tells_resource=bool(mounts))
    guard = Guard(verifier, parts.allowed_hosts, doors)
    login = LoginDesk(mode, sessions, guard, parts.verifier, parts.audit)
    rows: Mapping[str, Row] = {}
    if mode.name == "oidc" and auth.oidc is not None:
        provider = Issuer(auth.oidc.issuer)
        reference = auth.oidc.client_secret_ref

        def secret() -> str | None:
            return None if reference is None else parts.keys.require(read_key_reference(reference))

        oidc = OidcParts(auth.oidc, provider, sessions, guard, parts.audit, login.cookie, secret)
        rows = OidcLogin(oidc).rows()
        issuers.append(provider)
    return Entrance(guard, login, sessions, rows, mounts, tuple(issuers))
