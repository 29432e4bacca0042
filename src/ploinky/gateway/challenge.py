"""What a client without a token is told: where the metadata of a protected resource lies (RFC 9728)."""

from __future__ import annotations

METADATA_PATH = "/.well-known/oauth-protected-resource"


def challenge(host: str, scheme: str, path: str) -> bytes:
    """The parameter of ``WWW-Authenticate`` for the resource at ``path``."""
    return f', resource_metadata="{scheme}://{host}{METADATA_PATH}{path}"'.encode("latin-1")
