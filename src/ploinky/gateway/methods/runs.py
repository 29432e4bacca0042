"""RPC rows of runs and threads: ``agent.*``, ``chat.*``, ``thread.*``, ``context.preview``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import orjson
from pydantic import Field

from ploinky.assistants.assistant import Assistant, RunRequest
from ploinky.assistants.messages import NewMessage, Role
from ploinky.assistants.runs import Run
from ploinky.assistants.sessions import Session
from ploinky.assistants.threads import MAX_CONTENT
from ploinky.base.jsontypes import JsonObject
from ploinky.gateway.methods.named_assistant import (
    OfAssistant,
    OfSession,
    SessionParams,
    assistant_of,
)
from ploinky.gateway.rpc.method import Answer, Call, Method, Params, Rate, Scope, reading

_RUN_RATE = Rate(600, 200)
_LONGEST_WAIT_MS = 600_000
_MOST = 2000


class GivenMessage(Params):
    """``id`` makes sending it again harmless. Roles other than ``user`` and ``assistant`` are not taken."""

    id: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    role: Literal["user", "assistant"] = "user"
    content: Annotated[str, Field(max_length=MAX_CONTENT)]
    at: str | None = None
    run_id: str | None = None
    status: str | None = None

    def new(self) -> NewMessage:
        return NewMessage(Role(self.role), self.content, self.id)


class RunParams(OfAssistant):
    """``session`` names assistant and conversation; ``messages`` is the new one, or the whole list."""

    session: SessionParams
    messages: Annotated[list[GivenMessage], Field(min_length=1, max_length=_MOST)]


class SendParams(SessionParams):
    """``text``: what to say; ``messageId`` makes sending it again harmless."""

    text: Annotated[str, Field(min_length=1, max_length=MAX_CONTENT)]
    message_id: Annotated[str, Field(min_length=1, max_length=100)] | None = None


class OfRun(OfAssistant):
    """``runId``: as ``agent.run`` gave it."""

    run_id: Annotated[str, Field(min_length=1, max_length=100)]


class WaitParams(OfRun):
    """``block`` false: answer at once. ``timeoutMs``: answer with what there is then."""

    block: bool = True
    timeout_ms: Annotated[int, Field(ge=0, le=_LONGEST_WAIT_MS)] = 120_000


class EventParams(OfAssistant):
    """``after``: the ``id`` of the last event that was seen; ``limit``: how many at most."""

    session_id: str | None = None
    run_id: str | None = None
    after: Annotated[int, Field(ge=0)] = 0
    limit: Annotated[int, Field(ge=1, le=1000)] = 500


class ThreadParams(OfSession):
    """``ifVersion``: answer without messages if the thread is still at it. ``limit``: the newest only."""

    if_version: int | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] | None = None


class ArchiveParams(OfSession):
    """Messages that left the thread, from before the message ``before`` (its ``position``)."""

    before: Annotated[int, Field(ge=0)] = 2**62
    limit: Annotated[int, Field(ge=1, le=1000)] = 200


class SetThreadParams(SessionParams):
    """``messages``: the thread as it shall be; ``ifVersion`` refuses if somebody changed it meanwhile."""

    messages: Annotated[list[GivenMessage], Field(max_length=1000)]
    if_version: int | None = None


class PreviewParams(SessionParams):
    """``message``: as if this came now."""

    message: Annotated[str, Field(max_length=MAX_CONTENT)] | None = None


class RunAnswer(Answer):
    """A run. ``text`` is all that it has said, joined; ``error`` is there if it failed."""

    run_id: str
    profile_id: str
    session_id: str
    kind: str
    status: str
    ended: bool
    created_at: str
    started_at: str | None
    ended_at: str | None
    model: str | None
    error: dict[str, Any] | None
    usage: dict[str, Any]
    notes: list[str]
    text: str | None = None


async def run(call: Call, params: RunParams) -> JsonObject:
    """Start a run and answer at once with its ``runId``; it is kept before anything is done about it.

    Its events come by ``/events`` and ``/ws``; ``agent.wait`` waits for its end.
    """
    profile = params.session.profile_id or params.profile_id
    assistant = call.services.household.require(profile)
    messages = [message.new() for message in params.messages]
    return _shown(assistant, await assistant.start_run(RunRequest(params.session.session(), messages)))


async def send(call: Call, params: SendParams) -> JsonObject:
    """Say something in a session: ``agent.run`` with one message."""
    assistant = assistant_of(call, params)
    message = NewMessage(Role.USER, params.text, params.message_id)
    return _shown(assistant, await assistant.start_run(RunRequest(params.session(), [message])))


async def wait(call: Call, params: WaitParams) -> JsonObject:
    """The run once it has ended, or as it is when the time is over. May be asked again and again."""
    assistant = assistant_of(call, params)
    timeout_s = params.timeout_ms / 1000 if params.block else None
    return _shown(assistant, await assistant.wait_run(params.run_id, timeout_s), text=True)


async def cancel(call: Call, params: OfRun) -> JsonObject:
    """End a run: the call of the model and the tools that run."""
    assistant = assistant_of(call, params)
    return _shown(assistant, await assistant.cancel_run(params.run_id), text=True)


async def list_runs(call: Call, params: EventParams) -> list[JsonObject]:
    """The newest runs first, of one session or of all."""
    assistant = assistant_of(call, params)
    return [_shown(assistant, each) for each in assistant.runs.recent(params.limit, params.session_id)]


async def events(call: Call, params: EventParams) -> list[JsonObject]:
    """Events that were kept, after the one that was seen last; of a run, of a session, or all."""
    journal = assistant_of(call, params).journal
    found = journal.page(params.after, session=params.session_id, run_id=params.run_id, limit=params.limit)
    return [each.wire() for each in found]


async def get_thread(call: Call, params: ThreadParams) -> dict[str, Any]:
    """The messages of a session, oldest first; empty if nothing was said yet."""
    assistant = assistant_of(call, params)
    facts = assistant.threads.find(params.session_id)
    about: dict[str, Any] = {"profileId": assistant.id, "sessionId": params.session_id}
    if facts is None:
        return {**about, "version": 0, "messages": [], "count": 0, "unchanged": False}
    about |= facts.wire()
    if params.if_version == facts.version:
        return {**about, "messages": [], "unchanged": True}
    messages = orjson.Fragment(assistant.threads.wire(params.session_id, params.limit))
    return {**about, "messages": messages, "unchanged": False}


async def get_archive(call: Call, params: ArchiveParams) -> JsonObject:
    """Messages that left the thread when it was full; nothing is ever lost."""
    threads = assistant_of(call, params).threads
    found = threads.archived(params.session_id, before=params.before, limit=params.limit)
    return {"messages": [{**each.wire(), "position": each.position} for each in found]}


async def sessions(call: Call, params: OfAssistant) -> list[JsonObject]:
    """All sessions of an assistant, the one that changed last first."""
    return [facts.wire() for facts in assistant_of(call, params).threads.sessions()]


async def set_thread(call: Call, params: SetThreadParams) -> JsonObject:
    """Make a thread what the client has: known messages stay as they are, new ones are added at the end, and
    what is left out moves to the archive."""
    assistant = assistant_of(call, params)
    wanted = [message.new() for message in params.messages]
    session: Session = params.session()
    kept = await assistant.threads.replace(session, wanted, if_version=params.if_version)
    facts = assistant.threads.find(session.id)
    about: JsonObject = {} if facts is None else facts.wire()
    return {**about, "messages": [each.wire() for each in kept]}


async def delete_thread(call: Call, params: OfSession) -> JsonObject:
    """Forget a session with all its messages, those in the archive too."""
    await assistant_of(call, params).threads.delete(params.session_id)
    return {"sessionId": params.session_id, "deleted": True}


async def preview(call: Call, params: PreviewParams) -> JsonObject:
    """Exactly what would be sent to the model now, and the size of each part in tokens."""
    assistant = assistant_of(call, params)
    context = await assistant.preview(params.session(), params.message)
    _, source = await assistant.model.context_tokens(assistant.settings.context)
    about: JsonObject = {"profileId": assistant.id, "model": assistant.model.model_id, "budgetFrom": source}
    return {**about, **context.wire()}


def _shown(assistant: Assistant, found: Run, *, text: bool = False) -> JsonObject:
    said = assistant.runs.text(found.id) if text else None
    return {**found.wire(), "profileId": assistant.id, "ended": found.ended, "text": said}


RUN_METHODS: tuple[Method[Any], ...] = (
    Method("agent.run", RunParams, RunAnswer, Scope.ASSISTANTS_USE, run, _RUN_RATE),
    reading("agent.wait", WaitParams, RunAnswer, Scope.ASSISTANTS_USE, wait),
    Method("agent.cancel", OfRun, RunAnswer, Scope.ASSISTANTS_USE, cancel),
    reading("agent.runs", EventParams, list[RunAnswer], Scope.ASSISTANTS_USE, list_runs),
    reading("agent.events", EventParams, list[dict[str, Any]], Scope.ASSISTANTS_USE, events),
    Method("chat.send", SendParams, RunAnswer, Scope.ASSISTANTS_USE, send, _RUN_RATE),
    reading("chat.getThread", ThreadParams, Any, Scope.ASSISTANTS_USE, get_thread),
    reading("chat.getArchive", ArchiveParams, Any, Scope.ASSISTANTS_USE, get_archive),
    reading("chat.sessions", OfAssistant, list[dict[str, Any]], Scope.ASSISTANTS_USE, sessions),
    Method("thread.set", SetThreadParams, Any, Scope.ASSISTANTS_USE, set_thread),
    Method("thread.delete", OfSession, dict[str, Any], Scope.ASSISTANTS_USE, delete_thread),
    reading("context.preview", PreviewParams, dict[str, Any], Scope.ASSISTANTS_USE, preview),
)
