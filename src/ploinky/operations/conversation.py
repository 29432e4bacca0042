"""Talking to an assistant through the running gateway: send a message, follow its run, answer its questions.

A connection that breaks is taken up again at the last event that was seen: nothing is missed or told twice.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import anyio

from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonObject, JsonValue, find_text
from ploinky.operations.gateway_rpc import GatewayRpc

_BROKEN = ("GATEWAY_LOST", "GATEWAY_UNREACHABLE", "GATEWAY_PROTOCOL")
_TRIES = 40
_PAUSE_S = 0.25


class Conversation:
    """One session with one assistant; ``assistant`` None is the default one."""

    def __init__(self, rpc: GatewayRpc, assistant: str | None, session: str) -> None:
        self._rpc = rpc
        self._assistant = assistant
        self.session = session
        self.run_id: str | None = None

    async def require(self) -> None:
        """See that the assistant is there, before anything is said.

        Raises:
            NotFoundError: ``NO_ASSISTANT``. PloinkyError: the gateway does not run.
        """
        await self._rpc.call(
            "chat.getThread", {"profileId": self._assistant, "sessionId": self.session, "limit": 1}
        )

    async def is_assistant(self, word: str) -> bool:
        """Whether ``word`` is the id of an assistant."""
        rows = (await self._rpc.call_object("profile.list", {})).get("profiles")
        return isinstance(rows, list) and any(find_text(row, "profileId") == word for row in rows)

    async def say(self, text: str) -> AsyncGenerator[JsonObject, None]:
        """Send a message; the events of its run up to ``done``.

        Raises:
            PloinkyError: the message was not taken, or the gateway is gone for good.
        """
        session: JsonObject = {"sessionId": self.session, "channelKind": "terminal"}
        messages: list[JsonValue] = [{"content": text}]
        params: JsonObject = {"profileId": self._assistant, "session": session, "messages": messages}
        run = await self._rpc.call_object("agent.run", params)
        self.run_id = run_id = find_text(run, "runId") or ""
        assistant = find_text(run, "profileId") or ""
        after, tries = 0, 0
        while True:
            try:
                events = self._rpc.events(assistant, self.session, after, run_id)
                async with aclosing(events):
                    async for event in events:
                        tries = 0
                        number = event.get("id")
                        after = number if isinstance(number, int) else after
                        yield event
                        if find_text(event, "event") == "done":
                            return
            except PloinkyError as error:
                if error.code not in _BROKEN or tries >= _TRIES:
                    raise
            tries += 1
            await anyio.sleep(_PAUSE_S)

    async def resolve(self, approval: str, *, approve: bool, always: bool = False) -> None:
        """Answer a request for approval; ``always``: let any further call of that tool through."""
        params: JsonObject = {
            "profileId": self._assistant,
            "id": approval,
            "decision": "approve" if approve else "deny",
            "grant": {"pattern": {}, "uses": None} if approve and always else None,
        }
        await self._rpc.call("approval.resolve", params)

    async def cancel(self) -> None:
        """End the run that is under way."""
        if self.run_id is not None:
            await self._rpc.call("agent.cancel", {"profileId": self._assistant, "runId": self.run_id})
