"""JSON with places: the same values as the standard reader, and every place right."""

from __future__ import annotations

import contextlib
import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ploinky.manifest.jsontext import Json, JsonTextError, Path, Place, read_json

PROPERTY = settings(deadline=None, max_examples=150)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
)
INDENTS = st.sampled_from([None, 0, 2, "\t"])
NEARLY_JSON = st.text(alphabet="{}[]\",:\\ \n\r\tu0019-+.eEtruefalsn/#'\0\ud800x", max_size=60)


def at_path(value: Json, path: Path) -> Json:
    for part in path:
        if isinstance(value, dict):
            value = value[str(part)]
        else:
            assert isinstance(value, list)
            assert isinstance(part, int)
            value = value[part]
    return value


def offset(text: str, place: Place) -> int:
    lines = text.split("\n")
    return sum(len(line) + 1 for line in lines[: place.line - 1]) + place.column - 1


@PROPERTY
@given(value=VALUES, indent=INDENTS, ascii_only=st.booleans())
def test_it_reads_what_the_standard_reader_reads(
    value: Json, indent: str | int | None, ascii_only: bool
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    document = read_json(text)
    assert document.value == json.loads(text)
    assert json.dumps(document.value) == json.dumps(json.loads(text))


@PROPERTY
@given(text=NEARLY_JSON)
def test_random_text_is_read_as_the_standard_reader_reads_it_or_refused_with_a_place(text: str) -> None:
    try:
        expected = json.loads(text, parse_constant=lambda word: 1 / 0)
    except (ValueError, ZeroDivisionError, RecursionError):
        with pytest.raises(JsonTextError) as caught:
            read_json(text)
        assert 1 <= caught.value.place.line <= text.count("\n") + text.count("\r") + 1
        assert caught.value.place.column >= 1
    else:
        assert json.dumps(read_json(text).value) == json.dumps(expected)


@PROPERTY
@given(text=st.text(max_size=80))
def test_any_text_at_all_gives_a_document_or_a_refusal(text: str) -> None:
    with contextlib.suppress(JsonTextError):
        read_json(text)


@PROPERTY
@given(value=VALUES, indent=INDENTS)
def test_every_place_is_where_its_value_starts(value: Json, indent: str | int | None) -> None:
    text = json.dumps(value, indent=indent)
    document = read_json(text)
    decoder = json.JSONDecoder()
    for path, place in document.places.items():
        read, _ = decoder.raw_decode(text, offset(text, place))
        assert read == at_path(document.value, path)
    for path, place in document.key_places.items():
        read, _ = decoder.raw_decode(text, offset(text, place))
        assert read == path[-1]


@PROPERTY
@given(value=VALUES)
def test_every_value_has_a_place(value: Json) -> None:
    def count(part: Json) -> int:
        inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
        return 1 + sum(map(count, inner))

    assert len(read_json(json.dumps(value)).places) == count(value)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_editors_see_them(end: str) -> None:
    document = read_json(end.join(["{", ' "a": 1,', ' "b": [', "  2", " ]", "}"]))
    assert document.place_of(("b", 0)) == Place(4, 3)
    assert document.place_of_key(("b",)) == Place(3, 2)


def test_a_byte_order_mark_moves_no_column() -> None:
    assert read_json('\ufeff{"a": 1}').place_of(("a",)) == Place(1, 7)


def test_a_missing_part_has_the_place_of_what_is_around_it() -> None:
    document = read_json('{\n "a": {}}')
    assert document.place_of_key(("a", "b", 0)) == document.place_of(("a",)) == Place(2, 7)


def test_a_key_given_twice_is_remarked_where_it_comes_again_and_the_last_value_counts() -> None:
    document = read_json('{"a": {"x": [1]},\n "a": {"y": 2}}')
    assert document.value == {"a": {"y": 2}}
    assert [(remark.path, remark.place) for remark in document.remarks] == [(("a",), Place(2, 2))]
    assert ("a", "x") not in document.places
    assert ("a", "y") in document.places


@pytest.mark.parametrize("text", ['"\\u0000"', '"\\ud800"', "1e999"])
def test_values_that_cannot_be_passed_on_are_remarked(text: str) -> None:
    assert len(read_json(text).remarks) == 1


REFUSED = {
    "": (1, 1, "empty"),
    "  \n ": (2, 2, "too early"),
    "{": (1, 2, "too early"),
    '{"a": 1,}': (1, 8, "comma"),
    "[1,\n]": (1, 3, "comma"),
    "[1 2]": (1, 4, "','"),
    '{"a" 1}': (1, 6, "':'"),
    "{a: 1}": (1, 2, "key"),
    "{'a': 1}": (1, 2, "double quotes"),
    '{\n  // note\n"a": 1}': (2, 3, "comments"),
    "[1, # two\n2]": (1, 5, "comments"),
    '{"a": True}': (1, 7, "value"),
    "[NaN]": (1, 2, "value"),
    "[01]": (1, 3, "','"),
    "[+1]": (1, 2, "value"),
    "{} {}": (1, 4, "after the end"),
    '"a\nb"': (1, 1, "line"),
    '["a\tb"]': (1, 4, "control"),
    '["\\x"]': (1, 3, "escape"),
    '["\\u12"]': (1, 3, "escape"),
    '["abc': (1, 6, "too early"),
    "[" * 200: (1, 102, "nested"),
    "9" * 5000: (1, 1, "digits"),
}


@pytest.mark.parametrize("text", REFUSED, ids=[text[:12] for text in REFUSED])
def test_a_refusal_names_place_and_reason(text: str) -> None:
    line, column, reason = REFUSED[text]
    with pytest.raises(JsonTextError) as caught:
        read_json(text)
    assert caught.value.place == Place(line, column)
    assert reason in caught.value.reason


def test_long_hostile_strings_are_read_in_time_in_proportion() -> None:
    import time

    def seconds(size: int) -> float:
        started = time.perf_counter()
        with contextlib.suppress(JsonTextError):
            read_json('["' + "a\\n" * size)
        return time.perf_counter() - started

    times = [seconds(size) for size in (20_000, 200_000)]
    assert all(later < max(earlier, 0.01) * 100 for earlier, later in pairwise(times))
