"""When a job is due: once at a time, again and again after a span, or by a cron expression in a time zone.

Pure. Cron follows the wall clock of its zone over changes of summer time: an hour that does not exist is not
missed, one that comes twice counts once. To add a form: a field, and a branch in ``next_after``.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, ValidationError, model_validator

from ploinky.assistants.durations import Duration
from ploinky.assistants.settings import Section, ZoneName
from ploinky.base.errors import UsageError

SHORTEST_S = 10.0


def _moment(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("write a time such as 2026-05-01T09:00:00+02:00") from None
    if moment.tzinfo is None:
        raise ValueError("a time needs its zone, such as +02:00 or Z")
    return text


def _expression(text: str) -> str:
    try:
        CronSim(text, datetime.now(UTC))
    except CronSimError as error:
        raise ValueError(f"no cron expression: {error}") from None
    if len(text.split()) != 5:
        raise ValueError("a cron expression has five fields")
    return text


class Schedule(Section):
    """Exactly one of ``at``, ``every`` and ``cron``; ``time_zone`` is for ``cron`` only."""

    at: Annotated[str, AfterValidator(_moment)] | None = None
    every: Duration | None = None
    cron: Annotated[str, AfterValidator(_expression)] | None = None
    time_zone: ZoneName = "UTC"

    @model_validator(mode="after")
    def _one(self) -> Schedule:
        if sum(each is not None for each in (self.at, self.every, self.cron)) != 1:
            raise ValueError("give exactly one of at, every and cron")
        if self.every is not None and self.every < SHORTEST_S:
            raise ValueError(f"every must be at least {SHORTEST_S:g} s")
        return self

    def next_after(self, moment: datetime, *, anchor: datetime) -> datetime | None:
        """The first time after ``moment``, None if there is none; spans count from ``anchor``. In UTC."""
        if self.at is not None:
            due = datetime.fromisoformat(self.at).astimezone(UTC)
            return due if due > moment else None
        if self.every is not None:
            passed = max(0.0, (moment - anchor).total_seconds())
            return anchor + timedelta(seconds=self.every * (int(passed // self.every) + 1))
        assert self.cron is not None
        local = moment.astimezone(ZoneInfo(self.time_zone))
        try:
            return next(CronSim(self.cron, local)).astimezone(UTC)
        except StopIteration:
            return None

    @property
    def text(self) -> str:
        """As it is stored."""
        return self.model_dump_json(by_alias=True, exclude_none=True)


def parse_schedule(value: object) -> Schedule:
    """Raises UsageError ``BAD_SCHEDULE``, naming the field."""
    try:
        return Schedule.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(["schedule", *(str(part) for part in first["loc"])])
        raise UsageError(
            "BAD_SCHEDULE",
            f"{field}: {first['msg']}.",
            hint='Such as {"cron": "0 9 * * mon-fri", "timeZone": "Europe/Paris"} or {"every": "2h"}.',
            details={"field": field},
        ) from None


def stored_schedule(text: str) -> Schedule:
    """The schedule that was stored as ``text``."""
    return Schedule.model_validate(json.loads(text))
