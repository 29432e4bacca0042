"""Run one operation: show its events, then its result.

Heavy modules are imported when an operation runs, so that help and completion stay quick.

With ``--json`` a command that streams prints each event as a line of JSON and the result last; any other
prints only its result, as one document.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import click

from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonValue
from ploinky.cli.console import Console
from ploinky.cli.frame import Invocation
from ploinky.workspace.layout import find_workspace

if TYPE_CHECKING:
    from ploinky.app import Choices
    from ploinky.operations.platform import Platform
    from ploinky.wire.events import Event

ShowResult = Callable[[Console, JsonValue], None]
_T = TypeVar("_T")


def choices_of(invocation: Invocation) -> Choices:
    """What the invocation chose."""
    from ploinky.app import Choices

    return Choices(
        start_dir=invocation.start_dir,
        environ=invocation.environ,
        profile=invocation.profile,
        runtime=invocation.runtime,
        trust=invocation.trust,
    )


def platform_of(invocation: Invocation, *, make_workspace: bool = False) -> Platform:
    """The platform of the workspace that the invocation means; made if asked for and missing."""
    from ploinky.app import open_platform

    if make_workspace and find_workspace(invocation.start_dir) is None:
        invocation.console.note(f"Made a workspace in {invocation.start_dir}")
    return open_platform(choices_of(invocation), make_workspace=make_workspace)


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
    platform = platform_of(invocation, make_workspace=make_workspace)
    return follow(invocation, lambda: operation(platform), show=show, stream=stream)


def perform_without_workspace(
    invocation: Invocation,
    operation: Callable[[Platform | None], AsyncIterator[Event]],
    *,
    show: ShowResult | None = None,
) -> JsonValue:
    """Like ``perform``, for what also makes sense outside a workspace."""
    inside = find_workspace(invocation.start_dir) is not None
    platform = platform_of(invocation) if inside else None
    return follow(invocation, lambda: operation(platform), show=show)


def follow(
    invocation: Invocation,
    begin: Callable[[], AsyncIterator[Event]],
    *,
    show: ShowResult | None = None,
    stream: bool = False,
) -> JsonValue:
    """Show the events that ``begin`` yields, then the result; the result's value."""
    from ploinky.cli.render import Renderer
    from ploinky.wire.events import Result

    renderer = Renderer(invocation.console, verbosity=invocation.verbosity)

    async def work() -> JsonValue:
        value: JsonValue = None
        async with contextlib.aclosing(_closable(begin())) as events:
            async for event in events:
                if invocation.as_json and stream:
                    invocation.console.json_line(event.to_json())
                elif not invocation.as_json:
                    renderer.show(event)
                if isinstance(event, Result):
                    value = event.value
        return value

    try:
        value = run_async(work)
    except PloinkyError as error:
        if (error.code, error.message) in renderer.failures:
            raise click.exceptions.Exit(error.exit_code) from error  # it was told when it happened
        raise
    finally:
        renderer.finish()
    if invocation.as_json and not stream:
        invocation.console.json(value)
    elif show is not None and not invocation.as_json:
        show(invocation.console, value)
    return value


def run_async(work: Callable[[], Awaitable[_T]], *, fast: bool = False) -> _T:
    """Run a coroutine function to its end; one failure wrapped in groups is raised as itself.

    ``fast`` takes the quicker event loop, which is worth its import in a process that lives long.
    """
    import anyio

    try:
        return anyio.run(work, backend_options={"use_uvloop": True} if fast else None)
    except BaseExceptionGroup as group:
        inner: BaseException = group
        while isinstance(inner, BaseExceptionGroup) and len(inner.exceptions) == 1:
            inner = inner.exceptions[0]
        if isinstance(inner, PloinkyError | KeyboardInterrupt):
            raise inner from group
        raise


async def _closable(events: AsyncIterator[Event]) -> AsyncGenerator[Event, None]:
    try:
        async for event in events:
            yield event
    finally:
        if isinstance(events, AsyncGenerator):
            await events.aclose()
