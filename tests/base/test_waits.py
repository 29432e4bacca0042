"""Waits end when the thing has happened, or at their deadline, naming it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ploinky.base.clock import now_iso
from ploinky.base.errors import DeadlineError
from ploinky.base.waits import wait_until


async def test_a_wait_ends_as_soon_as_it_is_true() -> None:
    asked = 0

    async def third_time() -> bool:
        nonlocal asked
        asked += 1
        return asked == 3

    await wait_until(third_time, what="the third time", timeout_s=5, first_pause_s=0.001)
    assert asked == 3


async def test_a_wait_gives_up_at_its_deadline_and_says_for_what() -> None:
    async def never() -> bool:
        return False

    with pytest.raises(DeadlineError, match=r"0\.05 s waiting for the sun"):
        await wait_until(never, what="the sun", timeout_s=0.05)


def test_a_moment_reads_back_as_just_now() -> None:
    assert now_iso().endswith("Z")
    moment = datetime.fromisoformat(now_iso())
    assert abs((datetime.now(UTC) - moment).total_seconds()) < 5
