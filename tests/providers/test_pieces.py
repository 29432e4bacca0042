"""The pure parts: framing, names on the wire, halves of characters, times to wait."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ploinky.base.jsontypes import JsonObject
from ploinky.providers.errors import ProviderError, quoted
from ploinky.providers.faults import retry_after_s
from ploinky.providers.framing import Framing, JsonLines, Record, ServerSentEvents
from ploinky.providers.surrogates import Halves
from ploinky.providers.toolnames import WireNames, wire_name
from ploinky.providers.wire import merged

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"))


def cut(data: bytes, cuts: list[int], framing: Framing) -> list[Record]:
    """The records of ``data``, fed in pieces."""
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    found: list[Record] = []
    for start, end in pairwise(edges):
        found.extend(framing.feed(data[start:end]))
    return [*found, *framing.end()]


@given(st.lists(st.lists(TEXT, min_size=1), max_size=5), st.lists(st.integers(0, 10_000)), st.booleans())
def test_events_are_the_same_however_they_are_cut(
    events: list[list[str]], cuts: list[int], crlf: bool
) -> None:
    end = "\r\n" if crlf else "\n"
    wire = "".join(
        f": comment{end}event: e{end}id: 1{end}" + "".join(f"data: {line}{end}" for line in event) + end
        for event in events
    )
    expected = [Record("e", "\n".join(event)) for event in events]
    assert cut(wire.encode(), cuts, ServerSentEvents()) == expected


@given(st.lists(st.dictionaries(TEXT, TEXT), max_size=5), st.lists(st.integers(0, 10_000)), st.booleans())
def test_lines_are_the_same_however_they_are_cut(
    values: list[dict[str, str]], cuts: list[int], ended: bool
) -> None:
    wire = "\n".join(json.dumps(value) for value in values) + ("\n\n" if ended else "")
    assert [json.loads(record.data) for record in cut(wire.encode(), cuts, JsonLines())] == values


def test_bytes_that_are_no_text_are_an_error() -> None:
    with pytest.raises(ProviderError):
        list(JsonLines().feed(b"\xff\n"))


@given(st.sets(st.text(min_size=1, max_size=100), max_size=20))
def test_every_name_has_a_wire_name_of_its_own_and_comes_back(names: set[str]) -> None:
    wire = WireNames(names)
    forms = {name: wire.wire(name) for name in names}
    assert len(set(forms.values())) == len(names)
    for name, form in forms.items():
        assert 1 <= len(form) <= 64
        assert all(c.isascii() and (c.isalnum() or c in "_-") for c in form)
        assert wire.ours(form) == name


def test_usual_names_stay_readable() -> None:
    assert wire_name("files.find_files") == "files__find_files"
    assert wire_name("plain-name_1") == "plain-name_1"
    both = WireNames(["a.b", "a__b"])
    assert both.wire("a__b") == "a__b"
    assert both.ours("a__b") == "a__b"
    assert both.ours(both.wire("a.b")) == "a.b"
    assert both.ours("never_offered") == "never_offered"


@given(st.text(st.characters(exclude_categories=["Cs"])), st.lists(st.integers(0, 1000)))
def test_characters_that_were_cut_in_two_come_out_whole(text: str, cuts: list[int]) -> None:
    units = text.encode("utf-16-le")
    edges = [0, *sorted(2 * (cut % (len(units) // 2 + 1)) for cut in cuts), len(units)]
    halves = Halves()
    joined = ""
    for start, end in pairwise(edges):
        whole = halves.join(units[start:end].decode("utf-16-le", "surrogatepass"))
        whole.encode()  # no half gets out
        joined += whole
    assert joined + halves.rest() == text


def test_a_half_without_its_other_is_replaced() -> None:
    halves = Halves()
    assert halves.join("a\ud83d") == "a"
    assert halves.join("b\udc22c") == "\ufffdb\ufffdc"
    assert halves.join("\ud83d") + halves.rest() == "\ufffd"


@pytest.mark.parametrize(
    ("header", "expected"), [("3", 3.0), ("0.5", 0.5), (" 7 ", 7.0), ("soon", None), (None, None), ("", None)]
)
def test_the_time_to_wait_is_read(header: str | None, expected: float | None) -> None:
    assert retry_after_s(header) == expected


def test_the_time_to_wait_may_be_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    found = retry_after_s(later)
    assert found is not None
    assert 90 <= found <= 100
    assert retry_after_s("Wed, 21 Oct 2015 07:28:00 GMT") == 0


def test_words_of_a_server_are_one_bounded_printable_line_without_secrets() -> None:
    said = quoted("key sk-1234567\x1b[31m\nnot\tvalid " + "x" * 1000, "sk-1234567")
    assert said.startswith("key [redacted]")
    assert len(said) <= 300
    assert said.isprintable()


def test_options_of_an_entry_never_win_over_what_the_product_sets() -> None:
    extra: JsonObject = {"model": "other", "options": {"num_ctx": 1, "num_gpu": 2}, "seed": 3}
    base: JsonObject = {"model": "mine", "options": {"num_ctx": 8}}
    assert merged(base, extra) == {"model": "mine", "options": {"num_ctx": 8, "num_gpu": 2}, "seed": 3}
