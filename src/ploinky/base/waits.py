"""Waiting with a deadline: poll with a growing pause, and say what was waited for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from ploinky.base.errors import DeadlineError


async def wait_until(
    check: Callable[[], Awaitable[bool]],
    *,
    what: str,
    timeout_s: float,
    first_pause_s: float = 0.005,
    longest_pause_s: float = 0.25,
) -> None:
    """Return once ``check`` is true; pauses grow by half from the first to the longest.

    Raises:
        DeadlineError: naming ``what`` after ``timeout_s``.
    """
    pause_s = first_pause_s
    try:
        with anyio.fail_after(timeout_s):
            while not await check():
                await anyio.sleep(pause_s)
                pause_s = min(longest_pause_s, pause_s * 1.5)
    except TimeoutError as error:
        raise DeadlineError(what, timeout_s) from error
