"""What a server's refusal means: its status and its body become one of our codes.

Servers agree on statuses and disagree on everything else, so their own codes and, where a server has none,
their known sentences are looked up here and nowhere else. To teach it a server: a row in ``_MARKS``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.providers.errors import ProviderCode, ProviderError, quoted

_MARKS: tuple[tuple[str, ProviderCode], ...] = (
    ("context_length_exceeded", ProviderCode.CONTEXT_OVERFLOW),
    ("exceed_context_size", ProviderCode.CONTEXT_OVERFLOW),
    ("prompt is too long", ProviderCode.CONTEXT_OVERFLOW),
    ("prompt too long", ProviderCode.CONTEXT_OVERFLOW),
    ("maximum context length", ProviderCode.CONTEXT_OVERFLOW),
    ("exceeds the context", ProviderCode.CONTEXT_OVERFLOW),
    ("exceeds the available context", ProviderCode.CONTEXT_OVERFLOW),
    ("exceed context limit", ProviderCode.CONTEXT_OVERFLOW),
    ("does not support tools", ProviderCode.NO_TOOLS),
    ("insufficient_quota", ProviderCode.QUOTA),
    ("credit balance is too low", ProviderCode.QUOTA),
    ("billing_error", ProviderCode.QUOTA),
    ("model_not_found", ProviderCode.MODEL_NOT_FOUND),
    ("not_found_error", ProviderCode.MODEL_NOT_FOUND),
    ("invalid_api_key", ProviderCode.KEY_REFUSED),
    ("authentication_error", ProviderCode.KEY_REFUSED),
    ("permission_error", ProviderCode.KEY_REFUSED),
    ("rate_limit", ProviderCode.RATE_LIMITED),
    ("overloaded", ProviderCode.OVERLOADED),
)
_STATUSES: dict[int, ProviderCode] = {
    401: ProviderCode.KEY_REFUSED,
    402: ProviderCode.QUOTA,
    403: ProviderCode.KEY_REFUSED,
    404: ProviderCode.MODEL_NOT_FOUND,
    408: ProviderCode.OVERLOADED,
    413: ProviderCode.CONTEXT_OVERFLOW,
    429: ProviderCode.RATE_LIMITED,
}


def fault(
    status: int,
    body: str,
    *,
    who: str,
    secrets: tuple[str, ...] = (),
    headers: Mapping[str, str] | None = None,
) -> ProviderError:
    """The error that an answer with a status other than 200 stands for. ``who`` names the server."""
    said = _parsed(body)
    if 300 <= status < 400:
        return ProviderError(
            ProviderCode.MALFORMED, f"{who} answered with a redirect ({status}); it is not followed."
        )
    if said is None and status == 404:
        return ProviderError(ProviderCode.MALFORMED, f"{who} has nothing at this address (404).")
    code = _code(status, said)
    words = quoted(_message(said) if said is not None else "", *secrets)
    return ProviderError(
        code,
        f"{who} answered {status}{': ' + words if words else '.'}",
        retry_after_s=retry_after_s((headers or {}).get("Retry-After")),
    )


def fault_in_stream(error: JsonValue, *, who: str, secrets: tuple[str, ...] = ()) -> ProviderError:
    """The error that a server tells in the middle of its answer; ``error`` is what it says of it."""
    said: JsonObject = {"error": error}
    status = error.get("code") if isinstance(error, dict) else None
    code = _code(status if isinstance(status, int) else 500, said)
    return ProviderError(
        code, f"{who} broke off: {quoted(_message(said), *secrets) or 'it did not say why.'}"
    )


def retry_after_s(header: str | None) -> float | None:
    """The seconds that a ``Retry-After`` asks for (a number or a date), or None if it asks for nothing."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.replace(".", "", 1).isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _parsed(body: str) -> JsonObject | None:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def _code(status: int, said: JsonObject | None) -> ProviderCode:
    words = " ".join(_words(said)).lower()
    for mark, code in _MARKS:
        if mark in words:
            return code
    if status >= 500:
        return ProviderCode.OVERLOADED
    return _STATUSES.get(status, ProviderCode.REFUSED)


def _words(said: JsonObject | None) -> list[str]:
    """The server's code, type and message, wherever it keeps them."""
    if said is None:
        return []
    error = said.get("error")
    parts = error if isinstance(error, dict) else said
    kept = [parts.get(key) for key in ("code", "type", "message", "error")]
    return [each for each in [*kept, error] if isinstance(each, str)]


def _message(said: JsonObject) -> str:
    error = said.get("error")
    for place in (error, said):
        if isinstance(place, str):
            return place
        if isinstance(place, dict):
            found = place.get("message")
            if isinstance(found, str):
                return found
    return ""
