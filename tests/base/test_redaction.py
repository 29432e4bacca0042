"""No form of a known secret survives, and ordinary text does."""

from __future__ import annotations

import base64
import json
import logging
import sys
from urllib.parse import quote, quote_plus

from hypothesis import given
from hypothesis import strategies as st

from ploinky.base.redaction import MASK, RedactingFilter, Redactor

ENCODABLE = st.characters(codec="utf-8")


@given(
    secret=st.text(ENCODABLE, min_size=4, max_size=40),
    before=st.text(max_size=10),
    after=st.text(max_size=10),
)
def test_a_secret_is_masked_wherever_and_however_it_stands(secret: str, before: str, after: str) -> None:
    redactor = Redactor([secret])
    raw = secret.encode()
    forms = [
        secret,
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
        quote(secret, safe=""),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
    ]
    for form in forms:
        scrubbed = redactor.scrub(f"{before}{form}{after}")
        assert MASK in scrubbed
        if form not in f"{before}{MASK}{after}":
            assert form not in scrubbed.replace(MASK, "\0")


@given(st.text(max_size=100))
def test_without_secrets_text_stays_as_it_is(text: str) -> None:
    assert Redactor().scrub(text) == text


def test_a_short_value_is_not_masked_because_it_would_ruin_the_text() -> None:
    assert Redactor(["abc"]).scrub("abc abcd") == "abc abcd"


def test_the_longer_of_two_secrets_is_masked_whole() -> None:
    assert Redactor(["pass", "password1"]).scrub("x=password1") == f"x={MASK}"


def test_values_may_be_added_later() -> None:
    redactor = Redactor(["first-value"])
    redactor.add(["second-value"])
    assert redactor.scrub("first-value second-value") == f"{MASK} {MASK}"


def test_a_log_record_loses_secrets_from_message_arguments_and_traceback() -> None:
    try:
        int("hunter2-hunter2")
    except ValueError:
        facts = sys.exc_info()
    record = logging.LogRecord("x", logging.ERROR, "", 1, "said %s", ("hunter2-hunter2",), facts)
    assert RedactingFilter(Redactor(["hunter2-hunter2"])).filter(record)
    shown = logging.Formatter().format(record)
    assert "hunter2" not in shown
    assert "ValueError" in shown
