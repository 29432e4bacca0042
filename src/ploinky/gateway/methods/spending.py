"""RPC row of what assistants spent: ``usage.byDay``, for charts."""

from __future__ import annotations

from typing import Annotated, Any

import anyio.to_thread
from pydantic import Field

from ploinky.gateway.rpc.method import Answer, Call, Method, Params, Scope, reading


class DaysParams(Params):
    """``days``: how many calendar days of the gateway's machine, today the last."""

    days: Annotated[int, Field(ge=1, le=366)] = 14


class SpentRow(Answer):
    """One assistant on one ``day`` (YYYY-MM-DD); ``calls`` are those of its model."""

    day: str
    profile_id: str
    calls: int
    tokens: int
    cost: float


async def by_day(call: Call, params: DaysParams) -> list[SpentRow]:
    """Tokens and cost of every assistant by day; days without any are left out."""

    def work() -> list[SpentRow]:
        return [
            SpentRow(
                day=each.day, profile_id=assistant.id, calls=each.calls, tokens=each.tokens, cost=each.cost
            )
            for assistant in call.services.household.assistants()
            for each in assistant.spending.by_day(params.days)
        ]

    return await anyio.to_thread.run_sync(work)


SPENDING_METHODS: tuple[Method[Any], ...] = (
    reading("usage.byDay", DaysParams, list[SpentRow], Scope.ASSISTANTS_USE, by_day),
)
