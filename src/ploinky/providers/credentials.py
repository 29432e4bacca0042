"""Where a provider's key is kept, and how it is fetched when a request is built.

``apiKeyRef`` is ``env:NAME`` (a variable of the gateway), ``profile:<provider>[.key]`` (the assistant's own
credentials) or ``workspace:<name>`` (the workspace's). Nothing here holds a key longer than a call. The
encrypted store is passed in. To add a place: a row in ``_PLACES``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import anyio.to_thread

from ploinky.base.errors import UsageError
from ploinky.base.names import is_env_name, is_name
from ploinky.providers.errors import ProviderCode, ProviderError

DEFAULT_KEY = "apiKey"
_PROFILE = re.compile(r"(?P<provider>[A-Za-z0-9][A-Za-z0-9_-]{0,63})(?:\.(?P<key>[A-Za-z0-9_-]{1,64}))?\Z")


class CredentialStore(Protocol):
    """The encrypted store as far as providers need it."""

    def get(self, scope: tuple[str, ...], name: str) -> str | None: ...


@dataclass(frozen=True)
class KeyReference:
    """A read ``apiKeyRef``: the place (``env``, ``profile``, ``workspace``) and what is asked of it.

    ``owner`` is the provider whose credentials are meant, for ``profile`` only.
    """

    place: str
    name: str
    owner: str = ""

    def __str__(self) -> str:
        return f"{self.place}:{self.owner}.{self.name}" if self.owner else f"{self.place}:{self.name}"


def read_key_reference(text: str) -> KeyReference:
    """The meaning of an ``apiKeyRef``.

    Raises:
        ValueError: it is none; the text is not repeated, because it may be a key.
    """
    place, colon, rest = text.partition(":")
    if colon and place == "env" and is_env_name(rest):
        return KeyReference("env", rest)
    if colon and place == "workspace" and is_name(rest):
        return KeyReference("workspace", rest)
    found = _PROFILE.match(rest) if colon and place == "profile" else None
    if found is None:
        raise ValueError("must be env:NAME, profile:<provider>, profile:<provider>.<key> or workspace:<name>")
    return KeyReference("profile", found["key"] or DEFAULT_KEY, found["provider"])


def provider_scope(assistant: str, provider: str) -> tuple[str, ...]:
    """Where the store keeps an assistant's credentials of one provider."""
    return ("assistant", assistant, "provider", provider)


@dataclass(frozen=True)
class Keyring:
    """Fetches keys for one assistant; ``assistant`` None serves only ``env`` and ``workspace``."""

    store: CredentialStore | None = field(default=None, repr=False)
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    assistant: str | None = None

    def find(self, reference: KeyReference) -> str | None:
        """The key, or None where nothing is kept there. Blanks around it are not part of it."""
        value = _PLACES[reference.place](self, reference)
        return None if value is None or not value.strip() else value.strip()

    async def fetch(self, reference: KeyReference) -> str:
        """The key, as ``require``; the store may ask a keyring of the system, so it does that in a thread."""
        if reference.place == "env":
            return self.require(reference)
        return await anyio.to_thread.run_sync(self.require, reference)

    def require(self, reference: KeyReference) -> str:
        """The key.

        Raises:
            ProviderError: ``PROVIDER_NO_KEY``, naming the place and never a value.
        """
        found = self.find(reference)
        if found is None:
            raise ProviderError(
                ProviderCode.NO_KEY, f"There is no key at {reference}.", hint=_how_to_store(reference)
            )
        if not found.isascii() or not found.isprintable():
            raise ProviderError(
                ProviderCode.NO_KEY, f"The key at {reference} has characters that no key has; store it anew."
            )
        return found


def _from_environment(keys: Keyring, reference: KeyReference) -> str | None:
    return keys.environ.get(reference.name)


def _from_profile(keys: Keyring, reference: KeyReference) -> str | None:
    if keys.store is None or keys.assistant is None:
        return None
    return keys.store.get(provider_scope(keys.assistant, reference.owner), reference.name)


def _from_workspace(keys: Keyring, reference: KeyReference) -> str | None:
    return None if keys.store is None else keys.store.get(("workspace",), reference.name)


_PLACES: dict[str, Callable[[Keyring, KeyReference], str | None]] = {
    "env": _from_environment,
    "profile": _from_profile,
    "workspace": _from_workspace,
}


def _how_to_store(reference: KeyReference) -> str:
    if reference.place == "env":
        return f"Set the variable {reference.name} where the gateway is started, and restart it."
    if reference.place == "workspace":
        return f"Store it among the workspace's credentials under the name {reference.name}."
    return f"Store it among the assistant's credentials of {reference.owner} under the name {reference.name}."


def require_credential_name(text: str) -> str:
    """``text`` if a stored key may have this name.

    Raises:
        UsageError: ``BAD_NAME``.
    """
    if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", text) is None:
        raise UsageError(
            "BAD_NAME",
            "That cannot be the name of a credential.",
            hint="Use 1 to 64 letters, digits, '_' or '-'; the usual name is apiKey.",
        )
    return text
