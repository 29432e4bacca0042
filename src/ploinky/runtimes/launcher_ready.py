"""Wait until a launcher answers: it has begun only when it speaks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from ploinky.base.errors import PloinkyError
from ploinky.base.waits import wait_until
from ploinky.channel.client import open_channel

_NOT_YET = ("CHANNEL_UNREACHABLE", "CHANNEL_LOST")


async def wait_for_launcher(
    socket: Path, *, alive: Callable[[], Awaitable[bool]], what: str, timeout_s: float
) -> bool:
    """Return true when the launcher at ``socket`` answers, false when ``alive`` says that it ended.

    Raises:
        DeadlineError: naming ``what`` after ``timeout_s``.
    """
    answered = False

    async def decided() -> bool:
        nonlocal answered
        try:
            async with open_channel(socket, timeout_s=timeout_s):
                answered = True
        except PloinkyError as error:
            if error.code not in _NOT_YET:
                raise
            return not await alive()
        return True

    await wait_until(decided, what=what, timeout_s=timeout_s, first_pause_s=0.001, longest_pause_s=0.05)
    return answered
