"""What changed about agents between one look and the next, told to those who watch."""

from __future__ import annotations

from collections.abc import Mapping

from ploinky.gateway.broadcast import Broadcast
from ploinky.gateway.hub import EventHub
from ploinky.lifecycle.status import AgentStatus
from ploinky.wire.events import StateChanged


class StateNews:
    """``show`` is given every look; the first one is news to nobody."""

    def __init__(self, broadcast: Broadcast, hub: EventHub) -> None:
        self._broadcast = broadcast
        self._hub = hub
        self._seen: dict[str, tuple[str, str]] | None = None

    @property
    def has_begun(self) -> bool:
        """Whether there was a look already."""
        return self._seen is not None

    def show(self, statuses: Mapping[str, AgentStatus]) -> None:
        """Tell what differs from the look before."""
        before = self._seen
        now = {key: (each.state.value, str(each.health)) for key, each in statuses.items()}
        for key, status in statuses.items():
            if before is not None and before.get(key) != now[key]:
                self._tell(key, status.state.value, status.reason or str(status.health))
        for key in sorted(set(before or {}) - set(now)):
            self._tell(key, "UNKNOWN", "disabled")
        self._seen = now

    def _tell(self, agent: str, state: str, reason: str) -> None:
        self._broadcast.send(StateChanged(agent=agent, state=state, reason=reason))
        self._hub.publish("agents", "state", {"state": state, "reason": reason}, agent=agent)
