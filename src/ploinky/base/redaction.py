"""Keep secret values out of every text that leaves the program.

A ``Redactor`` knows values, not names, and replaces each value and its base64, URL-encoded and JSON forms.
Values shorter than four characters are not replaced: they would destroy ordinary text.
"""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

MASK = "[redacted]"
SHORTEST = 4


class Redactor:
    """Replaces known secret values in text; more values may be added while it is in use."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._forms: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.add(values)

    def add(self, values: Iterable[str]) -> None:
        before = len(self._forms)
        for value in values:
            if len(value) >= SHORTEST:
                self._forms.update(_forms(value))
        if len(self._forms) != before:
            longest_first = sorted(self._forms, key=len, reverse=True)
            self._pattern = re.compile("|".join(re.escape(form) for form in longest_first))

    def scrub(self, text: str) -> str:
        """``text`` with every known form of every known value replaced by ``MASK``."""
        return text if self._pattern is None else self._pattern.sub(MASK, text)


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
    return {form for form in forms if len(form) >= SHORTEST}
