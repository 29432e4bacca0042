"""Names and ids: which words may name a thing, and what somebody probably meant.

Anything that becomes part of a path, a container name or a URL passes ``require_name`` first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ploinky.base.errors import UsageError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def is_name(text: str) -> bool:
    """Whether ``text`` may name a repository, an agent or an alias: 1-64 of letters, digits, ``._-``."""
    return _NAME.match(text) is not None and ".." not in text


def require_name(text: str, *, what: str) -> str:
    """Return ``text`` if it may be a name.

    Raises:
        UsageError: ``BAD_NAME``, saying what the name was for.
    """
    if not is_name(text):
        raise UsageError(
            "BAD_NAME",
            f"{text!r} cannot be the name of {what}.",
            hint="Use 1 to 64 letters, digits, '.', '_' or '-', starting with a letter or digit.",
        )
    return text


def is_env_name(text: str) -> bool:
    """Whether ``text`` may name an environment variable (POSIX portable form, either case)."""
    return _ENV_NAME.match(text) is not None


def closest(word: str, choices: Iterable[str]) -> str | None:
    """The choice that ``word`` was probably meant to be, or None when nothing is near."""
    import difflib

    found = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.6)
    return found[0] if found else None
