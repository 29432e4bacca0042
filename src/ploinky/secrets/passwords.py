"""Passwords of people: kept as argon2 hashes, never themselves."""

from __future__ import annotations

from ploinky.base.errors import UsageError

SHORTEST = 10
LONGEST = 1000


def hash_password(password: str) -> str:
    """The hash that may be kept. Takes some 50 ms.

    Raises:
        UsageError: ``BAD_PASSWORD``.
    """
    from argon2 import PasswordHasher

    if not SHORTEST <= len(password) <= LONGEST:
        raise UsageError(
            "BAD_PASSWORD", f"A password has at least {SHORTEST} characters.", details={"field": "password"}
        )
    return PasswordHasher().hash(password)


def fits_hash(password: str, known: str) -> bool:
    """Whether the password is the one of the hash; False too for what is no hash. Takes some 50 ms."""
    from argon2 import PasswordHasher
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return PasswordHasher().verify(known, password)
    except (VerificationError, InvalidHashError):
        return False
