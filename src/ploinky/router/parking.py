"""Requests of the stateless era that wait for more input: an agent asked, the client answers by asking again.

An agent that asks in the middle of its work (elicitation, sampling, roots) is left waiting here; the client
gets ``input_required`` and a ``requestState`` that only this caller can redeem, for this request alone. What
nobody comes back for is given up after a while.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio

from ploinky.base.jsontypes import JsonObject, JsonValue, find_object, find_text
from ploinky.mcp.messages import CANCELLED, INTERNAL_ERROR, INVALID_PARAMS, Request, RpcError, notification
from ploinky.mcp.upstream import Back, ClientFacts
from ploinky.router.directory import Origin
from ploinky.router.sessions import check_can_be_asked
from ploinky.router.streams import CallReply

logger = logging.getLogger(__name__)
Produce = Callable[[Back], Awaitable[bytes]]
STATE_MARK = "ploinky."
_PATIENCE_S = 600.0
_MOST_PARKED = 1000
_GATHER_S = 0.01  # agents that ask several things at once do so within this


@dataclass(slots=True, eq=False)
class _Question:
    method: str
    params: JsonObject
    answered: anyio.Event
    answer: JsonObject | None = None


class ParkedCall:
    """One request at an agent, over as many exchanges as it takes."""

    def __init__(self, origin: Origin, request: Request, client: ClientFacts) -> None:
        self.origin = origin
        self.request = request
        self.client = client
        self.questions: dict[str, _Question] = {}
        self._result: bytes | None = None
        self._error: RpcError | None = None
        self.scope = anyio.CancelScope()
        self.reply: CallReply | None = None
        self.parked_at = 0.0
        self._news = anyio.Event()
        self._count = 0

    def notify(self, method: str, params: JsonObject) -> None:
        """See ``Back``: to whichever exchange is open now."""
        if self.reply is not None:
            self.reply.notify(notification(method, params))

    async def ask(self, method: str, params: JsonObject) -> JsonObject:
        """See ``Back``: in the next answer to the client."""
        check_can_be_asked(self.client.capabilities, method)
        self._count += 1
        key = f"{method.partition('/')[0]}-{self._count}"
        question = self.questions[key] = _Question(method, params, anyio.Event())
        self._news.set()
        try:
            with anyio.fail_after(_PATIENCE_S):
                await question.answered.wait()
        except TimeoutError as error:
            raise RpcError(CANCELLED, "The client did not come back with an answer.") from error
        finally:
            self.questions.pop(key, None)
        assert question.answer is not None
        return question.answer

    @property
    def done(self) -> bool:
        return self._result is not None or self._error is not None or self.scope.cancel_called

    async def run(self, produce: Produce) -> None:
        """Do the work to its end; never raises."""
        with self.scope:
            try:
                self._result = await produce(self)
            except RpcError as error:
                self._error = error
            except Exception:
                logger.exception("a request failed inside the router")
                self._error = RpcError(INTERNAL_ERROR, "The router failed; its log says more.")
        self._news.set()

    async def turn(self) -> bytes | None:
        """Wait until it is done or asks something; its result, or None while it waits for answers.

        Raises:
            RpcError: it failed.
        """
        while not self.done and not self.questions:
            self._news = anyio.Event()
            await self._news.wait()
        if not self.done:
            await anyio.sleep(_GATHER_S)
        if self._error is not None:
            raise self._error
        if self._result is None and self.scope.cancel_called:
            raise RpcError(CANCELLED, "The request was given up.")
        return self._result

    def deliver(self, responses: JsonObject) -> None:
        """Hand over what the client answered; what it left out is asked again."""
        for key, question in tuple(self.questions.items()):
            response = responses.get(key)
            if isinstance(response, dict):
                question.answer = response
                self.questions.pop(key)
                question.answered.set()

    def input_required(self, state: str) -> JsonObject:
        asked: JsonObject = {
            key: {"method": question.method, "params": question.params}
            for key, question in self.questions.items()
        }
        return {"resultType": "input_required", "inputRequests": asked, "requestState": state}


class ParkingLot:
    """All calls that wait for their client."""

    def __init__(self) -> None:
        self._calls: dict[str, ParkedCall] = {}

    def sweep(self) -> None:
        """Forget calls that ended and that nobody came back for."""
        now = anyio.current_time()
        for state, call in tuple(self._calls.items()):
            if call.parked_at + _PATIENCE_S < now:
                call.scope.cancel()
                del self._calls[state]

    def park(self, call: ParkedCall) -> str:
        """Keep it; the state by which it is fetched. Of too many the oldest is given up."""
        self.sweep()
        call.parked_at = anyio.current_time()
        while len(self._calls) >= _MOST_PARKED:
            self._calls.pop(next(iter(self._calls))).scope.cancel()
        state = STATE_MARK + secrets.token_urlsafe(24)
        self._calls[state] = call
        return state

    def fetch(self, origin: Origin, request: Request) -> ParkedCall | None:
        """The call that the request continues; None if it begins one.

        Raises:
            RpcError: its state is not known, or belongs to another request.
        """
        state = find_text(request.params, "requestState")
        if state is None or not state.startswith(STATE_MARK):
            return None
        call = self._calls.get(state)
        if call is None or call.origin != origin or not _same(call.request, request):
            raise RpcError(INVALID_PARAMS, "params.requestState is not known here, or no longer.")
        del self._calls[state]
        call.deliver(find_object(request.params, "inputResponses") or {})
        return call


def _same(one: Request, other: Request) -> bool:
    return one.method == other.method and all(
        _value(one, key) == _value(other, key) for key in ("name", "uri", "arguments")
    )


def _value(request: Request, key: str) -> JsonValue:
    return request.params.get(key)
