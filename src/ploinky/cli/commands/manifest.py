"""``manifest validate``, ``schema`` and ``migrate``."""

from __future__ import annotations

import click

from ploinky.base.errors import EXIT_FAILED
from ploinky.base.jsontypes import JsonValue
from ploinky.cli.candidates import complete_any_agent
from ploinky.cli.console import Console, Tone
from ploinky.cli.frame import Invocation, command
from ploinky.cli.run import perform_without_workspace


@command(
    "validate",
    "ploinky manifest validate demo",
    "ploinky manifest validate path/to/manifest.json --strict",
)
@click.argument("target", shell_complete=complete_any_agent)
@click.option("--strict", is_flag=True, help="Take warnings for errors.")
def validate(invocation: Invocation, target: str, strict: bool) -> None:
    """Check a manifest and show every fault in it.

    TARGET is a manifest, a folder that holds one, or an agent's name.
    """
    from ploinky.operations.manifests import validate_manifest

    value = perform_without_workspace(
        invocation,
        lambda platform: validate_manifest(platform, target, start_dir=invocation.start_dir, strict=strict),
        show=_show_validation,
    )
    assert isinstance(value, dict)
    if not value["valid"]:
        click.get_current_context().exit(EXIT_FAILED)


@command("schema", "ploinky manifest schema > manifest.schema.json")
def schema(invocation: Invocation) -> None:
    """Print the JSON Schema of manifests, for editors."""
    from ploinky.manifest.model import manifest_schema

    invocation.console.json(manifest_schema())


@command(
    "migrate", "ploinky manifest migrate demo --dry-run", "ploinky manifest migrate path/to/manifest.json"
)
@click.argument("target", shell_complete=complete_any_agent)
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
def migrate(invocation: Invocation, target: str, dry_run: bool) -> None:
    """Rewrite the old form of a manifest to profiles.

    Hooks, env and ports of the top level move into profiles.default. Everything else stays as it is written,
    and under every profile the manifest means what it meant.
    """
    from ploinky.operations.manifest_edit import migrate_manifest

    perform_without_workspace(
        invocation,
        lambda platform: migrate_manifest(
            platform, target, start_dir=invocation.start_dir, write=not dry_run
        ),
        show=_show_migration,
    )


def _show_migration(console: Console, value: JsonValue) -> None:
    assert isinstance(value, dict)
    moved, diff = value["moved"], value["diff"]
    assert isinstance(moved, list)
    assert isinstance(diff, list)
    if not moved:
        console.line(f"{value['source']}: there is nothing to migrate")
        return
    tones = {"+": Tone.GOOD, "-": Tone.BAD, "@": Tone.DIM}
    for line in diff:
        console.line(str(line), tones.get(str(line)[:1]))
    word = "moved" if value["written"] else "would move"
    console.line(f"{value['source']}: {word} {', '.join(map(str, moved))} into profiles.default")


def _show_validation(console: Console, value: JsonValue) -> None:
    assert isinstance(value, dict)
    for kind, tone in (("faults", Tone.BAD), ("warnings", Tone.WARN)):
        findings = value[kind]
        assert isinstance(findings, list)
        for each in findings:
            assert isinstance(each, dict)
            place = f"line {each['line']}" + (f", {each['field']}" if each["field"] else "")
            hint = f" {each['hint']}" if each["hint"] else ""
            console.line(f"{console.styled(kind[:-1], tone)}: {place}: {each['message']}{hint}")
    if value["valid"]:
        profiles = value["profiles"]
        assert isinstance(profiles, list)
        shown = f" (profiles: {', '.join(map(str, profiles))})" if profiles else ""
        console.line(f"{value['source']}: {console.styled('✓ valid', Tone.GOOD)}{shown}")
    else:
        console.line(f"{value['source']}: {console.styled('✗ not valid', Tone.BAD)}")
