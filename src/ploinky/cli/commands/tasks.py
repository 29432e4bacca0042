"""``tasks``: calls of async tools that go on by themselves."""

from __future__ import annotations

import functools

import click

from ploinky.base.jsontypes import JsonValue
from ploinky.cli.console import Cell, Console, Tone
from ploinky.cli.frame import Invocation, command
from ploinky.cli.run import follow
from ploinky.workspace.layout import require_workspace


@command("list", "ploinky tasks list", "ploinky tasks list --json")
def list_(invocation: Invocation) -> None:
    """List the tasks: those that have not ended first."""
    from ploinky.operations.tasks import list_tasks

    layout = require_workspace(invocation.start_dir)
    follow(invocation, lambda: list_tasks(layout), show=_show_tasks)


@command("get", "ploinky tasks get 4f0c...")
@click.argument("task_id", metavar="ID")
def get(invocation: Invocation, task_id: str) -> None:
    """Show a task as it is now, with the tail of its log."""
    from ploinky.operations.tasks import show_task

    layout = require_workspace(invocation.start_dir)
    follow(invocation, functools.partial(show_task, layout, task_id), show=_show_task)


@command("result", "ploinky tasks result 4f0c...", "ploinky tasks result 4f0c... --timeout 5")
@click.argument("task_id", metavar="ID")
@click.option("--timeout", type=float, default=600.0, show_default=True, metavar="S", help="Wait no longer.")
def result(invocation: Invocation, task_id: str, timeout: float) -> None:
    """Wait for a task's end and print what it answered.

    The task goes on whatever becomes of this command. The exit code is 1 if the task failed.
    """
    from ploinky.operations.tasks import task_result

    layout = require_workspace(invocation.start_dir)
    work = functools.partial(task_result, layout, task_id, timeout_s=timeout)
    follow(invocation, work, show=_show_result)


@command("cancel", "ploinky tasks cancel 4f0c...")
@click.argument("task_id", metavar="ID")
def cancel(invocation: Invocation, task_id: str) -> None:
    """End a task and its program."""
    from ploinky.operations.tasks import cancel_task

    layout = require_workspace(invocation.start_dir)
    follow(invocation, functools.partial(cancel_task, layout, task_id))


def _show_tasks(console: Console, value: JsonValue) -> None:
    assert isinstance(value, list)
    if not value:
        console.line("There are no tasks. Begin one: ploinky call AGENT.TOOL --detach")
        return
    rows: list[list[str | Cell]] = []
    for row in value:
        assert isinstance(row, dict)
        tool = Cell(f"{row['agent']}.{row['tool']}", Tone.NAME)
        rows.append(
            [str(row["taskId"]), tool, str(row["state"]), str(row["createdAt"]), str(row["message"] or "")]
        )
    console.table(("Task", "Tool", "State", "Since", "Says"), rows)


def _show_task(console: Console, value: JsonValue) -> None:
    assert isinstance(value, dict)
    _show_tasks(console, [value])
    for text in (value["logTail"], value["text"]):
        if text:
            console.line(str(text))


def _show_result(console: Console, value: JsonValue) -> None:
    assert isinstance(value, dict)
    if value["text"] or value["structured"] is None:
        console.line(str(value["text"] or ""))
    else:
        console.json(value["structured"])
