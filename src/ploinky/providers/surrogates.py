"""Characters that a server cut in two: halves of a UTF-16 pair in neighbouring pieces of an answer.

Servers written in JavaScript cut their texts so. Joined, the pieces must be the text that was meant, and no
half may get further: nothing else can store or send one.
"""

from __future__ import annotations

import re

_LONE = re.compile(r"[\ud800-\udfff]")


def mended(text: str) -> str:
    """``text`` with neighbouring halves joined, and a half alone as the replacement character."""
    if _LONE.search(text) is None:
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class Halves:
    """Keeps the first half of a pair until the second comes."""

    def __init__(self) -> None:
        self._first = ""

    def join(self, text: str) -> str:
        """``text`` with what was kept before it, without a first half at its end; may be empty."""
        text = self._first + text
        self._first = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        return mended(text[: len(text) - len(self._first)])

    def rest(self) -> str:
        """What is kept, at the end of the text: nothing, or the replacement character."""
        kept, self._first = self._first, ""
        return mended(kept)
