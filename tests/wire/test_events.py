"""Events survive the wire, and nothing else passes for one."""

from __future__ import annotations

import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ploinky.wire.events import (
    Event,
    Failure,
    JsonValue,
    Notice,
    Output,
    Progress,
    Result,
    StateChanged,
    StepDone,
    StepStarted,
    parse_event,
)

TEXT = st.text(max_size=20)
MAYBE = st.none() | TEXT
ANY_JSON: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
SECONDS = st.floats(0, 1e6)
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(StepStarted, agent=TEXT, step=st.integers(1, 12), name=TEXT, where=st.just("host")),
    st.builds(StepDone, agent=TEXT, step=st.integers(1, 12), name=TEXT, seconds=SECONDS, skipped=MAYBE),
    st.builds(Output, agent=MAYBE, stream=st.sampled_from(("stdout", "stderr")), text=TEXT),
    st.builds(Notice, level=st.sampled_from(("info", "warning")), message=TEXT, hint=MAYBE, agent=MAYBE),
    st.builds(Progress, label=TEXT, fraction=st.none() | st.floats(0, 1), message=TEXT),
    st.builds(StateChanged, agent=TEXT, state=TEXT, reason=TEXT),
    st.builds(Failure, code=TEXT, message=TEXT, hint=MAYBE, agent=MAYBE),
    st.builds(Result, value=ANY_JSON),
)


@given(EVENTS)
def test_every_event_is_read_as_it_was_written(event: Event) -> None:
    assert parse_event(json.loads(event.to_json())) == event


def test_every_kind_has_a_name_of_its_own() -> None:
    kinds = [each.kind for each in get_args(Event)]
    assert len(set(kinds)) == len(kinds)


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({}, "kind"),
        ({"kind": "party"}, "kind"),
        ({"kind": ["result"]}, "kind"),
        ({"kind": "notice"}, "message is missing"),
        ({"kind": "notice", "message": 7}, "message is of another type"),
        ({"kind": "notice", "message": "x", "level": "loud"}, "level is of another type"),
        ({"kind": "notice", "message": "x", "colour": "red"}, "colour is unknown"),
        ({"kind": "notice", "message": "x", "hint": False}, "hint is of another type"),
        ({"kind": "step_done", "agent": "a", "step": True, "name": "x", "seconds": 1}, "step is of another"),
        (
            {"kind": "step_done", "agent": "a", "step": 1, "name": "x", "seconds": "1"},
            "seconds is of another",
        ),
        ({"kind": "progress", "label": "x", "fraction": "half"}, "fraction is of another"),
    ],
)
def test_what_is_no_event_is_refused_by_name(given: dict[str, JsonValue], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        parse_event(given)
