"""``init``, ``doctor`` and ``destroy``."""

from __future__ import annotations

import functools

import click

from ploinky.base.errors import EXIT_FAILED, NeedsApprovalError
from ploinky.base.jsontypes import JsonValue
from ploinky.cli.console import Cell, Console, Tone
from ploinky.cli.frame import Invocation, command
from ploinky.cli.run import follow, perform, perform_without_workspace

_TONES = {"ok": Tone.GOOD, "warning": Tone.WARN, "problem": Tone.BAD}
_MARKS = {"ok": "✓", "warning": "!", "problem": "✗"}


@command("init", "ploinky init", "ploinky --workspace ~/agents init")
@click.option("--gitignore", is_flag=True, help="Add the workspace's folders to .gitignore.")
def init(invocation: Invocation, gitignore: bool) -> None:
    """Make a workspace here.

    Again in the same folder it makes what is missing and changes nothing else.
    """
    from ploinky.operations.init import init as operation

    follow(invocation, lambda: operation(invocation.start_dir, gitignore=gitignore))


@command("doctor", "ploinky doctor", "ploinky doctor --fix")
@click.option("--fix", is_flag=True, help="Repair what can be repaired.")
def doctor(invocation: Invocation, fix: bool) -> None:
    """Check this machine and workspace; repair.

    Engines and why one is chosen, versions, permissions, ports, the workspace's layout. Exit code 1 if a
    problem is left.
    """
    from ploinky.operations.doctor import doctor as operation

    value = perform_without_workspace(
        invocation, functools.partial(operation, fix=fix, environ=invocation.environ), show=_show_findings
    )
    assert isinstance(value, dict)
    if value["problems"]:
        click.get_current_context().exit(EXIT_FAILED)


@command("destroy", "ploinky destroy --yes", "ploinky destroy --yes --purge")
@click.option("--yes", is_flag=True, help="Do it; nothing is asked.")
@click.option("--purge", is_flag=True, help="Also delete agents/, shared/ and unsaved work in repositories.")
def destroy(invocation: Invocation, yes: bool, purge: bool) -> None:
    """Remove everything that Ploinky made here.

    The gateway, containers, networks, sockets, links, and .ploinky with its repositories, secrets and
    settings. Kept unless --purge is given: agents/ and shared/, where agents keep their data, and
    repositories that hold work which is nowhere else.
    """
    from ploinky.operations.destroy import destroy as operation

    if not yes:
        raise NeedsApprovalError(
            "NOT_CONFIRMED",
            f"This would remove the workspace around {invocation.start_dir}.",
            hint="If that is what you want: ploinky destroy --yes",
        )
    perform(invocation, functools.partial(operation, purge=purge), stream=True)


def _show_findings(console: Console, value: JsonValue) -> None:
    assert isinstance(value, dict)
    findings = value["findings"]
    assert isinstance(findings, list)
    rows: list[list[str | Cell]] = []
    for each in findings:
        assert isinstance(each, dict)
        status = str(each["status"])
        fix = f" (--fix: {each['fix']})" if each["fix"] else ""
        rows.append([Cell(_MARKS[status], _TONES[status]), str(each["check"]), f"{each['message']}{fix}"])
        if each["hint"]:
            rows.append(["", "", Cell(str(each["hint"]), Tone.DIM)])
    console.table(("", "Check", "Finding"), rows)
