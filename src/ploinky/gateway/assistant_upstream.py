"""Assistants as tools on ``/mcp``: ``ask_<id>`` sends a message and answers with what the assistant says.

Only those that a model serves: one without answers nothing but commands. Each client has a conversation of
its own with each; policy and approvals count as ever.
"""

from __future__ import annotations

import anyio

from ploinky.assistants.assistant import Assistant, RunRequest
from ploinky.assistants.household import Household
from ploinky.assistants.messages import NewMessage, Role
from ploinky.assistants.runs import Run, RunKind, RunStatus
from ploinky.assistants.sessions import ChannelKind, Session
from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonObject, find_object, find_text
from ploinky.mcp.messages import INVALID_PARAMS, METHOD_NOT_FOUND, RpcError
from ploinky.mcp.upstream import Ask, Back, ClientFacts, Offer

KEY = "assistants"
PREFIX = "ask_"
_DAY_S = 86400.0
_SCHEMA: JsonObject = {
    "type": "object",
    "properties": {
        "message": {"type": "string", "description": "What to say to the assistant."},
        "session": {"type": "string", "description": "Which conversation to go on with.", "maxLength": 100},
    },
    "required": ["message"],
}


class AssistantsUpstream:
    """An ``Upstream`` over ``household``."""

    def __init__(self, household: Household) -> None:
        self._household = household
        self._names: dict[str, str] = {}
        self._offer = Offer(capabilities={"tools": {"listChanged": True}})

    @property
    def offer(self) -> Offer:
        return self._offer

    async def refresh(self) -> bool:
        """Look which assistants there are; whether that changed."""
        names = {
            each.id: each.settings.name or each.id
            for each in self._household.assistants()
            if _is_served(each)
        }
        if names == self._names:
            return False
        self._names = names
        tools = tuple(_tool(assistant, name) for assistant, name in names.items())
        self._offer = Offer(capabilities={"tools": {"listChanged": True}}, tools=tools)
        return True

    def converse(self, client: ClientFacts, back: Back) -> AssistantConversation:
        """See ``Upstream``."""
        return AssistantConversation(self._household, client)

    def close(self) -> None:
        """Nothing is kept here."""


class AssistantConversation:
    """One client's dealings with all assistants."""

    def __init__(self, household: Household, client: ClientFacts) -> None:
        self._household = household
        self._client = client

    async def request(self, ask: Ask) -> JsonObject:
        """See ``Conversation``; only tools can be called."""
        if ask.method != "tools/call":
            raise RpcError(METHOD_NOT_FOUND, f"Method not found: {ask.method}")
        arguments = find_object(ask.params, "arguments") or {}
        message = find_text(arguments, "message")
        if not message:
            raise RpcError(INVALID_PARAMS, "message must be a text that is not empty.")
        name = find_text(ask.params, "name") or ""
        try:
            assistant = self._household.require(name.removeprefix(PREFIX))
            own = find_text(arguments, "session") or self._client.session_id or "stateless"
            session = Session(f"mcp:{self._client.caller}:{own}", ChannelKind.GROUP, user=self._client.caller)
            request = RunRequest(session, [NewMessage(Role.USER, message)], RunKind.ASSISTANT, depth=1)
            return _result(assistant, await _run(assistant, request))
        except PloinkyError as error:
            return _said(f"{error.message}" + (f" {error.hint}" if error.hint else ""), is_error=True)

    async def notify(self, method: str, params: JsonObject) -> None:
        """Nothing here changes by a notification."""

    async def aclose(self) -> None:
        """Nothing is kept here; threads stay with their assistants."""


async def _run(assistant: Assistant, request: RunRequest) -> Run:
    run = await assistant.start_run(request)
    try:
        return await assistant.wait_run(run.id, _DAY_S)
    except anyio.get_cancelled_exc_class():
        with anyio.CancelScope(shield=True):
            await assistant.cancel_run(run.id)
        raise


def _result(assistant: Assistant, run: Run) -> JsonObject:
    text = assistant.runs.text(run.id)
    if run.status is RunStatus.DONE:
        return _said(text, is_error=False)
    why = run.error.message if run.error is not None else f"The run was {run.status.value}."
    return _said(f"{text}\n{why}".strip(), is_error=True)


def _said(text: str, *, is_error: bool) -> JsonObject:
    return {"content": [{"type": "text", "text": text}], "isError": is_error}


def _is_served(assistant: Assistant) -> bool:
    return assistant.model.entry.provider != "offline"


def _tool(assistant: str, name: str) -> JsonObject:
    return {
        "name": f"{PREFIX}{assistant}",
        "title": f"Ask {name}",
        "description": f"Send a message to the assistant '{name}' and get its answer.",
        "inputSchema": _SCHEMA,
        "annotations": {"readOnlyHint": False, "openWorldHint": True},
    }
