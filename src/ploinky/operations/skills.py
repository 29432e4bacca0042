"""``skill``: look at, install, update, remove and list the skills of an assistant, and their keys.

An install shows every step and every finding first, and runs only what was approved by its digest.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from pathlib import Path

import anyio.to_thread

from ploinky.assistants.configuration import Configuration, read_configuration, stamp_of
from ploinky.base.errors import NeedsApprovalError, NotFoundError, PloinkyError, UsageError
from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.base.names import is_env_name
from ploinky.lifecycle.registries import registry_access
from ploinky.operations.platform import Platform
from ploinky.skills.conformance import conformance
from ploinky.skills.records import SkillRecord
from ploinky.skills.registries import registry_hosts
from ploinky.skills.safety.rules import Verdict
from ploinky.skills.safety.skill import MAIN_FILES
from ploinky.skills.sandbox import Sandbox
from ploinky.skills.shelf import Proposal, Shelf, ShelfSettings
from ploinky.wire.events import Event, Notice, Result

_CERTIFICATES = "/run/certificates.pem"
_BUNDLE_READERS = ("SSL_CERT_FILE", "PIP_CERT", "NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE")

Approve = Callable[[Proposal], bool]


def open_shelf(platform: Platform, assistant: str | None, settings: ShelfSettings | None = None) -> Shelf:
    """The skills of an assistant; the default one if none is named.

    Raises:
        NotFoundError: ``NO_ASSISTANT``.
    """
    found = read_configuration(platform.layout)
    each = next((one for one in found.assistants if assistant in (None, one.id)), None)
    if each is None:
        raise NotFoundError(
            "NO_ASSISTANT", f"There is no assistant '{assistant or ''}'.", hint="See: ploinky assistant list"
        )
    chosen = settings or ShelfSettings(open_sandbox(platform))
    return Shelf(each.root.path, each.id, chosen, platform.secrets.credentials)


class Shelves:
    """The skills of assistants for who asks in every turn: the configuration is read when it has changed."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._read: Configuration | None = None
        self._shelves: dict[str, Shelf] = {}

    def open(self, assistant: str) -> Shelf:
        """Raises as ``open_shelf``."""
        layout = self._platform.layout
        if self._read is None or stamp_of(layout, self._read) != self._read.stamp:
            self._read = read_configuration(layout)
            self._shelves.clear()
        if assistant not in self._shelves:
            self._shelves[assistant] = open_shelf(self._platform, assistant)
        return self._shelves[assistant]


def open_sandbox(platform: Platform) -> Sandbox:
    """What runs the programs of skills and assistants in this workspace."""
    return Sandbox(platform.environ, settings=platform.settings.sandbox)


async def install_settings(platform: Platform) -> ShelfSettings:
    """What installs stand on: the registries' hosts, and this machine's way to them."""
    access = registry_access(platform.environ)
    ways = {name: value for name, value in access.variables.items() if not name.lower().endswith("_proxy")}
    shown: dict[str, Path] = {}
    if access.bundle is not None and access.bundle.is_file():
        shown = {_CERTIFICATES: access.bundle.resolve()}
        ways |= dict.fromkeys(_BUNDLE_READERS, _CERTIFICATES)
    hosts = await registry_hosts(platform.environ)
    return ShelfSettings(open_sandbox(platform), registries=hosts, install_env=ways, install_shown=shown)


async def analyze_skill(
    platform: Platform, source: str, *, assistant: str | None, relative_to: Path
) -> AsyncIterator[Event]:
    """Judge a skill; nothing runs."""
    shelf = open_shelf(platform, assistant, await install_settings(platform))
    yield Result(value=shown_proposal(await shelf.propose(source, relative_to=relative_to)))


async def install_skill(
    platform: Platform, source: str, *, assistant: str | None, relative_to: Path, approve: Approve
) -> AsyncIterator[Event]:
    """Judge, ask, run and record. ``approve`` shows a proposal to a person and says what they said."""
    shelf = open_shelf(platform, assistant, await install_settings(platform))
    proposal = await shelf.propose(source, relative_to=relative_to)
    async for event in _install(shelf, proposal, approve):
        yield event


async def update_skill(
    platform: Platform, name: str, *, assistant: str | None, relative_to: Path, approve: Approve
) -> AsyncIterator[Event]:
    """Fetch a skill again, show the difference, judge and install as if it was new."""
    shelf = open_shelf(platform, assistant, await install_settings(platform))
    proposal = await shelf.propose_update(name, relative_to=relative_to)
    assert proposal.before is not None
    if proposal.bundle.digests() == proposal.before.files and not shelf.changed(proposal.before):
        yield Notice(message=f"The skill '{name}' is as it was.")
        yield Result(value=shown_record(proposal.before))
        return
    async for event in _install(shelf, proposal, approve):
        yield event


async def _install(shelf: Shelf, proposal: Proposal, approve: Approve) -> AsyncIterator[Event]:
    approved_by = None
    if proposal.verdict is not Verdict.DENY and (
        proposal.verdict is Verdict.NEEDS_APPROVAL or proposal.difference
    ):
        if not await anyio.to_thread.run_sync(approve, proposal):
            raise NeedsApprovalError(
                "SKILL_NEEDS_APPROVAL",
                f"The skill '{proposal.skill.name}' was not approved; nothing was run.",
                hint=f"Look at it: ploinky skill analyze {proposal.bundle.source}",
                details={"digest": proposal.digest},
            )
        approved_by = "owner"
    record = await shelf.install(proposal, approved_by=approved_by, digest=proposal.digest)
    for step in proposal.steps:
        if step.by_hand:
            yield Notice(level="warning", message=f"Do this yourself: {step.label}")
    yield Notice(message=f"Installed the skill '{record.id}'.")
    missing = [name for name in record.credentials if name not in shelf.granted(record)]
    if missing:
        hint = f"ploinky skill credentials set {record.id} {missing[0]}"
        yield Notice(message=f"It wants keys: {', '.join(missing)}", hint=hint)
    yield Result(value=shown_record(record))


async def uninstall_skill(platform: Platform, name: str, *, assistant: str | None) -> AsyncIterator[Event]:
    """Remove a skill."""
    shelf = open_shelf(platform, assistant)
    await anyio.to_thread.run_sync(shelf.uninstall, name)
    yield Notice(message=f"Removed the skill '{name}'. Its keys stay until they are deleted.")
    yield Result(value={"id": name, "removed": True})


async def list_skills(platform: Platform, *, assistant: str | None) -> AsyncIterator[Event]:
    """Every installed skill, and whether it is offered."""
    shelf = open_shelf(platform, assistant)
    rows: list[JsonValue] = []
    for record in await anyio.to_thread.run_sync(shelf.records):
        changed: list[JsonValue] = list(shelf.changed(record))
        rows.append({**shown_record(record), "changed": changed})
    yield Result(value=rows)


async def validate_skill(platform: Platform | None, path: Path) -> AsyncIterator[Event]:
    """Strict conformance to the open format, line by line.

    Raises:
        PloinkyError: ``SKILL_NOT_CONFORMING`` if there are faults.
    """
    file = next((path / name for name in MAIN_FILES if (path / name).is_file()), path)
    if not file.is_file():
        raise NotFoundError("SKILL_NOT_FOUND", f"There is no SKILL.md at {path}.")
    found = conformance(file.read_bytes(), folder=file.resolve().parent.name)
    for each in found:
        harmless = each.severity == "note"
        yield Notice(
            level="info" if harmless else "warning",
            message=f"{file}:{each.line}: {each.message} ({each.code})",
        )
    faults = [each for each in found if each.code.startswith("STRICT_")]
    if faults:
        raise PloinkyError("SKILL_NOT_CONFORMING", f"{file} has {len(faults)} faults.")
    yield Result(value={"path": str(file), "conforms": True})


async def credentials(
    platform: Platform,
    skill: str,
    *,
    assistant: str | None,
    name: str | None = None,
    value: str | None = None,
    delete: bool = False,
) -> AsyncIterator[Event]:
    """The keys of a skill: which are declared and present. With a value, one is set; none is ever shown."""
    shelf = open_shelf(platform, assistant)
    record = shelf.require(skill)
    scope = ("assistant", shelf.owner, "skill", record.id)
    store = platform.secrets.credentials
    if name is not None and (value is not None or delete):
        if not is_env_name(name):
            raise UsageError("BAD_NAME", f"{name!r} cannot be the name of a key.")
        if delete:
            store.delete(scope, name)
        else:
            store.set(scope, name, value or "")
    present = set(store.names(scope))
    names = dict.fromkeys((*record.credentials, *sorted(present)))
    rows: list[JsonValue] = [
        {"name": each, "present": each in present, "declared": each in record.credentials} for each in names
    ]
    yield Result(value=rows)


async def run_skill(
    platform: Platform, skill: str, argv: tuple[str, ...], *, assistant: str | None
) -> AsyncIterator[Event]:
    """Run a program of a skill, as its assistant would."""
    ran = await open_shelf(platform, assistant).run(skill, argv)
    if not ran.succeeded:
        said = ran.stderr.decode("utf-8", "replace").strip()[-600:]
        raise PloinkyError(
            "SKILL_RUN_FAILED", f"It ended with {ran.returncode} ({ran.ending}).", hint=said or None
        )
    yield Result(value=ran.stdout.decode("utf-8", "replace"))


def shown_proposal(proposal: Proposal) -> JsonObject:
    """A proposal for people and machines: the verdict, every finding, every step."""
    findings: list[JsonValue] = [
        {
            "rule": each.rule,
            "verdict": each.verdict.word,
            "file": each.file,
            "line": each.line,
            "text": each.text,
            "reason": each.reason,
        }
        for each in proposal.analysis.findings
    ]
    steps: list[JsonValue] = [
        {"label": each.label, "argv": [*each.argv], "hosts": [*sorted(each.hosts)], "byHand": each.by_hand}
        for each in proposal.steps
    ]
    diagnostics: list[JsonValue] = [{**asdict(each)} for each in proposal.analysis.diagnostics]
    return {
        "id": proposal.skill.name,
        "description": proposal.skill.description,
        "source": proposal.bundle.source,
        "verdict": proposal.verdict.word,
        "digest": proposal.digest,
        "findings": findings,
        "steps": steps,
        "credentials": [*proposal.skill.credentials],
        "difference": proposal.difference,
        "diagnostics": diagnostics,
    }


def shown_record(record: SkillRecord) -> JsonObject:
    """An installed skill, without its files."""
    shown = record.model_dump(mode="json", exclude={"files", "made", "findings"})
    return {**shown, "files": len(record.files) + len(record.made)}
