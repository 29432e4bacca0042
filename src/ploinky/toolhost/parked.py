"""Runs of programs that ask a client of the stateless era: it answers by asking again.

The program is left waiting and its client gets ``input_required`` with a state that only this caller can
redeem, for this request alone; each answer has a new one. Answers that come with the first request are used
before anybody is asked. What nobody comes back for is ended after a while.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping

import anyio
import anyio.abc

from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonObject, JsonValue, find_object
from ploinky.mcp.messages import CANCELLED, INTERNAL_ERROR, INVALID_PARAMS, RpcError
from ploinky.mcp.upstream import Ask, Back
from ploinky.toolhost.said import Question

logger = logging.getLogger(__name__)
PATIENCE_S = 600.0
MOST_PARKED = 256
STATE_MARK = "program."
Produce = Callable[["ParkedRun"], Awaitable[JsonObject]]


class ParkedRun:
    """One request's run, over as many turns of the client as it takes. It is the ``Back`` of its program's
    listener: notifications go to whichever turn is open now."""

    def __init__(self, ask: Ask) -> None:
        self.first = ask
        self.back: Back | None = ask.back
        self.scope = anyio.CancelScope()
        self._given: dict[str, JsonObject] = {}
        self._open: dict[str, Question] = {}
        self._result: JsonObject | None = None
        self._error: RpcError | PloinkyError | None = None
        self._news = anyio.Event()
        self._answered = anyio.Event()

    def notify(self, method: str, params: JsonObject) -> None:
        if self.back is not None:
            self.back.notify(method, params)

    async def ask(self, questions: Mapping[str, Question]) -> dict[str, JsonObject]:
        """The client's answers, which come with its next turns."""
        self._open = {key: each for key, each in questions.items() if key not in self._given}
        if self._open:
            self._news.set()
        while self._open:
            self._answered = anyio.Event()
            await self._answered.wait()
        return {key: self._given.pop(key) for key in questions}

    def deliver(self, responses: Mapping[str, JsonObject]) -> None:
        """Take answers; those that nobody asked for yet are kept for when somebody does."""
        self._given.update(responses)
        self._open = {key: each for key, each in self._open.items() if key not in self._given}
        if not self._open:
            self._answered.set()

    async def run(self, produce: Produce) -> None:
        """Do the work to its end; never raises."""
        with self.scope:
            try:
                self._result = await produce(self)
            except (RpcError, PloinkyError) as error:
                self._error = error
            except Exception:
                logger.exception("a program's run failed inside the gateway")
                self._error = RpcError(INTERNAL_ERROR, "The gateway failed; its log says more.")
        if self._result is None and self._error is None:
            self._error = RpcError(CANCELLED, "The request was given up.")
        self._news.set()

    async def turn(self) -> JsonObject | None:
        """Wait until it is done or asks; its result, or None while it waits for answers.

        Raises:
            RpcError, PloinkyError: it failed.
        """
        while self._result is None and self._error is None and not self._open:
            self._news = anyio.Event()
            await self._news.wait()
        if self._error is not None:
            raise self._error
        return self._result

    def questions(self) -> JsonObject:
        """What is asked and not answered, as ``inputRequests`` has it."""
        return {key: {"method": each.method, "params": each.params} for key, each in self._open.items()}


class ParkedRuns:
    """All runs that wait for their clients; ``group`` carries them."""

    def __init__(self, group: anyio.abc.TaskGroup) -> None:
        self._group = group
        self._waiting: dict[str, tuple[ParkedRun, float]] = {}

    async def serve(self, ask: Ask, produce: Produce) -> JsonObject:
        """One turn of the client: its first, or one that continues. A client that goes away in the middle
        of a turn ends the run.

        Raises:
            RpcError: state or answers are not what they must be. Else as ``produce``.
        """
        responses = _responses(ask.params)
        state = ask.params.get("requestState")
        run = ParkedRun(ask) if state is None else self._fetch(ask, state)
        run.back = ask.back
        run.deliver(responses)
        if state is None:
            self._group.start_soon(run.run, produce)
        parked = False
        try:
            result = await run.turn()
            parked = result is None
        finally:
            run.back = None
            if not parked:
                run.scope.cancel()
        return self._park(run) if result is None else result

    def sweep(self) -> None:
        """End runs that nobody came back for."""
        oldest = anyio.current_time() - PATIENCE_S
        for state, (run, since) in tuple(self._waiting.items()):
            if since < oldest or len(self._waiting) > MOST_PARKED:
                del self._waiting[state]
                run.scope.cancel()

    def _park(self, run: ParkedRun) -> JsonObject:
        state = STATE_MARK + secrets.token_urlsafe(24)
        self._waiting[state] = (run, anyio.current_time())
        self.sweep()
        return {"resultType": "input_required", "inputRequests": run.questions(), "requestState": state}

    def _fetch(self, ask: Ask, state: JsonValue) -> ParkedRun:
        found = self._waiting.get(state) if isinstance(state, str) else None
        if found is None or not _same(found[0].first, ask):
            raise RpcError(INVALID_PARAMS, "params.requestState is not known here, or no longer.")
        assert isinstance(state, str)
        del self._waiting[state]
        return found[0]


def _same(one: Ask, other: Ask) -> bool:
    return (one.method, one.client.caller) == (other.method, other.client.caller) and all(
        one.params.get(key) == other.params.get(key) for key in ("name", "uri", "arguments")
    )


def _responses(params: JsonObject) -> dict[str, JsonObject]:
    if "inputResponses" not in params:
        return {}
    given = find_object(params, "inputResponses")
    if given is None:
        raise RpcError(INVALID_PARAMS, "params.inputResponses must be an object.")
    responses: dict[str, JsonObject] = {}
    for key, response in given.items():
        if not isinstance(response, dict):
            raise RpcError(INVALID_PARAMS, f"params.inputResponses.{key} must be an object.")
        responses[key] = response
    return responses
