"""Server-sent events as another side may write them: cut anywhere, with any line ends, without an end."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ploinky.router.http import event
from ploinky.router.sse import EventReader, ServerEvent

LINE_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
DATA = st.binary(max_size=30).filter(lambda data: b"\n" not in data and b"\r" not in data)
NOISE = st.sampled_from([b": comment", b"event: message", b"unknown: x", b"retry: x", b":", b"data"])


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """``data`` in pieces."""
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def read(pieces: list[bytes]) -> list[ServerEvent]:
    reader = EventReader()
    return [each for piece in pieces for each in reader.feed(piece)]


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=8))
def test_any_bytes_mean_the_same_however_they_are_cut(data: bytes, places: list[int]) -> None:
    assert read(cut(data, places)) == read([data])


@given(
    st.lists(st.tuples(DATA, st.integers(0, 9), st.lists(NOISE, max_size=2)), max_size=6),
    LINE_ENDS,
    st.lists(st.integers(0, 500), max_size=8),
)
def test_what_was_written_is_read_with_any_line_end(
    events: list[tuple[bytes, int, list[bytes]]], end: bytes, places: list[int]
) -> None:
    lines = [
        line
        for data, number, noise in events
        for line in (b"id: %d" % number, *(each for each in noise if each != b"data"), b"data: " + data, b"")
    ]
    whole = b"".join(line + end for line in lines)
    assert [(each.data, each.id) for each in read(cut(whole, places))] == [
        (data, str(number)) for data, number, _ in events
    ]


@given(DATA.filter(bool), st.text("abc.0123", min_size=1))
def test_the_routers_own_events_are_read_back(data: bytes, event_id: str) -> None:
    assert read([event(data, event_id)]) == [ServerEvent(data, event_id)]


def test_an_event_without_end_is_counted_whatever_it_is_made_of() -> None:
    """Whoever reads it can thereby give up before it fills the memory."""
    for piece in (b"x" * 1000, b"data: " + b"x" * 1000 + b"\n", b"data:\n" * 100, b"data: x\r" * 50):
        reader = EventReader()
        for number in range(1, 100):
            assert reader.feed(piece) == []
            assert reader.waiting >= number * 1000
    assert reader.feed(b"\n\n") != []
    assert reader.waiting == 0
