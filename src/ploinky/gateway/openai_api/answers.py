"""What an OpenAI client gets: completions, chunks, lists and errors in its own form. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from ploinky.assistants.runs import Run, RunStatus
from ploinky.base.errors import NotFoundError, PloinkyError, UsageError
from ploinky.base.jsontypes import JsonObject, JsonValue

OWNER = "ploinky"
END = b"data: [DONE]\n\n"
_STATUSES = {
    "FORBIDDEN": 403,
    "RATE_LIMITED": 429,
    "QUEUE_FULL": 429,
    "BUDGET_SPENT": 429,
    "ASSISTANT_STARTING": 503,
    "PROVIDER_RATE_LIMITED": 429,
    "PROVIDER_OVERLOADED": 503,
    "PROVIDER_TIMEOUT": 504,
    "PROVIDER_IDLE": 504,
    "TURN_TIMEOUT": 504,
    "CONTEXT_OVERFLOW": 400,
}


@dataclass(frozen=True)
class Completion:
    """Which answer is written: the run's id, the assistant asked, and when (seconds of the epoch)."""

    run_id: str
    assistant: str
    created: int

    def whole(self, run: Run, text: str) -> bytes:
        """The answer at once."""
        choice: JsonObject = {
            "index": 0,
            "message": {"role": "assistant", "content": text, "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
        return orjson.dumps({**self._about("chat.completion"), "choices": [choice], "usage": usage_of(run)})

    def piece(self, delta: JsonObject, finish: str | None = None) -> bytes:
        """A part of the answer."""
        choice: JsonObject = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _event({**self._about("chat.completion.chunk"), "choices": [choice]})

    def usage(self, run: Run) -> bytes:
        """The last part, for clients that ask for it."""
        return _event({**self._about("chat.completion.chunk"), "choices": [], "usage": usage_of(run)})

    def _about(self, kind: str) -> JsonObject:
        return {
            "id": f"chatcmpl-{self.run_id}",
            "object": kind,
            "created": self.created,
            "model": self.assistant,
        }


def usage_of(run: Run) -> JsonObject:
    return {
        "prompt_tokens": run.input_tokens,
        "completion_tokens": run.output_tokens,
        "total_tokens": run.input_tokens + run.output_tokens,
    }


def model_value(assistant: str, created: int) -> JsonObject:
    """An assistant as a model."""
    return {"id": assistant, "object": "model", "created": created, "owned_by": OWNER}


def failure_of(run: Run) -> PloinkyError | None:
    """Why a run that has ended gives no answer; None if it does."""
    if run.status is RunStatus.DONE:
        return None
    if run.error is not None:
        return PloinkyError(run.error.code, run.error.message, hint=run.error.hint)
    return PloinkyError("RUN_CANCELLED", f"The run ended as {run.status.value}.")


def status_of(error: PloinkyError) -> int:
    """The HTTP status of an error."""
    if error.code in _STATUSES:
        return _STATUSES[error.code]
    if isinstance(error, NotFoundError):
        return 404
    return 400 if isinstance(error, UsageError) else 502


def error_body(error: PloinkyError) -> bytes:
    return orjson.dumps({"error": _error_value(error)})


def error_event(error: PloinkyError) -> bytes:
    """An error in the middle of an answer; clients raise it."""
    return _event({"error": _error_value(error)})


def _error_value(error: PloinkyError) -> JsonObject:
    status = status_of(error)
    kind = "invalid_request_error" if 400 <= status < 500 and status != 429 else "server_error"
    return {
        "message": error.message if error.hint is None else f"{error.message} {error.hint}",
        "type": "rate_limit_error" if status == 429 else kind,
        "code": "model_not_found" if error.code == "NO_ASSISTANT" else error.code,
        "param": "model" if error.code == "NO_ASSISTANT" else error.details.get("field"),
    }


def _event(value: JsonValue) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"
