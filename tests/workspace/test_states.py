"""The states and the steps between them."""

from __future__ import annotations

from itertools import pairwise

import pytest

from ploinky.base.errors import PloinkyError
from ploinky.workspace.states import TRANSITIONS, AgentState, require_transition

S = AgentState
WORKING = (S.ENABLED, S.CREATING, S.STARTING, S.RUNNING, S.STOPPED)


def test_every_state_has_a_row_and_can_be_left_and_reached() -> None:
    assert set(TRANSITIONS) == set(S)
    assert set().union(*TRANSITIONS.values()) == set(S)
    assert all(TRANSITIONS.values())


def test_the_way_of_a_good_start_and_stop_is_open() -> None:
    way = [S.UNKNOWN, S.ENABLED, S.CREATING, S.STARTING, S.RUNNING, S.STOPPED, S.STARTING, S.RUNNING]
    for state, following in pairwise(way):
        require_transition("shell", state, following)


@pytest.mark.parametrize("state", WORKING)
def test_every_working_state_can_fail(state: AgentState) -> None:
    require_transition("shell", state, S.FAILED)


@pytest.mark.parametrize("state", [S.ENABLED, S.STOPPED, S.FAILED])
def test_an_agent_at_rest_can_be_disabled(state: AgentState) -> None:
    require_transition("shell", state, S.UNKNOWN)


@pytest.mark.parametrize(
    ("state", "to"),
    [
        (S.UNKNOWN, S.RUNNING),
        (S.ENABLED, S.RUNNING),
        (S.CREATING, S.RUNNING),
        (S.RUNNING, S.UNKNOWN),
        (S.RUNNING, S.CREATING),
    ],
)
def test_a_step_that_skips_something_is_refused_and_told(state: AgentState, to: AgentState) -> None:
    with pytest.raises(PloinkyError, match=f"'shell' cannot go from {state} to {to}") as caught:
        require_transition("shell", state, to)
    assert caught.value.hint is not None
