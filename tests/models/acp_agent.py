"""An agent made with the official SDK of the Agent Client Protocol; what it does depends on what it is told.

It knows ``forever``, ``permission``, ``announced permission``, ``crash``, ``sign in``, ``child PATH`` and
``tool``; anything else gets ``Good morning.`` What was announced is asked by its id alone, as Mistral Vibe
does, and a denial ends the turn as cancelled.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

from acp import Agent, Client, InitializeResponse, NewSessionResponse, PromptResponse, RequestError, run_agent
from acp.contrib.permissions import default_permission_options
from acp.helpers import (
    start_tool_call,
    update_agent_message_text,
    update_agent_thought_text,
    update_tool_call,
)
from acp.schema import AllowedOutcome, Implementation, ToolCallUpdate, Usage


class ScriptedAgent:
    """One session at a time."""

    def __init__(self) -> None:
        self._client: Client | None = None
        self._cancelled = asyncio.Event()

    def on_connect(self, conn: Client) -> None:
        self._client = conn

    async def initialize(self, protocol_version: int, **_: Any) -> InitializeResponse:
        info = Implementation(name="scripted-agent", version="1.0")
        return InitializeResponse(protocol_version=protocol_version, agent_info=info)

    async def new_session(self, cwd: str, **_: Any) -> NewSessionResponse:
        return NewSessionResponse(session_id="s-1")

    async def cancel(self, session_id: str, **_: Any) -> None:
        self._cancelled.set()

    async def prompt(self, session_id: str, prompt: list[Any], **_: Any) -> PromptResponse:
        text = "".join(block.text for block in prompt if block.type == "text")
        if "sign in" in text:
            raise RequestError.auth_required()
        if "crash" in text:
            print(f"the key is {os.environ.get('AGENT_KEY')}", file=sys.stderr, flush=True)
            os._exit(3)
        if child := re.search(r"child (\S+)", text):
            self._leave_a_child(Path(child[1]))
        if "tool" in text:
            await self._use_a_tool(session_id)
        if "permission" in text:
            answer = await self._ask(session_id, announced="announced" in text)
            await self._say(session_id, answer)
            if "announced" in text and "approve" not in answer:
                return PromptResponse(stop_reason="cancelled")
        else:
            await self._answer(session_id, forever="forever" in text)
        usage = Usage(total_tokens=30, input_tokens=20, output_tokens=6, cached_read_tokens=4)
        return PromptResponse(stop_reason="end_turn", usage=usage)

    async def _answer(self, session_id: str, *, forever: bool) -> None:
        assert self._client is not None
        await self._client.session_update(session_id, update_agent_thought_text("Is it morning?"))
        for piece in ("Good ", "morn", "ing."):
            await self._say(session_id, piece)
        while forever and not self._cancelled.is_set():
            await self._say(session_id, "tick ")
            await asyncio.sleep(0.01)

    async def _say(self, session_id: str, text: str) -> None:
        assert self._client is not None
        await self._client.session_update(session_id, update_agent_message_text(text))

    async def _use_a_tool(self, session_id: str) -> None:
        assert self._client is not None
        await self._client.session_update(session_id, start_tool_call("c-1", "Read the map", kind="read"))
        await self._client.session_update(session_id, update_tool_call("c-1", status="completed"))

    async def _ask(self, session_id: str, *, announced: bool) -> str:
        assert self._client is not None
        whole = start_tool_call("c-2", "Delete the harbour", kind="delete", raw_input={"path": "harbour"})
        call = ToolCallUpdate(tool_call_id="c-2")
        if announced:
            await self._client.session_update(session_id, whole)
        else:
            call = ToolCallUpdate.model_validate(whole.model_dump(exclude={"session_update"}))
        answer = await self._client.request_permission(session_id, call, list(default_permission_options()))
        chosen = answer.outcome.option_id if isinstance(answer.outcome, AllowedOutcome) else "nothing"
        return f"You chose {chosen}."

    def _leave_a_child(self, path: Path) -> None:
        child = subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        path.write_text(str(child.pid))


if __name__ == "__main__":
    asyncio.run(run_agent(cast("Agent", ScriptedAgent())))
