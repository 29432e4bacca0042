"""``memory``, ``cron``, ``approvals``, ``heartbeat``: what an assistant knows, does unasked, may do."""

from __future__ import annotations

import sys

import click

from ploinky.base.errors import UsageError
from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.cli.commands.assistants import ask
from ploinky.cli.console import Cell, Console, Tone
from ploinky.cli.frame import Invocation, command

_of = click.option("--assistant", "-a", metavar="ID", help="Which assistant; the default one if not given.")


@command("list", "ploinky memory list", "ploinky memory list -a helper")
@_of
def memory_list(invocation: Invocation, assistant: str | None) -> None:
    """List the memory files."""
    ask(invocation, "memory.listLogs", {"profileId": assistant}, _table("name", "bytes"))


@command("show", "ploinky memory show MEMORY.md", "ploinky memory show memory/2026-05-01.md")
@click.argument("name", default="MEMORY.md")
@_of
def memory_show(invocation: Invocation, name: str, assistant: str | None) -> None:
    """Print a memory file."""
    ask(invocation, "memory.getFile", {"profileId": assistant, "name": name}, _text)


@command("search", "ploinky memory search 'harbour tide'")
@click.argument("query")
@_of
def memory_search(invocation: Invocation, query: str, assistant: str | None) -> None:
    """Search the memory files for words."""
    ask(invocation, "memory.search", {"profileId": assistant, "query": query}, _table("path", "line", "text"))


@command("write", "ploinky memory write MEMORY.md < new.md")
@click.argument("name", default="MEMORY.md")
@_of
def memory_write(invocation: Invocation, name: str, assistant: str | None) -> None:
    """Replace a memory file by what comes on stdin."""
    params: JsonObject = {"profileId": assistant, "name": name, "text": sys.stdin.read()}
    ask(invocation, "memory.writeFile", params)


@command("consolidate", "ploinky memory consolidate", "ploinky memory consolidate -a helper --again")
@click.option("--again", is_flag=True, help="Look at all notes, also those of earlier times.")
@_of
def memory_consolidate(invocation: Invocation, assistant: str | None, again: bool) -> None:
    """Let the model say what of the notes belongs into MEMORY.md."""
    ask(invocation, "memory.consolidate", {"profileId": assistant, "again": again}, _consolidated)


@command("proposals", "ploinky memory proposals", "ploinky memory proposals --accept prp_1234")
@click.option("--accept", metavar="ID", help="Accept an edit.")
@click.option("--reject", metavar="ID", help="Reject an edit.")
@_of
def memory_proposals(
    invocation: Invocation, accept: str | None, reject: str | None, assistant: str | None
) -> None:
    """List edits of memory that wait for you; accept or reject one."""
    chosen = accept or reject
    if chosen is None:
        ask(invocation, "memory.proposals", {"profileId": assistant}, _table("id", "path", "why"))
        return
    params: JsonObject = {"profileId": assistant, "id": chosen, "accept": accept is not None}
    ask(invocation, "memory.settle", params)


@command("list", "ploinky cron list", "ploinky cron list -a helper --json")
@_of
def cron_list(invocation: Invocation, assistant: str | None) -> None:
    """List the jobs with their next times."""
    ask(invocation, "cron.list", {"profileId": assistant}, _table("id", "name", "schedule", "nextAt"))


@command(
    "add",
    "ploinky cron add morning --cron '0 9 * * mon-fri' --time-zone Europe/Paris -m 'What is new?'",
    "ploinky cron add check --every 2h --tool files.find_files",
    "ploinky cron add once --at 2030-05-01T09:00:00+02:00 -m 'Remind me of the tide'",
)
@click.argument("name")
@click.option("--at", metavar="TIME", help="Once, at an ISO time with its zone.")
@click.option("--every", metavar="SPAN", help="Again and again, such as 30m or 2h.")
@click.option("--cron", metavar="FIELDS", help="By a cron expression of five fields.")
@click.option("--time-zone", metavar="ZONE", help="For --cron; UTC if not given.")
@click.option("-m", "--message", help="What is said to the assistant then.")
@click.option("--tool", metavar="TOOL", help="A tool that is called instead, under the same approvals.")
@click.option("--arguments", metavar="JSON", default="{}", help="The arguments of the tool.")
@click.option("--session", default="main", show_default=True, help="In which conversation.")
@_of
def cron_add(invocation: Invocation, /, name: str, assistant: str | None, **given: str | None) -> None:
    """Add a job."""
    import json

    schedule: JsonObject = {key: given[key] for key in ("at", "every", "cron") if given[key]}
    if given["time_zone"]:
        schedule["timeZone"] = given["time_zone"]
    params: JsonObject = {
        "profileId": assistant,
        "name": name,
        "schedule": schedule,
        "sessionId": given["session"],
        "message": given["message"],
        "tool": given["tool"],
    }
    if given["tool"]:
        try:
            params["arguments"] = json.loads(given["arguments"] or "{}")
        except ValueError as error:
            raise UsageError("BAD_ARGUMENT", f"The arguments are not JSON: {error}.") from error
    ask(invocation, "cron.add", params, _said("Job {id} runs next at {nextAt}."))


@command("remove", "ploinky cron remove job_1234")
@click.argument("job")
@_of
def cron_remove(invocation: Invocation, job: str, assistant: str | None) -> None:
    """Remove a job with its history."""
    ask(invocation, "cron.remove", {"profileId": assistant, "id": job})


@command("run", "ploinky cron run job_1234")
@click.argument("job")
@_of
def cron_run(invocation: Invocation, job: str, assistant: str | None) -> None:
    """Run a job now, beside its times."""
    ask(invocation, "cron.run", {"profileId": assistant, "id": job}, _said("{outcome}"))


@command("history", "ploinky cron history", "ploinky cron history job_1234")
@click.argument("job", required=False)
@_of
def cron_history(invocation: Invocation, job: str | None, assistant: str | None) -> None:
    """Show how runs of jobs went."""
    columns = _table("jobId", "dueAt", "outcome", "detail")
    ask(invocation, "cron.history", {"profileId": assistant, "id": job}, columns)


@command("list", "ploinky approvals list", "ploinky approvals list --all --json")
@click.option("--all", "everything", is_flag=True, help="Those that are over, too.")
def approvals_list(invocation: Invocation, everything: bool) -> None:
    """List what waits for your word, of every assistant."""
    params: JsonObject = {"all": True, "status": None if everything else "pending"}
    ask(invocation, "approval.list", params, _table("id", "profileId", "tool", "arguments", "risk", "status"))


@command("approve", "ploinky approvals approve apr_1234", "ploinky approvals approve apr_1234 --always")
@click.argument("approval")
@click.option("--always", is_flag=True, help="Let any further call of this tool through, too.")
@click.option("--uses", type=int, metavar="N", help="Let N further calls of this tool through, too.")
@_of
def approvals_approve(
    invocation: Invocation, approval: str, always: bool, uses: int | None, assistant: str | None
) -> None:
    """Let exactly this call go ahead."""
    grant: JsonObject | None = {"pattern": {}, "uses": uses} if always or uses else None
    params: JsonObject = {"profileId": assistant, "id": approval, "decision": "approve", "grant": grant}
    ask(invocation, "approval.resolve", params)


@command("deny", "ploinky approvals deny apr_1234", "ploinky approvals deny apr_1234 --reason 'not now'")
@click.argument("approval")
@click.option("--reason", help="What the assistant is told.")
@_of
def approvals_deny(invocation: Invocation, approval: str, reason: str | None, assistant: str | None) -> None:
    """Do not let this call go ahead."""
    params: JsonObject = {"profileId": assistant, "id": approval, "decision": "deny", "reason": reason}
    ask(invocation, "approval.resolve", params)


@command("grants", "ploinky approvals grants", "ploinky approvals grants -a helper")
@_of
def approvals_grants(invocation: Invocation, assistant: str | None) -> None:
    """Show the tools of an assistant with their risk, and its grants."""
    ask(invocation, "approval.capabilities", {"profileId": assistant}, _show_grants)


@command("revoke", "ploinky approvals revoke", "ploinky approvals revoke grt_1234")
@click.argument("grant", required=False)
@_of
def approvals_revoke(invocation: Invocation, grant: str | None, assistant: str | None) -> None:
    """Take back a grant, or all of an assistant's."""
    ask(invocation, "approval.revoke", {"profileId": assistant, "id": grant})


@command(
    "incident",
    "ploinky approvals incident --reason 'it wrote to strangers'",
    "ploinky approvals incident --clear",
)
@click.option("--reason", default="opened by hand", help="Why.")
@click.option("--clear", is_flag=True, help="Close the incident that is open.")
@_of
def approvals_incident(invocation: Invocation, reason: str, clear: bool, assistant: str | None) -> None:
    """Stop an assistant at once; --clear opens again.

    Its runs end, grants are revoked, and tools above low risk are shut.
    """
    if clear:
        ask(invocation, "incident.clear", {"profileId": assistant})
    else:
        ask(invocation, "incident.bundle", {"profileId": assistant, "reason": reason}, Console.json)


@command("status", "ploinky heartbeat status", "ploinky heartbeat status -a helper")
@_of
def heartbeat_status(invocation: Invocation, assistant: str | None) -> None:
    """Show when the heartbeat beats next and what keeps it from it."""
    ask(invocation, "heartbeat.poll", {"profileId": assistant}, _facts)


@command("run", "ploinky heartbeat run")
@_of
def heartbeat_run(invocation: Invocation, assistant: str | None) -> None:
    """Beat now."""
    ask(invocation, "heartbeat.run", {"profileId": assistant}, _said("{outcome}"))


@command("show", "ploinky heartbeat show")
@_of
def heartbeat_show(invocation: Invocation, assistant: str | None) -> None:
    """Print HEARTBEAT.md."""
    ask(invocation, "heartbeat.getFile", {"profileId": assistant}, _text)


@command("edit", "ploinky heartbeat edit < HEARTBEAT.md")
@_of
def heartbeat_edit(invocation: Invocation, assistant: str | None) -> None:
    """Replace HEARTBEAT.md by what comes on stdin."""
    ask(invocation, "heartbeat.update", {"profileId": assistant, "text": sys.stdin.read()})


def _table(*columns: str) -> object:
    def show(console: Console, value: JsonValue) -> None:
        rows: list[list[str | Cell]] = []
        for row in value if isinstance(value, list) else []:
            assert isinstance(row, dict)
            texts = [_cell(row.get(column)) for column in columns]
            rows.append([Cell(texts[0], Tone.NAME), *texts[1:]])
        if not rows:
            console.line("There is nothing.")
        else:
            console.table(tuple(_heading(column) for column in columns), rows)

    return show


def _heading(column: str) -> str:
    return "".join(f" {c.lower()}" if c.isupper() else c for c in column).capitalize()


def _cell(value: JsonValue) -> str:
    import json

    if value is None:
        return "-"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    line = " ".join(text.split())
    return line if len(line) <= 80 else line[:79] + "…"


def _text(console: Console, value: JsonValue) -> None:
    text = value.get("text") if isinstance(value, dict) else None
    console.line(str(text).rstrip("\n") if text is not None else "There is none.")


def _consolidated(console: Console, value: JsonValue) -> None:
    assert isinstance(value, dict)
    facts, proposal = value["facts"], value["proposal"]
    for fact in facts if isinstance(facts, list) else []:
        console.line(f"- {fact}")
    if not value["entries"]:
        console.line("There are no new notes.")
    elif not isinstance(proposal, dict):
        console.line(f"Nothing of {value['entries']} notes belongs into MEMORY.md.")
    elif proposal["status"] == "open":
        console.line(f"Waits for you: ploinky memory proposals --accept {proposal['id']}")
    else:
        console.line("Added to MEMORY.md.")
    if value["outside"]:
        console.line(f"{value['outside']} notes came from outside and were left out.")
    if value["left"]:
        console.line(f"{value['left']} notes are left for the next time. {value['stopped'] or ''}".rstrip())


def _facts(console: Console, value: JsonValue) -> None:
    assert isinstance(value, dict)
    for key, each in value.items():
        console.line(f"{_heading(key)}: {_cell(each)}")


def _said(form: str) -> object:
    def show(console: Console, value: JsonValue) -> None:
        assert isinstance(value, dict)
        console.line(form.format(**value))

    return show


def _show_grants(console: Console, value: JsonValue) -> None:
    assert isinstance(value, dict)
    shown = _table("name", "risk")
    assert callable(shown)
    shown(console, value["tools"])
    grants = _table("id", "tool", "pattern", "usesLeft", "expiresAt")
    assert callable(grants)
    if value["grants"]:
        grants(console, value["grants"])
