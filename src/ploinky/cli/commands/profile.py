"""``profile``: choose, show, list, validate and add profiles."""

from __future__ import annotations

import functools

import click

from ploinky.base.errors import EXIT_FAILED
from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.cli.candidates import complete_any_agent, complete_profile
from ploinky.cli.console import Cell, Console, Tone
from ploinky.cli.frame import Invocation, command
from ploinky.cli.run import perform


@command("use", "ploinky profile dev", "ploinky profile use list")
@click.argument("name", shell_complete=complete_profile)
def use(invocation: Invocation, name: str) -> None:
    """Choose the active profile."""
    from ploinky.operations.profile import use_profile

    def show(console: Console, value: JsonValue) -> None:
        console.line(f"Profile set to: {name}")
        _show_configs(console, value)

    perform(invocation, functools.partial(use_profile, name=name), show=show, make_workspace=True)


@command("show", "ploinky profile", "ploinky profile show --json")
def show(invocation: Invocation) -> None:
    """Show the active profile and what it gives agents."""
    from ploinky.operations.profile import show_profile

    def shown(console: Console, value: JsonValue) -> None:
        facts = _object(value)
        name = facts["profile"] or "as each manifest says"
        console.line(f"Active profile: {name} (from {facts['origin']})")
        _show_configs(console, value)

    perform(invocation, show_profile, show=shown)


@command("list", "ploinky profile list")
def list_(invocation: Invocation) -> None:
    """List the profiles and whether their secrets are there."""
    from ploinky.operations.profile import list_profiles

    perform(invocation, list_profiles, show=_show_list)


@command("validate", "ploinky profile validate prod", "ploinky profile validate --json")
@click.argument("name", required=False, shell_complete=complete_profile)
def validate(invocation: Invocation, name: str | None) -> None:
    """Check everything that a profile needs.

    Without NAME it is the active one.

    Manifests, variables, secrets and hook scripts of every enabled agent; exit code 1 if anything is wrong.
    """
    from ploinky.operations.profile_validation import validate_profile

    value = perform(invocation, functools.partial(validate_profile, name=name), show=_show_validation)
    if _object(value)["errors"]:
        click.get_current_context().exit(EXIT_FAILED)


@command(
    "new",
    "ploinky profile new prod",
    "ploinky profile new staging --extends prod --agent demo",
    "ploinky profile new nightly --template ci",
)
@click.argument("name")
@click.option("--template", metavar="NAME", help="Start as dev, qa, ci, prod or empty.")
@click.option("--extends", metavar="PROFILE", help="Lay it over this profile.")
@click.option("--agent", metavar="AGENT", shell_complete=complete_any_agent, help="Whose manifest gets it.")
def new(
    invocation: Invocation, name: str, template: str | None, extends: str | None, agent: str | None
) -> None:
    """Add a profile to an agent's manifest.

    Without --template it starts like the template of its name, or empty. The rest of the file stays as it is
    written.
    """
    from ploinky.operations.manifest_edit import new_profile

    operation = functools.partial(new_profile, name=name, agent=agent, template=template, extends=extends)
    perform(invocation, operation)


def _show_configs(console: Console, value: JsonValue) -> None:
    agents = _list(_object(value)["agents"])
    for each in agents:
        agent = _object(each)
        console.line()
        if len(agents) > 1:
            console.line(f"Agent {console.styled(str(agent['agent']), Tone.NAME)} ({agent['profile']})")
        variables = [f"  {name}={shown}" for name, shown in _object(agent["environment"]).items()]
        _show_section(console, "Environment:", variables, first=True)
        _show_section(
            console, "Secrets required:", [_secret_line(console, row) for row in _list(agent["secrets"])]
        )
        hooks = [_object(hook) for hook in _list(agent["hooks"])]
        lines = [
            f"  {number}. {hook['name']}: {' && '.join(map(str, _list(hook['steps'])))}"
            for number, hook in enumerate(hooks, 1)
        ]
        _show_section(console, "Lifecycle hooks:", lines)


def _show_section(console: Console, title: str, lines: list[str], *, first: bool = False) -> None:
    if lines:
        if not first:
            console.line()
        console.line(title)
        for line in lines:
            console.line(line)


def _secret_line(console: Console, row: JsonValue) -> str:
    facts = _object(row)
    mark = console.styled("✓ (found)", Tone.GOOD) if facts["ok"] else console.styled("✗ (missing)", Tone.BAD)
    return f"  - {facts['name']} {mark}"


def _show_list(console: Console, value: JsonValue) -> None:
    rows: list[list[str | Cell]] = []
    for each in _list(value):
        row = _object(each)
        missing = ", ".join(map(str, _list(row["missing"])))
        count = f"{row['found']}/{row['secrets']}"
        mark = f"{count} ✗ ({missing} missing)" if missing else f"{count} ✓"
        tone = Tone.BAD if missing else Tone.GOOD
        name = f"{row['name']} *" if row["active"] and missing else str(row["name"])
        rows.append([name, Cell(str(row["status"]), tone), Cell(mark, tone)])
    console.line("Available profiles:")
    console.line()
    console.table(("Profile", "Status", "Secrets"), rows, indent="  ")


def _show_validation(console: Console, value: JsonValue) -> None:
    facts = _object(value)
    console.line(f"Validating profile '{facts['profile']}'...")
    reports = _list(facts["agents"])
    for report in reports:
        console.line()
        _show_report(console, _object(report), named=len(reports) > 1)
    if not reports:
        console.line("No agent is enabled, so there is nothing to check.")
    console.line()
    errors = facts["errors"]
    if errors:
        word = "error" if errors == 1 else "errors"
        console.line(f"Validation FAILED: {errors} {word} found", Tone.BAD)
    else:
        console.line("Validation passed", Tone.GOOD)


def _show_report(console: Console, report: JsonObject, *, named: bool) -> None:
    if named:
        console.line(f"Agent {console.styled(str(report['agent']), Tone.NAME)}")
    _check(console, "Manifest", report["manifest"], "Valid JSON")
    if report["manifest"]:
        return
    _check(console, "Profile definition", report["definition"], "Found in manifest")
    if report["definition"]:
        return
    _show_section(
        console, "Environment variables:", [_variable_line(console, r) for r in _list(report["environment"])]
    )
    secrets = [
        (str(_object(r)["name"]), _object(r)["ok"], f"Found in {_object(r)['source']}", _object(r)["fault"])
        for r in _list(report["secrets"])
    ]
    _show_section(console, "Secrets:", [_found_line(console, *row) for row in secrets])
    unfilled = [
        f"  ${{{_object(r)['name']}}} in {_object(r)['field']}: {console.styled('✗ NOT SET', Tone.BAD)}"
        for r in _list(report["placeholders"])
        if not _object(r)["ok"]
    ]
    _show_section(console, "Placeholders:", unfilled)
    scripts = [
        (
            str(_object(r)["script"]),
            _object(r)["ok"],
            "Exists, executable" if _object(r)["executable"] else "Exists, run by sh",
        )
        for r in _list(report["scripts"])
    ]
    _show_section(console, "Scripts:", [_found_line(console, *row) for row in scripts])
    warnings = [console.styled(f"  {warning}", Tone.WARN) for warning in _list(report["warnings"])]
    _show_section(console, "Warnings:", warnings)


def _check(console: Console, what: str, fault: JsonValue, well: str) -> None:
    mark = console.styled(f"✗ {fault}", Tone.BAD) if fault else console.styled(f"✓ {well}", Tone.GOOD)
    console.line(f"{what}: {mark}")


def _variable_line(console: Console, value: JsonValue) -> str:
    row = _object(value)
    if not row["ok"]:
        fault = row["fault"]
        return f"  {row['name']}: {console.styled(f'✗ {_reason(fault)}', Tone.BAD)}"
    if row["value"] is not None:
        return f"  {row['name']}={row['value']} {console.styled('✓', Tone.GOOD)}"
    if row["source"]:
        return f"  {row['name']}: {console.styled('✓ Found in ' + str(row['source']), Tone.GOOD)}"
    return f"  {row['name']}: {console.styled('- not set, optional', Tone.DIM)}"


def _found_line(console: Console, name: str, ok: JsonValue, well: str, fault: JsonValue = None) -> str:
    mark = console.styled(f"✓ {well}", Tone.GOOD) if ok else console.styled(f"✗ {_reason(fault)}", Tone.BAD)
    return f"  {name}: {mark}"


def _reason(fault: JsonValue) -> str:
    return "NOT FOUND" if fault is None else str(fault)


def _object(value: JsonValue) -> JsonObject:
    assert isinstance(value, dict)
    return value


def _list(value: JsonValue) -> list[JsonValue]:
    assert isinstance(value, list)
    return value
