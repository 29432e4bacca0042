"""The paths of ``/v1``: ``/v1/models``, ``/v1/models/<id>`` and ``/v1/chat/completions``.

A request becomes a run of the assistant that ``model`` names, in the session of the header
``X-Ploinky-Session`` or in one that is found by what was said. A client that goes away ends its run.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from urllib.parse import unquote

import anyio
import orjson

from ploinky.assistants.assistant import Assistant, RunRequest
from ploinky.assistants.household import Household
from ploinky.assistants.journal import EventKind
from ploinky.assistants.messages import NewMessage, Role
from ploinky.assistants.runs import Run
from ploinky.assistants.sessions import ChannelKind, Session
from ploinky.base.errors import DeadlineError, PloinkyError
from ploinky.base.jsontypes import JsonValue
from ploinky.gateway.audit import AuditLog, AuditRecord
from ploinky.gateway.openai_api.answers import (
    END,
    Completion,
    error_body,
    error_event,
    failure_of,
    model_value,
    status_of,
)
from ploinky.gateway.openai_api.conversations import keep_place, take_place
from ploinky.gateway.openai_api.requests import ChatRequest, Said, read_chat
from ploinky.gateway.rows import Access, Handler, Mount, Request, Row
from ploinky.gateway.rpc.method import CHANGE_RATE, Scope
from ploinky.gateway.rpc.rates import Rates
from ploinky.gateway.rpc.scopes import allows, scopes_of
from ploinky.router.http import (
    PING,
    PING_EVERY_S,
    end_event_stream,
    read_body,
    send_chunk,
    send_json,
    start_event_stream,
    wait_for_disconnect,
)

CHAT = "/v1/chat/completions"
MODELS = "/v1/models"
SESSION_HEADER = b"x-ploinky-session"
MOST_BYTES = 8 * 1024 * 1024
BODY_TIMEOUT_S = 60.0
LONGEST_RUN_S = 24 * 3600.0  # every turn has a limit of its own
NO_RETRY = (b"x-should-retry", b"false")
"""The official clients would ask again by themselves, which would be another run."""


@dataclass(frozen=True)
class _Asked:
    """A request that has become a run."""

    chat: ChatRequest
    assistant: Assistant
    session: Session
    run: Run
    after: int
    completion: Completion


@dataclass
class OpenAiFace:
    """Serves ``/v1`` over the assistants of ``household``."""

    household: Household
    audit: AuditLog
    _rates: Rates = field(default_factory=Rates)
    _started: int = field(default_factory=lambda: int(time.time()))

    def rows(self) -> dict[str, Row]:
        return {
            CHAT: Row({"POST": self._guarded(self._chat)}, Access.CALLER),
            MODELS: Row({"GET": self._guarded(self._list)}, Access.CALLER),
        }

    def mount(self) -> Mount:
        """``/v1/models/<id>``."""
        return Mount(MODELS, self._guarded(self._one))

    def _guarded(self, handler: Handler) -> Handler:
        """``handler``, for callers who may use assistants, its errors in the form of ``/v1``."""

        async def handle(request: Request) -> None:
            try:
                _require_scope(request)
                await handler(request)
            except PloinkyError as error:
                retry = (
                    [(b"retry-after", wait.encode())] if (wait := error.details.get("retryAfterS")) else []
                )
                headers = retry or [NO_RETRY]
                await send_json(request.send, status_of(error), error_body(error), headers)

        return handle

    async def _list(self, request: Request) -> None:
        models: list[JsonValue] = [
            model_value(each.id, self._started) for each in self.household.assistants()
        ]
        await send_json(request.send, 200, orjson.dumps({"object": "list", "data": models}))

    async def _one(self, request: Request) -> None:
        wanted = unquote(request.scope["path"].removeprefix(MODELS).strip("/"))
        assistant = self.household.require(wanted)
        await send_json(request.send, 200, orjson.dumps(model_value(assistant.id, self._started)))

    async def _chat(self, request: Request) -> None:
        began = time.perf_counter()
        outcome, target = "ok", ""
        try:
            body = await read_body(request.scope, request.receive, limit=MOST_BYTES, timeout_s=BODY_TIMEOUT_S)
            self._rates.take(str(request.caller), CHAT, CHANGE_RATE)
            chat = read_chat(body)
            target = chat.assistant
            asked = await self._start(request, chat)
            error = await (self._stream(request, asked) if chat.stream else self._whole(request, asked))
            outcome = "ok" if error is None else error.code
        except PloinkyError as error:
            outcome = error.code
            raise
        finally:
            ms = (time.perf_counter() - began) * 1000
            self.audit.record(AuditRecord("v1", str(request.caller), CHAT, outcome, "", target, ms))

    async def _start(self, request: Request, chat: ChatRequest) -> _Asked:
        assistant = self.household.require(chat.assistant)
        session_id, new = await self._place(request, chat, assistant)
        session = Session(session_id, ChannelKind.WEB, channel="v1")
        after = assistant.journal.last_id()
        messages = [NewMessage(Role(each.role), each.text) for each in new]
        run = await assistant.start_run(RunRequest(session, messages))
        return _Asked(
            chat, assistant, session, run, after, Completion(run.id, assistant.id, int(time.time()))
        )

    async def _place(
        self, request: Request, chat: ChatRequest, assistant: Assistant
    ) -> tuple[str, Sequence[Said]]:
        """The session of a request, and what is new to it."""
        named = _session_header(request)
        if named is not None:
            return named, chat.said
        return await take_place(str(request.caller), assistant, chat.said)

    async def _whole(self, request: Request, asked: _Asked) -> PloinkyError | None:
        ended = await self._until(request, asked, asked.assistant.wait_run(asked.run.id, LONGEST_RUN_S))
        if ended is None:
            return PloinkyError("CLIENT_GONE", "The client went away.")
        if not ended.ended:
            raise DeadlineError("the run to end", LONGEST_RUN_S)
        failure = failure_of(ended)
        if failure is not None:
            raise failure
        text = asked.assistant.runs.text(ended.id)
        await self._keep(request, asked, text)
        await send_json(request.send, 200, asked.completion.whole(ended, text))
        return None

    async def _stream(self, request: Request, asked: _Asked) -> PloinkyError | None:
        send = request.send
        await start_event_stream(send)
        await send_chunk(send, asked.completion.piece({"role": "assistant", "content": ""}))
        ended = await self._until(request, asked, self._pass_on(request, asked))
        if ended is None:
            return PloinkyError("CLIENT_GONE", "The client went away.")
        failure = failure_of(ended)
        if failure is not None:
            await end_event_stream(send, error_event(failure))
            return failure
        await self._keep(request, asked, asked.assistant.runs.text(ended.id))
        last = [asked.completion.piece({}, "stop")]
        last += [asked.completion.usage(ended)] if asked.chat.include_usage else []
        await end_event_stream(send, b"".join([*last, END]))
        return None

    async def _pass_on(self, request: Request, asked: _Asked) -> Run:
        """Send what the run says until it has ended; a comment now and then keeps the connection."""
        async with anyio.create_task_group() as tasks:

            async def keep_alive() -> None:
                while True:
                    await anyio.sleep(PING_EVERY_S)
                    await send_chunk(request.send, PING)

            tasks.start_soon(keep_alive)
            events = asked.assistant.journal.follow(
                asked.after, session=asked.session.id, run_id=asked.run.id
            )
            async with aclosing(events):
                async for event in events:
                    if event.kind is EventKind.ASSISTANT_DELTA:
                        piece = asked.completion.piece({"content": event.data["text"]})
                        await send_chunk(request.send, piece)
                    elif event.kind is EventKind.DONE:
                        break
            tasks.cancel_scope.cancel()
        return asked.assistant.runs.require(asked.run.id)

    async def _until(self, request: Request, asked: _Asked, work: Awaitable[Run]) -> Run | None:
        """What ``work`` gives; None if the client or the gateway goes first, which ends the run."""
        found: Run | PloinkyError | None = None
        async with anyio.create_task_group() as tasks:

            async def end_with(wait: Callable[[], Awaitable[None]]) -> None:
                await wait()
                tasks.cancel_scope.cancel()

            tasks.start_soon(end_with, lambda: wait_for_disconnect(request.receive))
            tasks.start_soon(end_with, request.closing.wait)
            try:
                found = await work
            except PloinkyError as error:  # raised outside, where it is no group
                found = error
            tasks.cancel_scope.cancel()
        if isinstance(found, PloinkyError):
            raise found
        if found is not None:
            return found
        if not request.closing.is_set():  # a gateway that ends keeps its runs as it always does
            await asked.assistant.cancel_run(asked.run.id)
        return None

    async def _keep(self, request: Request, asked: _Asked, text: str) -> None:
        await keep_place(str(request.caller), asked.assistant, asked.chat.said, text, asked.session.id)


def _require_scope(request: Request) -> None:
    if not allows(scopes_of(request.caller), Scope.ASSISTANTS_USE):
        raise PloinkyError(
            "FORBIDDEN", f"/v1 needs the scope {Scope.ASSISTANTS_USE}, which this caller has not."
        )


def _session_header(request: Request) -> str | None:
    for name, value in request.scope["headers"]:
        if name == SESSION_HEADER:
            return unquote(bytes(value).decode("latin-1"))
    return None
