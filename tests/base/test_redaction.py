"""No form of a known secret survives, and ordinary text does."""

from __future__ import annotations

import base64
import json
import logging
import sys
from urllib.parse import quote, quote_plus

from hypothesis import given
from hypothesis import strategies as st

from ploinky.base.redaction import MASK, RedactingFilter, Redactor, StreamRedactor

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


@given(
    secrets=st.lists(st.text("abAB1=%", min_size=4, max_size=12), min_size=1, max_size=4),
    data=st.data(),
)
def test_text_in_pieces_is_masked_as_if_it_were_whole(secrets: list[str], data: st.DataObject) -> None:
    redactor = Redactor(secrets, [r"tok\.[ab]{3}"])
    parts = st.lists(st.one_of(st.sampled_from(secrets), st.text("abAB1=%\n tok.", max_size=8)), max_size=8)
    text = "".join(data.draw(parts))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    stream = StreamRedactor(redactor)
    pieces = [stream.feed(text[start:end]) for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert "".join([*pieces, stream.end()]) == redactor.scrub(text)


def test_a_stream_waits_for_nothing_but_what_may_become_a_secret() -> None:
    stream = StreamRedactor(Redactor(["hunter2-hunter2"]))
    assert stream.feed("What is your name? hun") == "What is your name? "
    assert stream.feed("gry") == "hungry"
    assert stream.feed("\nhunter2-hun") == "\n"
    assert stream.feed("ter2 and hunt") == f"{MASK} and "
    assert stream.end() == "hunt"


@given(
    secret=st.text(ENCODABLE, min_size=8, max_size=40), user=st.text("abc:", max_size=5), end=st.text("xy")
)
def test_a_secret_inside_a_longer_text_in_base64_is_masked(secret: str, user: str, end: str) -> None:
    header = base64.b64encode(f"{user}{secret}{end}".encode()).decode()
    scrubbed = Redactor([secret]).scrub(f"Authorization: Basic {header}")
    assert MASK in scrubbed
    assert len(scrubbed) - len(MASK) < len(f"Authorization: Basic {header}") - len(secret)


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
