"""Run one operation: show its events, then its result.

Heavy modules are imported when an operation runs, so that help and completion stay quick.

With ``--json`` a command that streams prints each event as a line of JSON and the result last; any other
prints only its result, as one document.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonValue
from ploinky.cli.console import Console
from ploinky.cli.frame import Invocation

if TYPE_CHECKING:
    from ploinky.operations.platform import Platform
    from ploinky.wire.events import Event

ShowResult = Callable[[Console, JsonValue], None]
_T = TypeVar("_T")


def platform_of(invocation: Invocation, *, make_workspace: bool = False) -> Platform:
    """The platform of the workspace that the invocation means; made if asked for and missing."""
    from ploinky.app import Choices, open_platform

    choices = Choices(
        start_dir=invocation.start_dir,
        environ=invocation.environ,
        profile=invocation.profile,
        runtime=invocation.runtime,
        trust=invocation.trust,
    )
    return open_platform(choices, make_workspace=make_workspace)


def perform(
    invocation: Invocation,
    operation: Callable[[Platform], AsyncIterator[Event]],
    *,
    show: ShowResult | None = None,
    stream: bool = False,
    make_workspace: bool = False,
) -> JsonValue:
    """Run ``operation`` to its end and show what came of it; its result's value.

    ``show`` renders the value for people; ``stream`` makes ``--json`` print every event.
    """
    from ploinky.cli.render import Renderer
    from ploinky.wire.events import Result

    platform = platform_of(invocation, make_workspace=make_workspace)
    renderer = Renderer(invocation.console, verbosity=invocation.verbosity)

    async def work() -> JsonValue:
        value: JsonValue = None
        async with contextlib.aclosing(_closable(operation(platform))) as events:
            async for event in events:
                if invocation.as_json and stream:
                    invocation.console.json_line(event.model_dump_json())
                elif not invocation.as_json:
                    renderer.show(event)
                if isinstance(event, Result):
                    value = event.value
        return value

    try:
        value = run_async(work)
    finally:
        renderer.finish()
    if invocation.as_json and not stream:
        invocation.console.json(value)
    elif show is not None and not invocation.as_json:
        show(invocation.console, value)
    return value


def run_async(work: Callable[[], Awaitable[_T]]) -> _T:
    """Run a coroutine function to its end; one failure wrapped in groups is raised as itself."""
    import anyio

    try:
        return anyio.run(work)
    except BaseExceptionGroup as group:
        inner: BaseException = group
        while isinstance(inner, BaseExceptionGroup) and len(inner.exceptions) == 1:
            inner = inner.exceptions[0]
        if isinstance(inner, PloinkyError | KeyboardInterrupt):
            raise inner from group
        raise


async def _closable(events: AsyncIterator[Event]) -> AsyncIterator[Event]:
    async for event in events:
        yield event
