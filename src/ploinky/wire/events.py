"""Events that operations yield and that terminals, logs, RPC and the web render.

An operation is an async generator of ``Event``; it ends with one ``Result`` or raises a ``PloinkyError``.
When one agent of several fails, a ``Failure`` is yielded for it, the others go on, and the operation
raises at its end. To add a kind: a model with a new ``kind`` and a member of the ``Event`` union.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StepStarted(_Event):
    """A numbered step (1 to 12) of an agent's start has begun; ``where`` is ``host`` or ``container``."""

    kind: Literal["step_started"] = "step_started"
    agent: str
    step: int
    name: str
    where: Literal["host", "container"]


class StepDone(_Event):
    """A step has ended well after ``seconds``; ``skipped`` says why there was nothing to do."""

    kind: Literal["step_done"] = "step_done"
    agent: str
    step: int
    name: str
    seconds: float
    skipped: str | None = None


class Output(_Event):
    """Text that a hook, an install or a program printed, already scrubbed of secrets."""

    kind: Literal["output"] = "output"
    agent: str | None = None
    stream: Literal["stdout", "stderr"] = "stdout"
    text: str


class Notice(_Event):
    """Something a person should know: ``info``, or ``warning`` with what to do in ``hint``."""

    kind: Literal["notice"] = "notice"
    level: Literal["info", "warning"] = "info"
    message: str
    hint: str | None = None
    agent: str | None = None


class Progress(_Event):
    """Work over a second; ``fraction`` is 0 to 1, or None while the total is unknown."""

    kind: Literal["progress"] = "progress"
    label: str
    fraction: float | None = None
    message: str = ""


class StateChanged(_Event):
    """An agent has entered a lifecycle state."""

    kind: Literal["state_changed"] = "state_changed"
    agent: str
    state: str
    reason: str = ""


class Failure(_Event):
    """One part of an operation failed while others go on."""

    kind: Literal["failure"] = "failure"
    code: str
    message: str
    hint: str | None = None
    agent: str | None = None


class Result(_Event):
    """The last event of an operation that ended well; ``value`` is what ``--json`` prints."""

    kind: Literal["result"] = "result"
    value: JsonValue = None


Event = Annotated[
    StepStarted | StepDone | Output | Notice | Progress | StateChanged | Failure | Result,
    Field(discriminator="kind"),
]
