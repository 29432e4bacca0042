"""Keep secret values out of every text that leaves the program.

A ``Redactor`` knows values, not names, and replaces each value and its base64, URL-encoded and JSON forms,
also where the value is part of a longer text in base64 (a header of basic authentication). Values shorter
than four characters are not replaced: they would destroy ordinary text. ``StreamRedactor`` is for text that
comes in pieces.
"""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

MASK = "[redacted]"
SHORTEST = 4
_SHORTEST_INSIDE = 8


class Redactor:
    """Replaces known secret values in text; more values may be added while it is in use.

    ``shapes`` are regular expressions of texts that are secret by their form; they match within a line.
    """

    def __init__(self, values: Iterable[str] = (), shapes: Iterable[str] = ()) -> None:
        self._forms: set[str] = set()
        self._shapes = tuple(shapes)
        self._pattern = re.compile("|".join(self._shapes)) if self._shapes else None
        self.add(values)

    def add(self, values: Iterable[str]) -> None:
        before = len(self._forms)
        for value in values:
            if len(value) >= SHORTEST:
                self._forms.update(_forms(value))
        if len(self._forms) != before:
            longest_first = sorted(self._forms, key=len, reverse=True)
            self._pattern = re.compile("|".join([*map(re.escape, longest_first), *self._shapes]))

    def scrub(self, text: str) -> str:
        """``text`` with every known form of every known value replaced by ``MASK``."""
        return text if self._pattern is None else self._pattern.sub(MASK, text)

    def settled(self, text: str) -> int:
        """How much of ``text`` may be scrubbed and shown before the rest has come: up to where something
        secret may have begun."""
        if self._pattern is None:
            return len(text)
        end = len(text) - max((_overlap(text, form) for form in self._forms), default=0)
        if self._shapes:
            word = re.search(r"\S*\Z", text)
            end = min(end, word.start() if word else end)
        for found in self._pattern.finditer(text):
            if found.start() < end < found.end():
                end = found.start()
        return end


class StreamRedactor:
    """Scrubs text that comes in pieces, so that no secret slips through between two of them.

    A piece is handed on at once but for an end that may be the beginning of a secret; of that at most
    ``LONGEST_HELD`` characters wait.
    """

    LONGEST_HELD = 64 * 1024

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = ""

    def feed(self, text: str) -> str:
        """What can be shown by now, scrubbed; perhaps nothing."""
        text = self._held + text
        end = self._redactor.settled(text)
        if len(text) - end > self.LONGEST_HELD:
            end = len(text)
        self._held = text[end:]
        return self._redactor.scrub(text[:end])

    def end(self) -> str:
        """The rest, scrubbed, after the last piece."""
        text, self._held = self._held, ""
        return self._redactor.scrub(text)


class RedactingFilter(logging.Filter):
    """Scrubs the finished message and traceback of every record that passes."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = self._redactor.scrub(record.getMessage())
        record.args = None
        if record.exc_info:
            record.exc_text = self._redactor.scrub(logging.Formatter().formatException(record.exc_info))
            record.exc_info = None
        return True


def _forms(value: str) -> set[str]:
    raw = value.encode()
    forms = {value, quote(value, safe=""), quote(value, safe="!'()*"), quote_plus(value)}
    forms |= {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    for encoded in (base64.b64encode(raw), base64.urlsafe_b64encode(raw)):
        forms.add(encoded.decode())
        forms.add(encoded.decode().rstrip("="))
    forms |= set(_inside_base64(raw))
    return {form for form in forms if len(form) >= SHORTEST}


def _inside_base64(raw: bytes) -> Iterator[str]:
    """What base64 shows of ``raw`` wherever it stands in a longer text: without the characters at both ends
    that its neighbours share. Short values are left out: too little is left of them to be told apart."""
    if len(raw) < _SHORTEST_INSIDE:
        return
    for before in range(3):
        bits = 8 * (before + len(raw))
        text = base64.b64encode(bytes(before) + raw).decode()[-(-8 * before // 6) : bits // 6]
        yield text
        yield text.replace("+", "-").replace("/", "_")


def _overlap(text: str, form: str) -> int:
    """The length of the longest end of ``text`` that ``form`` goes on from."""
    longest = min(len(text), len(form) - 1)
    tail = text[-longest:] if longest else ""
    start = tail.find(form[0]) if tail else -1
    while start >= 0:
        if form.startswith(tail[start:]):
            return longest - start
        start = tail.find(form[0], start + 1)
    return 0
