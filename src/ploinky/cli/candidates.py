"""What a half-typed word could become: agents, repositories, profiles, tools.

Read from the disk leniently and without heavy imports, because completion runs at every press of Tab; a
file that cannot be read completes nothing. The command line and the interactive shell share it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import click

from ploinky.base.errors import PloinkyError
from ploinky.operations.endpoint import ask
from ploinky.workspace.layout import Layout, find_workspace
from ploinky.workspace.summary import read_summaries

_MANIFEST = "manifest.json"


def workspace_of(context: click.Context) -> Layout | None:
    """The workspace that the words so far mean."""
    given = context.meta.get("ploinky.global", {})
    return find_workspace(given.get("workspace") or Path.cwd())


def enabled_agents(layout: Layout) -> list[str]:
    try:
        return [summary.key for summary in read_summaries(layout)]
    except PloinkyError:
        return []


def installed_repos(layout: Layout) -> list[str]:
    try:
        return sorted(folder.name for folder in layout.repos.iterdir() if folder.is_dir())
    except OSError:
        return []


def available_agents(layout: Layout) -> list[str]:
    """Names of every agent of the installed repositories."""
    return sorted({manifest.parent.name for manifest in _manifests(layout)})


def profiles(layout: Layout) -> list[str]:
    """Profiles that some installed agent defines."""
    names: set[str] = set()
    for manifest in _manifests(layout):
        found = _json(manifest).get("profiles")
        names |= set(found) - {"default"} if isinstance(found, dict) else set()
    return sorted(names)


def tool_names(layout: Layout) -> list[str]:
    """``AGENT.TOOL`` for every tool that the running gateway offers."""
    answer = ask(layout, "/control/tools")
    tools = answer.get("tools") if isinstance(answer, dict) else None
    rows = tools if isinstance(tools, list) else []
    return [f"{row['agent']}.{row['tool']}" for row in rows if isinstance(row, dict)]


def _manifests(layout: Layout) -> Iterator[Path]:
    for repo in installed_repos(layout):
        yield from layout.repos.joinpath(repo).glob(f"*/{_MANIFEST}")


def _json(path: Path) -> Mapping[str, object]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _starting(words: Iterable[str], begin: str) -> list[str]:
    return [word for word in words if word.startswith(begin)]


def complete_agent(context: click.Context, parameter: click.Parameter, begin: str) -> list[str]:
    """Enabled agents."""
    layout = workspace_of(context)
    return [] if layout is None else _starting(enabled_agents(layout), begin)


def complete_any_agent(context: click.Context, parameter: click.Parameter, begin: str) -> list[str]:
    """Enabled agents and those that could be enabled."""
    layout = workspace_of(context)
    if layout is None:
        return []
    return _starting(dict.fromkeys([*enabled_agents(layout), *available_agents(layout)]), begin)


def complete_repo(context: click.Context, parameter: click.Parameter, begin: str) -> list[str]:
    layout = workspace_of(context)
    return [] if layout is None else _starting(installed_repos(layout), begin)


def complete_profile(context: click.Context, parameter: click.Parameter, begin: str) -> list[str]:
    layout = workspace_of(context)
    return [] if layout is None else _starting(profiles(layout), begin)


def complete_tool(context: click.Context, parameter: click.Parameter, begin: str) -> list[str]:
    layout = workspace_of(context)
    return [] if layout is None else _starting(tool_names(layout), begin)
