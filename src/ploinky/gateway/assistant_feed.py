"""What assistants do, pushed into the hub: every journal's new events, under the topics that people watch.

The journal stays the truth: each event carries its lasting ``id`` there, by which ``agent.events`` gives
what a listener missed while no gateway ran.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from types import MappingProxyType

import anyio
import anyio.abc

from ploinky.assistants.assistant import Assistant
from ploinky.assistants.household import Household
from ploinky.assistants.journal import EventKind
from ploinky.gateway.hub import EventHub

_TOPICS: Mapping[EventKind, str] = MappingProxyType(
    {
        EventKind.THREAD: "threads",
        EventKind.APPROVAL_NEEDED: "approvals",
        EventKind.APPROVAL_RESOLVED: "approvals",
        EventKind.INCIDENT: "assistants",
        EventKind.CREDENTIAL_NEEDED: "assistants",
    }
)


async def feed_hub(household: Household, hub: EventHub) -> None:
    """Follow every assistant there is and will be, until cancelled."""
    async with anyio.create_task_group() as tasks:
        followed: set[Assistant] = set()
        while True:
            changed = household.changed
            present = set(household.assistants())
            for assistant in present - followed:
                tasks.start_soon(_follow, assistant, hub)
            if present != followed:
                followed = present
                hub.publish(
                    "assistants", "list", {"profileIds": [each.id for each in household.assistants()]}
                )
            await changed.wait()


async def _follow(assistant: Assistant, hub: EventHub) -> None:
    """Ends when the assistant does."""
    async with aclosing(assistant.journal.follow(assistant.journal.last_id())) as events:
        async for event in events:
            session = event.session or None
            topic = _TOPICS.get(event.kind, "runs")
            hub.publish(topic, event.kind.value, event.wire(), assistant=assistant.id, session=session)
