"""``add repo``, ``enable|disable repo``, ``update``, ``list repos``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

from ploinky.base.errors import PloinkyError
from ploinky.operations.platform import Platform
from ploinky.wire.events import Event, Failure, Notice, Progress, Result


async def add_repo(
    platform: Platform, name: str, url: str | None, branch: str | None, *, relative_to: Path
) -> AsyncIterator[Event]:
    """Clone or copy a repository; a relative ``url`` counts from ``relative_to``."""
    last = ""
    lines = platform.repos.add(name, url, branch, relative_to=relative_to)
    async with aclosing(lines):
        async for line in lines:
            if last:
                yield Progress(label=name, message=last)
            last = line
    yield Notice(message=last)
    agents = [location.agent for location in platform.repos.agents() if location.repo == name]
    yield Result(value={"repo": name, "agents": [*agents]})


async def enable_repo(platform: Platform, name: str) -> AsyncIterator[Event]:
    """Let agents be found in an installed repository."""
    platform.repos.enable(name)
    yield Notice(message=f"Repository '{name}' counts when agents are looked for.")
    yield Result(value={"repo": name, "enabled": True})


async def disable_repo(platform: Platform, name: str) -> AsyncIterator[Event]:
    """Leave a repository out; its files and the agents enabled from it stay."""
    platform.repos.disable(name)
    yield Notice(message=f"Repository '{name}' does not count any more; agents enabled from it stay.")
    yield Result(value={"repo": name, "enabled": False})


async def update_repos(platform: Platform, names: tuple[str, ...]) -> AsyncIterator[Event]:
    """Bring repositories forward, all if none is named; one that fails holds up no other.

    Raises:
        PloinkyError: the repository's own error if only one was asked for, else ``UPDATE_FAILED``.
    """
    wanted = names or platform.repos.installed()
    failed: list[str] = []
    for name in wanted:
        try:
            lines = platform.repos.update(name)
            last = ""
            async with aclosing(lines):
                async for line in lines:
                    if last:
                        yield Progress(label=name, message=last)
                    last = line
            yield Notice(message=last or f"Repository '{name}' is up to date.")
        except PloinkyError as error:
            if len(wanted) == 1:
                raise
            failed.append(name)
            yield Failure(code=error.code, message=error.message, hint=error.hint)
    if failed:
        raise PloinkyError(
            "UPDATE_FAILED", f"Not updated: {', '.join(failed)}.", details={"repos": ", ".join(failed)}
        )
    yield Result(value={"updated": [*wanted]})


async def list_repos(platform: Platform) -> AsyncIterator[Event]:
    """Installed repositories, then the known ones that are not installed."""
    rows = await platform.repos.list()
    yield Result(
        value=[
            {
                "name": row.name,
                "installed": row.installed,
                "enabled": row.enabled,
                "url": row.url,
                "branch": row.branch,
                "commit": row.commit,
                "agents": row.agents,
                "about": row.about,
            }
            for row in rows
        ]
    )
