"""``skill analyze|install|update|uninstall|list|validate|run`` and ``skill credentials``."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ploinky.base.errors import UsageError
from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.cli.console import Console
from ploinky.cli.frame import Invocation, command
from ploinky.cli.hidden import read_hidden
from ploinky.cli.run import perform, perform_without_workspace

if TYPE_CHECKING:
    from ploinky.skills.shelf import Proposal

_ASSISTANT = click.option(
    "--assistant", metavar="ID", help="Whose skills; the default assistant's if not given."
)


@command("analyze", "ploinky skill analyze ./tide", "ploinky skill analyze https://example.com/tide/SKILL.md")
@click.argument("source")
@_ASSISTANT
def analyze(invocation: Invocation, source: str, assistant: str | None) -> None:
    """Judge a skill and show what would run."""
    from ploinky.operations.skills import analyze_skill

    operation = functools.partial(
        analyze_skill, source=source, assistant=assistant, relative_to=invocation.start_dir
    )
    perform(invocation, operation, show=_show_proposal)


@command("install", "ploinky skill install ./tide", "ploinky skill install ./tide.zip --approve DIGEST")
@click.argument("source")
@_ASSISTANT
@click.option("--approve", metavar="DIGEST", help="Approve what 'skill analyze' showed with this digest.")
def install(invocation: Invocation, source: str, assistant: str | None, approve: str | None) -> None:
    """Judge a skill, ask if needed, and install it."""
    from ploinky.operations.skills import install_skill

    operation = functools.partial(
        install_skill,
        source=source,
        assistant=assistant,
        relative_to=invocation.start_dir,
        approve=_approval(invocation, approve),
    )
    perform(invocation, operation, show=_show_nothing)


@command("update", "ploinky skill update tide")
@click.argument("name")
@_ASSISTANT
@click.option("--approve", metavar="DIGEST", help="Approve exactly the state with this digest.")
def update(invocation: Invocation, name: str, assistant: str | None, approve: str | None) -> None:
    """Fetch a skill again and show what changed."""
    from ploinky.operations.skills import update_skill

    operation = functools.partial(
        update_skill,
        name=name,
        assistant=assistant,
        relative_to=invocation.start_dir,
        approve=_approval(invocation, approve),
    )
    perform(invocation, operation, show=_show_nothing)


@command("uninstall", "ploinky skill uninstall tide")
@click.argument("name")
@_ASSISTANT
def uninstall(invocation: Invocation, name: str, assistant: str | None) -> None:
    """Remove a skill and all that its install made."""
    from ploinky.operations.skills import uninstall_skill

    perform(
        invocation, functools.partial(uninstall_skill, name=name, assistant=assistant), show=_show_nothing
    )


@command("list", "ploinky skill list", "ploinky skill list --assistant helper --json")
@_ASSISTANT
def list_(invocation: Invocation, assistant: str | None) -> None:
    """List the installed skills of an assistant."""
    from ploinky.operations.skills import list_skills

    perform(invocation, functools.partial(list_skills, assistant=assistant), show=_show_list)


@command("validate", "ploinky skill validate ./tide")
@click.argument("path", type=click.Path(path_type=Path))
def validate(invocation: Invocation, path: Path) -> None:
    """Check a skill strictly against the open format."""
    from ploinky.operations.skills import validate_skill

    there = invocation.start_dir / path
    perform_without_workspace(invocation, functools.partial(validate_skill, path=there), show=_show_nothing)


@command("run", "ploinky skill run tide -- python3 scripts/tide.py harbour")
@click.argument("name")
@click.argument("argv", nargs=-1, required=True, metavar="PROGRAM [ARGUMENTS]")
@_ASSISTANT
def run(invocation: Invocation, name: str, argv: tuple[str, ...], assistant: str | None) -> None:
    """Run a program of a skill in its sandbox."""
    from ploinky.operations.skills import run_skill

    operation = functools.partial(run_skill, skill=name, argv=argv, assistant=assistant)
    perform(invocation, operation, show=lambda console, value: console.line(str(value).rstrip("\n")))


@command("list", "ploinky skill credentials list tide")
@click.argument("skill")
@_ASSISTANT
def credentials_list(invocation: Invocation, skill: str, assistant: str | None) -> None:
    """Show which keys a skill wants and has."""
    _credentials(invocation, skill, assistant)


@command(
    "set", "ploinky skill credentials set tide TIDE_KEY < key.txt", "ploinky skill credentials set tide KEY"
)
@click.argument("skill")
@click.argument("name")
@_ASSISTANT
def credentials_set(invocation: Invocation, skill: str, name: str, assistant: str | None) -> None:
    """Keep a key for a skill, read from stdin."""
    value = read_hidden(f"Value of {name}")
    if not value:
        raise UsageError("USAGE", "The value is empty.")
    _credentials(invocation, skill, assistant, name=name, value=value)


@command("delete", "ploinky skill credentials delete tide TIDE_KEY")
@click.argument("skill")
@click.argument("name")
@_ASSISTANT
def credentials_delete(invocation: Invocation, skill: str, name: str, assistant: str | None) -> None:
    """Forget a key of a skill."""
    _credentials(invocation, skill, assistant, name=name, delete=True)


def _credentials(
    invocation: Invocation,
    skill: str,
    assistant: str | None,
    *,
    name: str | None = None,
    value: str | None = None,
    delete: bool = False,
) -> None:
    from ploinky.operations.skills import credentials

    operation = functools.partial(
        credentials, skill=skill, assistant=assistant, name=name, value=value, delete=delete
    )
    perform(invocation, operation, show=_show_credentials)


def _approval(invocation: Invocation, digest: str | None) -> Callable[[Proposal], bool]:
    """Whether a person approves: by the digest that was shown before, or by looking at it now."""

    def approve(proposal: Proposal) -> bool:
        from ploinky.operations.skills import shown_proposal

        if digest is not None:
            return digest == proposal.digest
        if not sys.stdin.isatty():
            return False
        _show_proposal(invocation.console, shown_proposal(proposal))
        return click.confirm("Run these steps and install it?", err=True)

    return approve


def _show_nothing(console: Console, value: JsonValue) -> None:
    """The notices said it."""


def _show_proposal(console: Console, value: JsonValue) -> None:
    assert isinstance(value, dict)
    console.line(f"{value['id']}: {value['description']}")
    console.line(f"from {value['source']}")
    console.line(f"verdict: {value['verdict']}")
    for each in _objects(value, "findings"):
        console.line(
            f"  {each['verdict']:<14} {each['rule']:<18} {each['file']}:{each['line']}  {each['reason']}"
        )
        console.line(f"  {'':<14} {each['text']}")
    for number, each in enumerate(_objects(value, "steps"), start=1):
        hosts = each["hosts"]
        assert isinstance(hosts, list)
        where = f" (may reach {', '.join(str(host) for host in hosts)})" if hosts else ""
        console.line(f"step {number}{' (by hand)' if each['byHand'] else ''}: {each['label']}{where}")
    if value["difference"]:
        console.line(str(value["difference"]))
    console.line(f"digest: {value['digest']}")


def _objects(value: JsonObject, key: str) -> list[JsonObject]:
    found = value[key]
    assert isinstance(found, list)
    return [each for each in found if isinstance(each, dict)]


def _show_list(console: Console, value: JsonValue) -> None:
    assert isinstance(value, list)
    if not value:
        console.line("No skill is installed. Look at one: ploinky skill analyze FOLDER")
        return
    rows = [each for each in value if isinstance(each, dict)]
    table = [
        [str(r["id"]), "changed on disk" if r["changed"] else "ready", str(r["description"])[:60]]
        for r in rows
    ]
    console.table(("Skill", "State", "Description"), table)


def _show_credentials(console: Console, value: JsonValue) -> None:
    assert isinstance(value, list)
    if not value:
        console.line("This skill wants no keys.")
        return
    rows = [each for each in value if isinstance(each, dict)]
    console.table(("Key", "State"), [[str(r["name"]), "present" if r["present"] else "absent"] for r in rows])
