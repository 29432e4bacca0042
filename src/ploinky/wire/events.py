"""Events that operations yield and that terminals, logs, RPC and the web render.

An operation is an async generator of ``Event``; it ends with one ``Result`` or raises a ``PloinkyError``.
When one agent of several fails, a ``Failure`` is yielded for it, the others go on, and the operation
raises at its end. To add a kind: a class with a new ``kind`` and a member of the ``Event`` union.

Plain dataclasses: every command needs these, and pydantic alone costs more than most commands do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from types import UnionType
from typing import ClassVar, Literal, TypeAlias, get_args, get_origin, get_type_hints

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"


@dataclass(frozen=True, kw_only=True)
class _Event:
    kind: ClassVar[str]

    def to_object(self) -> dict[str, JsonValue]:
        """The event as a JSON object; ``parse_event`` reads it back."""
        return {"kind": self.kind, **{each.name: getattr(self, each.name) for each in fields(self)}}

    def to_json(self) -> str:
        """``to_object`` on one line."""
        return json.dumps(self.to_object(), ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, kw_only=True)
class StepStarted(_Event):
    """A numbered step (1 to 12) of an agent's start has begun; ``where`` is ``host`` or ``container``."""

    kind = "step_started"
    agent: str
    step: int
    name: str
    where: Literal["host", "container"]


@dataclass(frozen=True, kw_only=True)
class StepDone(_Event):
    """A step has ended well after ``seconds``; ``skipped`` says why there was nothing to do."""

    kind = "step_done"
    agent: str
    step: int
    name: str
    seconds: float
    skipped: str | None = None


@dataclass(frozen=True, kw_only=True)
class Output(_Event):
    """Text that a hook, an install or a program printed, already scrubbed of secrets."""

    kind = "output"
    agent: str | None = None
    stream: Literal["stdout", "stderr"] = "stdout"
    text: str


@dataclass(frozen=True, kw_only=True)
class Notice(_Event):
    """Something a person should know: ``info``, or ``warning`` with what to do in ``hint``."""

    kind = "notice"
    level: Literal["info", "warning"] = "info"
    message: str
    hint: str | None = None
    agent: str | None = None


@dataclass(frozen=True, kw_only=True)
class Progress(_Event):
    """Work over a second; ``fraction`` is 0 to 1, or None while the total is unknown."""

    kind = "progress"
    label: str
    fraction: float | None = None
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class StateChanged(_Event):
    """An agent has entered a lifecycle state."""

    kind = "state_changed"
    agent: str
    state: str
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Failure(_Event):
    """One part of an operation failed while others go on."""

    kind = "failure"
    code: str
    message: str
    hint: str | None = None
    agent: str | None = None


@dataclass(frozen=True, kw_only=True)
class Result(_Event):
    """The last event of an operation that ended well; ``value`` is what ``--json`` prints."""

    kind = "result"
    value: JsonValue = None


Event: TypeAlias = StepStarted | StepDone | Output | Notice | Progress | StateChanged | Failure | Result

_KINDS: dict[str, type[Event]] = {each.kind: each for each in get_args(Event)}


def parse_event(given: Mapping[str, JsonValue]) -> Event:
    """The event that ``to_json`` wrote, from its parsed object.

    Raises:
        ValueError: it is of no known kind, or a field is missing, unknown or of another type.
    """
    kind = given.get("kind")
    found = _KINDS.get(kind) if isinstance(kind, str) else None
    if found is None:
        raise ValueError("no known kind of event")
    values = {name: value for name, value in given.items() if name != "kind"}
    types = get_type_hints(found)
    for each in fields(found):
        if each.name not in values and each.default is MISSING:
            raise ValueError(f"{found.kind}: {each.name} is missing")
    for name, value in values.items():
        if name not in types:
            raise ValueError(f"{found.kind}: {name} is unknown")
        if found is not Result and not _fits(value, types[name]):
            raise ValueError(f"{found.kind}: {name} is of another type")
    return found(**values)  # type: ignore[arg-type]  # checked by name and type just above


def _fits(value: object, kind: object) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if isinstance(kind, UnionType):
        return any(_fits(value, each) for each in get_args(kind))
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(kind, type) and isinstance(value, kind) and not isinstance(value, bool)
