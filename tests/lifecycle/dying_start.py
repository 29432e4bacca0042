"""Start an agent and die by SIGKILL at a given point: run by ``test_crashes`` as a process of its own.

Arguments: workspace, runtime folder, agent, point, number. ``step`` dies when step NUMBER begins, ``done``
when it has ended, ``output`` at the first output in it.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import anyio

from ploinky.lifecycle.options import StartOptions
from ploinky.lifecycle.starting import start_agent
from ploinky.wire.events import Event, Output, StepDone, StepStarted
from tests.lifecycle.stage import make_context, plain_environ, sandbox_runtime


def is_the_point(event: Event, point: str, number: int, current: int) -> bool:
    if point == "step":
        return isinstance(event, StepStarted) and event.step == number
    if point == "done":
        return isinstance(event, StepDone) and event.step == number
    return isinstance(event, Output) and current == number


async def main(root: Path, runtime_dir: Path, key: str, point: str, number: int) -> None:
    environ = plain_environ()
    ctx = make_context(root, runtime_dir, sandbox_runtime(root, environ), environ)
    current = 0
    async for event in start_agent(ctx, key, StartOptions(trust=True)):
        if isinstance(event, StepStarted):
            current = event.step
        if is_the_point(event, point, number, current):
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5]))
