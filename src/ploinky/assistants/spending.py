"""What an assistant spends: tokens, cost and messages that nobody asked for, against its budgets.

Days and hours are the last 24 and the last one, not those of a calendar. Going over is refused and told.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass

from ploinky.assistants.settings import BudgetSettings
from ploinky.base.database import Database
from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonObject

HOUR_S = 3600.0
DAY_S = 86400.0
_TURN, _PROACTIVE = "turn", "proactive"


@dataclass(frozen=True)
class SpentDay:
    """``day`` is YYYY-MM-DD; ``calls`` are those of the model."""

    day: str
    calls: int
    tokens: int
    cost: float


class Spending:
    """The ledger in ``database``; ``clock`` gives the time in seconds since 1970."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    async def add_turn(self, run_id: str, tokens: int, cost: float) -> None:
        """A model was called."""
        await self._add(_TURN, tokens, cost, run_id)

    async def add_proactive(self, run_id: str | None) -> None:
        """A message was sent that nobody asked for."""
        await self._add(_PROACTIVE, 0, 0.0, run_id)

    def require_turn(self, budgets: BudgetSettings) -> None:
        """Raises PloinkyError ``BUDGET_SPENT`` if today's tokens or cost are used up."""
        if budgets.tokens_per_day is None and budgets.cost_per_day is None:
            return
        tokens, cost, _ = self._since(DAY_S)
        if budgets.tokens_per_day is not None and tokens >= budgets.tokens_per_day:
            raise _spent("tokensPerDay", f"{tokens} of {budgets.tokens_per_day} tokens")
        if budgets.cost_per_day is not None and cost >= budgets.cost_per_day:
            raise _spent("costPerDay", f"{cost:.4f} of {budgets.cost_per_day:g}")

    def require_proactive(self, budgets: BudgetSettings) -> None:
        """Raises PloinkyError ``BUDGET_SPENT`` if no more messages may be sent unasked now."""
        for key, limit, span in (
            ("proactivePerHour", budgets.proactive_per_hour, HOUR_S),
            ("proactivePerDay", budgets.proactive_per_day, DAY_S),
        ):
            sent = self._since(span)[2]
            if limit is not None and sent >= limit:
                raise _spent(key, f"{sent} of {limit} messages")

    def wire(self, budgets: BudgetSettings) -> JsonObject:
        """What was spent, beside what may be."""
        tokens, cost, per_day = self._since(DAY_S)
        return {
            "tokensToday": tokens,
            "costToday": cost,
            "proactiveLastHour": self._since(HOUR_S)[2],
            "proactiveToday": per_day,
            "limits": budgets.model_dump(mode="json", by_alias=True),
        }

    def by_day(self, days: int) -> list[SpentDay]:
        """What was spent on each of the last ``days`` calendar days of this machine; empty ones left out."""

        def work(db: sqlite3.Connection) -> list[SpentDay]:
            rows = db.execute(
                "SELECT date(at, 'unixepoch', 'localtime') AS day, sum(kind = ?), sum(tokens), sum(cost)"
                " FROM spending WHERE day > date(?, 'unixepoch', 'localtime', ?) GROUP BY day ORDER BY day",
                (_TURN, self._clock(), f"-{days} days"),
            )
            return [SpentDay(str(row[0]), int(row[1]), int(row[2]), float(row[3])) for row in rows]

        return self._database.read(work)

    def _since(self, span_s: float) -> tuple[int, float, int]:
        def work(db: sqlite3.Connection) -> tuple[int, float, int]:
            row = db.execute(
                "SELECT coalesce(sum(tokens), 0), coalesce(sum(cost), 0.0), coalesce(sum(kind = ?), 0)"
                " FROM spending WHERE at > ?",
                (_PROACTIVE, self._clock() - span_s),
            ).fetchone()
            return int(row[0]), float(row[1]), int(row[2])

        return self._database.read(work)

    async def _add(self, kind: str, tokens: int, cost: float, run_id: str | None) -> None:
        values = (self._clock(), kind, tokens, cost, run_id)

        def work(db: sqlite3.Connection) -> None:
            db.execute("INSERT INTO spending (at, kind, tokens, cost, run_id) VALUES (?, ?, ?, ?, ?)", values)

        await self._database.commit(work)


def _spent(key: str, what: str) -> PloinkyError:
    return PloinkyError(
        "BUDGET_SPENT",
        f"The budget {key} of this assistant is spent: {what}.",
        hint=f"Wait, or raise budgets.{key} in the assistant's config.json.",
        details={"budget": key},
    )
