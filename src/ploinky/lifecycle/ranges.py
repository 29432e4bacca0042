"""Version ranges of npm as intervals, to say whether two of them have a version in common.

Knows numbers, not registries: anything that is no range of numbers (a URL, a tag, ``github:...``) is
comparable only with itself. Pre-release parts are ignored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

Version = tuple[int, int, int]
_HIGHEST: Version = (1 << 62, 0, 0)
_ZERO: Version = (0, 0, 0)
_COMPARATOR = re.compile(
    r"(?P<operator>\^|~>?|>=|<=|>|<|=)?\s*v?(?P<parts>\d+|[xX*])"
    r"(?:\.(?P<minor>\d+|[xX*]))?(?:\.(?P<patch>\d+|[xX*]))?(?:[-+][0-9A-Za-z.+-]*)?\Z"
)
_HYPHEN = re.compile(r"(\S+)\s+-\s+(\S+)\Z")
_JOIN_OPERATOR = re.compile(r"([<>=^~]+)\s+")


@dataclass(frozen=True)
class Interval:
    """Versions from ``low`` on and below ``high``."""

    low: Version
    high: Version

    def meets(self, other: Interval) -> Interval | None:
        low, high = max(self.low, other.low), min(self.high, other.high)
        return Interval(low, high) if low < high else None


def parse_range(text: str) -> tuple[Interval, ...] | None:
    """The intervals of a range (``||`` separates them), or None if it is no range of numbers."""
    found = []
    for part in text.strip().split("||"):
        interval = _interval(part.strip())
        if interval is None:
            return None
        if interval.low < interval.high:
            found.append(interval)
    return tuple(found)


def can_agree(first: str, second: str) -> bool:
    """Whether one version may satisfy both; texts that are no ranges agree only if they are equal."""
    if first.strip() == second.strip() or "*" in (first.strip(), second.strip()):
        return True
    one, other = parse_range(first), parse_range(second)
    if one is None or other is None:
        return False
    return any(a.meets(b) is not None for a in one for b in other)


def _interval(text: str) -> Interval | None:
    hyphen = _HYPHEN.match(text)
    if hyphen is not None:
        text = f">={hyphen[1]} <={hyphen[2]}"
    whole: Interval | None = Interval(_ZERO, _HIGHEST)
    for word in _JOIN_OPERATOR.sub(r"\1", text).split():
        one = _comparator(word)
        if one is None:
            return None
        whole = None if whole is None else whole.meets(one)
    return whole or Interval(_ZERO, _ZERO)


def _comparator(word: str) -> Interval | None:
    form = _COMPARATOR.match(word)
    if form is None:
        return None
    numbers = [int(part) for part in form.group("parts", "minor", "patch") if part and part.isdigit()]
    if not numbers:
        return Interval(_ZERO, _HIGHEST)
    low, above = _padded(numbers), _next(numbers)
    return {
        "^": lambda: Interval(low, _caret(numbers)),
        "~": lambda: Interval(low, _next(numbers[:2])),
        "~>": lambda: Interval(low, _next(numbers[:2])),
        ">=": lambda: Interval(low, _HIGHEST),
        ">": lambda: Interval(above, _HIGHEST),
        "<": lambda: Interval(_ZERO, low),
        "<=": lambda: Interval(_ZERO, above),
    }.get(form["operator"] or "=", lambda: Interval(low, above))()


def _padded(numbers: list[int]) -> Version:
    major, minor, patch = (*numbers, 0, 0, 0)[:3]
    return major, minor, patch


def _next(numbers: list[int]) -> Version:
    """The first version after all that begin with these numbers."""
    return _padded([*numbers[:-1], numbers[-1] + 1])


def _caret(numbers: list[int]) -> Version:
    for place, number in enumerate(numbers):
        if number or place == len(numbers) - 1:
            return _next(numbers[: place + 1])
    return _HIGHEST
