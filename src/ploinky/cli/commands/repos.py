"""``add repo``, ``enable|disable repo``, ``list repos``, ``update``."""

from __future__ import annotations

import functools

import click

from ploinky.base.jsontypes import JsonValue
from ploinky.cli.candidates import complete_repo
from ploinky.cli.console import Cell, Console, Tone
from ploinky.cli.frame import Invocation, command
from ploinky.cli.run import perform


@command(
    "repo",
    "ploinky add repo basic",
    "ploinky add repo mine https://example.com/mine.git --branch main",
    "ploinky add repo mine ../my-agents",
)
@click.argument("name")
@click.argument("url", required=False)
@click.option("--branch", metavar="B", help="Clone this branch.")
def add_repo(invocation: Invocation, name: str, url: str | None, branch: str | None) -> None:
    """Install a repository of agents from a URL or a folder.

    Without URL, NAME is one of the known repositories ('ploinky list repos' shows them).
    """
    from ploinky.operations.repositories import add_repo as operation

    work = functools.partial(operation, name=name, url=url, branch=branch, relative_to=invocation.start_dir)
    perform(invocation, work, stream=True, make_workspace=True)


@command("repo", "ploinky enable repo basic")
@click.argument("name", shell_complete=complete_repo)
def enable_repo(invocation: Invocation, name: str) -> None:
    """Let agents be found in a repository."""
    from ploinky.operations.repositories import enable_repo as operation

    perform(invocation, functools.partial(operation, name=name))


@command("repo", "ploinky disable repo basic")
@click.argument("name", shell_complete=complete_repo)
def disable_repo(invocation: Invocation, name: str) -> None:
    """Leave a repository out when agents are looked for."""
    from ploinky.operations.repositories import disable_repo as operation

    perform(invocation, functools.partial(operation, name=name))


@command("update", "ploinky update", "ploinky update basic demo", "ploinky update repo basic")
@click.argument("names", nargs=-1, shell_complete=complete_repo)
def update(invocation: Invocation, names: tuple[str, ...]) -> None:
    """Fetch the newest commits of repositories.

    All installed ones, or those named. Local changes are never overwritten.
    """
    from ploinky.operations.repositories import update_repos as operation

    wanted = names[1:] if names[:1] in (("repo",), ("repos",)) else names
    perform(invocation, functools.partial(operation, names=wanted), stream=True)


@command("repos", "ploinky list repos", "ploinky list repos --json")
def list_repos(invocation: Invocation) -> None:
    """List the repositories that are installed or known."""
    from ploinky.operations.repositories import list_repos as operation

    perform(invocation, operation, show=_show_repos)


def _show_repos(console: Console, value: JsonValue) -> None:
    assert isinstance(value, list)
    rows: list[list[str | Cell]] = []
    for row in value:
        assert isinstance(row, dict)
        state = "enabled" if row["enabled"] else "installed" if row["installed"] else "not installed"
        tone = Tone.GOOD if row["enabled"] else Tone.DIM
        commit = str(row["commit"] or "").removeprefix("sha256:")[:10]
        agents = str(row["agents"]) if row["installed"] else "-"
        rows.append(
            [
                Cell(str(row["name"]), Tone.NAME),
                Cell(state, tone),
                agents,
                commit or "-",
                str(row["url"] or row["about"]),
            ]
        )
    console.table(("Repository", "State", "Agents", "Commit", "From"), rows)
