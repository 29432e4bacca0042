"""Spans of time as people write them in configuration: ``30s``, ``5m``, ``2h``, ``1d``, or plain seconds."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?\Z")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, None: 1.0}


def seconds(value: object) -> float:
    """The span in seconds.

    Raises:
        ValueError: saying how to write one.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        span = float(value)
    else:
        found = _SPAN.match(value.strip().lower()) if isinstance(value, str) else None
        if found is None:
            raise ValueError("write a time span such as 30s, 5m, 2h or 1d")
        span = float(found[1]) * _UNITS[found[2]]
    if not 0 < span < 10 * 365 * 86400:
        raise ValueError("a time span is more than nothing and less than ten years")
    return span


Duration = Annotated[float, BeforeValidator(seconds)]
