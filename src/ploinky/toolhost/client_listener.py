"""What a program says while it runs, told to the client that asked, in MCP's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import anyio

from ploinky.base.jsontypes import JsonObject, find_object, find_text
from ploinky.mcp.messages import META, RequestId, RpcError
from ploinky.mcp.upstream import Ask, Back, ClientFacts
from ploinky.toolhost.parked import ParkedRun
from ploinky.toolhost.said import LOG_LEVELS, METHODS, LogMessage, Progress, Question

META_LEVEL = META + "logLevel"


class ClientListener:
    """One request's ``Listener``. ``level`` is the least that its client wants logged, None for nothing;
    ``on_updated`` is told of resources that changed; ``run`` is there if its client answers in turns."""

    def __init__(
        self, ask: Ask, level: str | None, on_updated: Callable[[str], None], run: ParkedRun | None = None
    ) -> None:
        self._back = ask.back
        self._run = run
        self._notify = ask.back.notify if run is None else run.notify
        self._token = progress_token(ask.params)
        self._least = len(LOG_LEVELS) if level is None else LOG_LEVELS.index(level)
        self._on_updated = on_updated
        self.capabilities = capabilities_of(ask.client)

    def progress(self, progress: Progress) -> None:
        if self._token is None:
            return
        told: JsonObject = {"progressToken": self._token, "progress": progress.progress}
        if progress.total is not None:
            told["total"] = progress.total
        if progress.message is not None:
            told["message"] = progress.message
        self._notify("notifications/progress", told)

    def log(self, message: LogMessage) -> None:
        if LOG_LEVELS.index(message.level) < self._least:
            return
        told: JsonObject = {"level": message.level, "data": message.data}
        if message.logger is not None:
            told["logger"] = message.logger
        self._notify("notifications/message", told)

    def updated(self, uri: str) -> None:
        self._on_updated(uri)

    def printed(self, data: bytes) -> None:
        """What a tool prints beside its answer is nobody's but the error's that it may become."""

    async def ask(self, questions: Mapping[str, Question]) -> Mapping[str, JsonObject]:
        """All questions together; a client that refuses one is an answer with ``error``."""
        return await (ask_all(self._back, questions) if self._run is None else self._run.ask(questions))


async def ask_all(back: Back, questions: Mapping[str, Question]) -> dict[str, JsonObject]:
    """Ask several things at once; what the client would not answer is an ``error``."""
    answers: dict[str, JsonObject] = {}

    async def one(key: str, question: Question) -> None:
        try:
            answers[key] = await back.ask(question.method, question.params)
        except RpcError as error:
            answers[key] = {"error": {"code": error.code, "message": error.message}}

    async with anyio.create_task_group() as tasks:
        for key, question in questions.items():
            tasks.start_soon(one, key, question)
    return answers


def capabilities_of(client: ClientFacts) -> frozenset[str]:
    """What the client can be asked for."""
    return frozenset(METHODS.values()) & client.capabilities.keys()


def progress_token(params: JsonObject) -> RequestId | None:
    """The token under which the client wants to hear of progress."""
    token = (find_object(params, "_meta") or {}).get("progressToken")
    return token if isinstance(token, (str, int)) and not isinstance(token, bool) else None


def level_in(params: JsonObject) -> str | None:
    """The least level that a client of the stateless era wants logged for this request."""
    level = find_text(find_object(params, "_meta"), META_LEVEL)
    return level if level in LOG_LEVELS else None
