"""The states of an agent and which may follow which.

``UNKNOWN`` is never stored: it is the state of what the registry does not hold. Edges are of two kinds:
what a command does (start, stop, disable) and what the runtime is seen to have done by itself (a sandbox
that died, vanished, or was started by hand). To add a state: the enum and a row of the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from ploinky.base.errors import PloinkyError


class AgentState(StrEnum):
    """Where an agent stands; the engine is asked for the truth, this is what was last known."""

    UNKNOWN = "UNKNOWN"
    ENABLED = "ENABLED"
    CREATING = "CREATING"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    STOPPED = "STOPPED"
    FAILED = "FAILED"


class Desired(StrEnum):
    """What the owner wants of an agent; reconciling brings the state there."""

    RUNNING = "running"
    STOPPED = "stopped"


_S = AgentState

TRANSITIONS: Mapping[AgentState, frozenset[AgentState]] = MappingProxyType(
    {
        _S.UNKNOWN: frozenset({_S.ENABLED}),
        # STARTING: a sandbox of an unchanged spec is found and used again
        _S.ENABLED: frozenset({_S.CREATING, _S.STARTING, _S.FAILED, _S.UNKNOWN}),
        # ENABLED, STOPPED: an interrupted creation is cleaned up, or left created and not started
        _S.CREATING: frozenset({_S.STARTING, _S.STOPPED, _S.FAILED, _S.ENABLED}),
        # CREATING: an interrupted start is done over
        _S.STARTING: frozenset({_S.RUNNING, _S.STOPPED, _S.FAILED, _S.CREATING, _S.ENABLED}),
        # STARTING: restarted or no longer ready; ENABLED: the sandbox vanished
        _S.RUNNING: frozenset({_S.STOPPED, _S.FAILED, _S.STARTING, _S.ENABLED}),
        # RUNNING: started by hand; ENABLED: the sandbox was removed
        _S.STOPPED: frozenset({_S.STARTING, _S.CREATING, _S.RUNNING, _S.FAILED, _S.ENABLED, _S.UNKNOWN}),
        _S.FAILED: frozenset({_S.CREATING, _S.STARTING, _S.RUNNING, _S.STOPPED, _S.ENABLED, _S.UNKNOWN}),
    }
)


def require_transition(agent: str, state: AgentState, to: AgentState) -> None:
    """Check one step; staying in a state is always allowed.

    Raises:
        PloinkyError: ``ILLEGAL_TRANSITION``, naming the agent, both states and what is allowed.
    """
    if to is state or to in TRANSITIONS[state]:
        return
    allowed = ", ".join(sorted(TRANSITIONS[state]))
    raise PloinkyError(
        "ILLEGAL_TRANSITION",
        f"Agent '{agent}' cannot go from {state} to {to}.",
        hint=f"From {state} it may go to {allowed}.",
        details={"agent": agent, "from": state.value, "to": to.value},
    )
