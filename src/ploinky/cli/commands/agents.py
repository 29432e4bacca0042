"""``enable|disable agent``, ``list agents|routes``, ``new agent``."""

from __future__ import annotations

import functools
from pathlib import Path

import click

from ploinky.base.jsontypes import JsonValue
from ploinky.cli.candidates import complete_agent, complete_any_agent
from ploinky.cli.console import Cell, Console, Tone
from ploinky.cli.frame import Invocation, command
from ploinky.cli.run import follow, perform
from ploinky.manifest.refs import parse_agent_ref

TEMPLATES = ("shell", "python", "node")


@command(
    "agent",
    "ploinky enable agent demo",
    "ploinky enable agent basic/shell as sh",
    "ploinky enable agent explorer global",
    "ploinky enable agent mine devel ../mine",
)
@click.argument("reference", nargs=-1, required=True, shell_complete=complete_any_agent)
def enable_agent(invocation: Invocation, reference: tuple[str, ...]) -> None:
    """Enable an agent, so that it can be started.

    REFERENCE is [REPO/]NAME [global | devel REPO] [as ALIAS]: 'global' lets the agent work in the whole
    workspace, 'devel' in its source. What its manifest enables comes with it.
    """
    from ploinky.operations.agents import enable_agent as operation

    ref = parse_agent_ref(" ".join(reference))
    perform(invocation, functools.partial(operation, ref=ref), make_workspace=True)


@command("agent", "ploinky disable agent demo", "ploinky disable agent demo --purge")
@click.argument("name", shell_complete=complete_agent)
@click.option("--purge", is_flag=True, help="Delete the agent's data (agents/NAME) too.")
def disable_agent(invocation: Invocation, name: str, purge: bool) -> None:
    """Stop an agent and forget it.

    Its container and links are removed; its data in agents/NAME stays unless --purge is given.
    """
    from ploinky.operations.agents import disable_agent as operation

    perform(invocation, functools.partial(operation, ref=parse_agent_ref(name), purge=purge))


@command("agents", "ploinky list agents", "ploinky list agents --json")
def list_agents(invocation: Invocation) -> None:
    """List the agents that can be enabled and those that are."""
    from ploinky.operations.agents import list_agents as operation

    perform(invocation, operation, show=_show_agents)


@command("routes", "ploinky list routes")
def list_routes(invocation: Invocation) -> None:
    """List the addresses under which the router serves agents."""
    from ploinky.operations.agents import list_routes as operation

    perform(invocation, operation, show=_show_routes)


@command(
    "agent",
    "ploinky new agent greeter --template shell",
    "ploinky new agent greeter --template python --repo mine",
)
@click.argument("name")
@click.option(
    "--template", type=click.Choice(TEMPLATES), default="shell", show_default=True, help="What it is made of."
)
@click.option("--repo", default="local", show_default=True, help="The repository to make it in.")
@click.option("--to", type=click.Path(path_type=Path), help="Make it in this folder instead.")
def new_agent(invocation: Invocation, name: str, template: str, repo: str, to: Path | None) -> None:
    """Make a working agent with one tool and a test.

    It lies in the repository 'local' of the workspace (.ploinky/repos/local) and can be started at once.
    """
    from ploinky.operations.new_agent import new_agent as operation

    work = functools.partial(operation, name=name, template=template, repo=repo)
    if to is None:
        perform(invocation, functools.partial(work, target=None), make_workspace=True)
    else:
        follow(invocation, lambda: work(None, target=invocation.start_dir / to))


def _show_agents(console: Console, value: JsonValue) -> None:
    assert isinstance(value, list)
    if not value:
        console.line("No agent is known. Install a repository: ploinky add repo basic")
        return
    console.table(("Agent", "Repository", "State", "About"), [_agent_row(row) for row in value])


def _agent_row(row: JsonValue) -> list[str | Cell]:
    assert isinstance(row, dict)
    names = row["enabled"]
    assert isinstance(names, list)
    aliases = [str(name) for name in names if name != row["agent"]]
    state = str(row["state"] or "-").lower() + (f" as {', '.join(aliases)}" if aliases else "")
    about = Cell(str(row["fault"]), Tone.BAD) if row["fault"] else Cell(str(row["about"]))
    name = Cell(str(row["agent"]), Tone.NAME)
    return [name, str(row["repo"]), Cell(state, Tone.GOOD if names else Tone.DIM), about]


def _show_routes(console: Console, value: JsonValue) -> None:
    assert isinstance(value, list)
    rows: list[list[str | Cell]] = []
    for row in value:
        assert isinstance(row, dict)
        who = "all agents" if row["agent"] == "*" else str(row["agent"])
        rows.append([Cell(who, Tone.NAME), str(row["path"]), str(row["url"] or "(the router does not run)")])
    console.table(("Agent", "Path", "Address"), rows)
