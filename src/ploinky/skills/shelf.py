"""The skills of one assistant: look at a source, install, update, remove, list, load, run.

``propose`` fetches and judges and runs nothing; ``install`` runs exactly what was proposed, in the sandbox,
in a folder beside, and moves it into place only when all of it succeeded. A skill whose files are not what
they were is not offered. Knows no assistant but its root and id, and no approval but its name.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import anyio

from ploinky.base.clock import now_iso
from ploinky.base.errors import NeedsApprovalError, NotFoundError, PloinkyError, UsageError
from ploinky.base.files import read_inside, safe_join
from ploinky.base.outbound import OutboundPolicy
from ploinky.base.redaction import Redactor
from ploinky.skills.document import skill_id
from ploinky.skills.folders import SkillFolders, digests_of
from ploinky.skills.model import Skill
from ploinky.skills.plans import Registries, Step, plan_steps
from ploinky.skills.records import FindingRecord, SkillRecord, StepRecord
from ploinky.skills.runs import Bounds, Ran, RunPlan
from ploinky.skills.safety.rules import Verdict
from ploinky.skills.safety.skill import Analysis, analyse
from ploinky.skills.sandbox import Sandbox
from ploinky.skills.sources import Bundle, fetch_skill

_UNINSTALL_TIMEOUT_S = 30.0


class Credentials(Protocol):
    """Keys by scope and name (``secrets.sealed.SealedStore``)."""

    def get(self, scope: tuple[str, ...], name: str) -> str | None: ...

    def names(self, scope: tuple[str, ...]) -> Sequence[str]: ...


@dataclass(frozen=True)
class Proposal:
    """A skill that could be installed: its files, the verdict with all findings, every step to run."""

    bundle: Bundle
    analysis: Analysis
    skill: Skill
    steps: tuple[Step, ...]
    before: SkillRecord | None = None
    difference: str = ""

    @property
    def verdict(self) -> Verdict:
        """What may happen: steps that run other people's code always ask."""
        runs = any(not step.by_hand for step in self.steps)
        installs = bool(self.analysis.installs)
        return max(self.analysis.verdict, Verdict.NEEDS_APPROVAL if runs and installs else Verdict.ALLOW)

    @property
    def hosts(self) -> frozenset[str]:
        return frozenset().union(*(step.hosts for step in self.steps))

    @property
    def digest(self) -> str:
        """What an approval is for: every file and every step."""
        whole = hashlib.sha256()
        for name, digest in self.bundle.digests().items():
            whole.update(f"{name}\0{digest}\0".encode())
        for step in self.steps:
            whole.update("\0".join((*step.argv, *sorted(step.hosts), "")).encode())
        return whole.hexdigest()


@dataclass(frozen=True)
class ShelfSettings:
    """What a shelf stands on. ``registries`` are the hosts of package managers by kind; ``install_env`` and
    ``install_shown`` are what installs need to reach them (variables, a bundle of certificates by its place).
    """

    sandbox: Sandbox
    policy: OutboundPolicy = field(default_factory=OutboundPolicy)
    registries: Registries = field(default_factory=dict)
    bounds: Bounds = field(default_factory=Bounds)
    install_env: Mapping[str, str] = field(default_factory=dict, repr=False)
    install_shown: Mapping[str, Path] = field(default_factory=dict)


class Shelf:
    """The skills below one assistant's root. ``owner`` is its id, by which its credentials are kept."""

    def __init__(self, root: Path, owner: str, settings: ShelfSettings, credentials: Credentials) -> None:
        self.root = root
        self._folders = SkillFolders(root / "skills")
        self.owner = owner
        self._settings = settings
        self._credentials = credentials

    async def propose(self, source: str, *, relative_to: Path) -> Proposal:
        """Fetch and judge; nothing runs.

        Raises:
            PloinkyError: ``SKILL_UNUSABLE`` if it does not say what it does; those of ``fetch_skill``.
        """
        bundle = await fetch_skill(source, policy=self._settings.policy, relative_to=relative_to)
        analysis = await anyio.to_thread.run_sync(lambda: analyse(bundle.files, folder=bundle.name))
        if analysis.skill is None:
            reasons = "; ".join(each.message for each in analysis.diagnostics) or "it has no description"
            raise PloinkyError("SKILL_UNUSABLE", f"{bundle.source} cannot be used: {reasons}")
        steps = plan_steps(analysis.commands, analysis.installs, self._settings.registries)
        before = self.find(analysis.skill.name)
        return Proposal(bundle, analysis, analysis.skill, steps, before, self._difference(bundle, before))

    async def propose_update(self, name: str, *, relative_to: Path) -> Proposal:
        """What the source of an installed skill holds by now, with the difference."""
        record = self.require(name)
        return await self.propose(record.source, relative_to=relative_to)

    async def install(
        self, proposal: Proposal, *, approved_by: str | None = None, digest: str = ""
    ) -> SkillRecord:
        """Install what was proposed; a failure leaves what was there before.

        Raises:
            PloinkyError: ``SKILL_DENIED``, whoever approves; ``SKILL_INSTALL_FAILED`` with the step's output.
            NeedsApprovalError: ``SKILL_NEEDS_APPROVAL`` without an approval of exactly this proposal.
        """
        self._require_allowed(proposal, approved_by, digest)
        folders = self._folders
        async with self._locked():
            staging = await anyio.to_thread.run_sync(
                folders.stage, proposal.skill.name, proposal.bundle.files
            )
            try:
                for step in proposal.steps:
                    if not step.by_hand:
                        await self._run_step(staging, step)
                record = self._record(proposal, staging, approved_by)
                await anyio.to_thread.run_sync(folders.put_in_place, staging, record)
            finally:
                folders.discard(staging)
        return record

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[None]:
        lock = self._folders.locked(2 * self._settings.bounds.timeout_s)
        await anyio.to_thread.run_sync(lock.__enter__)
        try:
            yield
        finally:
            lock.__exit__(None, None, None)

    def uninstall(self, name: str) -> None:
        """Remove a skill and what it made; its credentials stay until they are deleted."""
        self.require(name)
        with self._folders.locked(_UNINSTALL_TIMEOUT_S):
            self._folders.remove(name)

    def records(self) -> list[SkillRecord]:
        """Every installed skill, by name."""
        return self._folders.records()

    def catalogue(self) -> list[tuple[str, str]]:
        """Name and description of every skill that is as it was when it was judged."""
        return [(each.id, each.description) for each in self.records() if not self.changed(each)]

    def changed(self, record: SkillRecord) -> tuple[str, ...]:
        """Files that are not what was installed; ``.home`` may change."""
        return self._folders.changed(record)

    def find(self, name: str) -> SkillRecord | None:
        return self._folders.find(name) if skill_id(name) == name else None

    def require(self, name: str) -> SkillRecord:
        """The record of an installed skill.

        Raises:
            NotFoundError: ``SKILL_NOT_INSTALLED``.
        """
        record = self.find(name)
        if record is None:
            raise NotFoundError("SKILL_NOT_INSTALLED", f"No skill {name!r} is installed.")
        return record

    def load(self, name: str) -> str:
        """The words of a skill for its assistant."""
        record = self._offered(name)
        main = next(each for each in ("SKILL.md", "skill.md", "Skill.md") if each in record.files)
        return self.read(name, main)

    def read(self, name: str, path: str) -> str:
        """A file of a skill as text."""
        self._offered(name)
        folder = self._folders.installed(name)
        return read_inside(folder, safe_join(folder, path), max_bytes=1024 * 1024).decode("utf-8", "replace")

    async def run(self, name: str, argv: Sequence[str], *, stdin: bytes = b"") -> Ran:
        """Run a program of a skill: its files read-only, a state folder of its own, its credentials.

        What the program prints is scrubbed of the credentials that it was given.
        """
        record = self._offered(name)
        if not argv or not all(argv[:1]):
            raise UsageError("SKILL_COMMAND", "Say which program of the skill to run.")
        state = self._folders.state(name)
        state.mkdir(parents=True, exist_ok=True)
        keys = self.granted(record)
        plan = RunPlan(
            tuple(argv),
            state,
            frozenset(record.hosts),
            {**keys, "SKILL_DIR": "/skill", "PYTHONPATH": "/skill/lib/python"},
            {"/skill": self._folders.installed(name)},
            seen_at="/state",
            cwd="/skill",
            stdin=stdin,
            bounds=self._settings.bounds,
        )
        ran = await self._settings.sandbox.run(plan)
        scrub = Redactor(keys.values()).scrub
        shown = [scrub(each.decode("utf-8", "replace")).encode() for each in (ran.stdout, ran.stderr)]
        return Ran(ran.returncode, shown[0], shown[1], ran.ending, ran.refused)

    def missing_keys(self, name: str) -> Sequence[str]:
        """The credentials that a skill declared and nobody set yet."""
        record = self._offered(name)
        granted = self.granted(record)
        return [each for each in record.credentials if each not in granted]

    def granted(self, record: SkillRecord) -> Mapping[str, str]:
        """The credentials that a skill declared and a person set."""
        scope = ("assistant", self.owner, "skill", record.id)
        values = {name: self._credentials.get(scope, name) for name in record.credentials}
        return {name: value for name, value in values.items() if value is not None}

    def _offered(self, name: str) -> SkillRecord:
        record = self.require(name)
        changed = self.changed(record)
        if changed:
            raise PloinkyError(
                "SKILL_CHANGED",
                f"Files of the skill {name!r} are not what was installed: {', '.join(changed[:5])}.",
                hint="Install it again; it is not offered until then.",
            )
        return record

    def _require_allowed(self, proposal: Proposal, approved_by: str | None, digest: str) -> None:
        if proposal.verdict is Verdict.DENY:
            first = proposal.analysis.findings[0]
            raise PloinkyError(
                "SKILL_DENIED",
                f"The skill {proposal.skill.name!r} is refused: {first.reason} ({first.file}:{first.line})",
                hint="Nothing was run. No approval opens this; see docs/skills.md.",
            )
        if proposal.verdict is Verdict.NEEDS_APPROVAL and (approved_by is None or digest != proposal.digest):
            raise NeedsApprovalError(
                "SKILL_NEEDS_APPROVAL",
                f"The skill {proposal.skill.name!r} needs approval before anything runs.",
                hint="Look at its findings and steps, then approve exactly this proposal.",
                details={"digest": proposal.digest},
            )

    async def _run_step(self, folder: Path, step: Step) -> None:
        settings = self._settings
        plan = RunPlan(
            step.argv,
            folder,
            step.hosts,
            settings.install_env,
            settings.install_shown,
            bounds=settings.bounds,
        )
        ran = await self._settings.sandbox.run(plan)
        if not ran.succeeded:
            said = (ran.stderr or ran.stdout).decode("utf-8", "replace").strip()[-600:]
            refused = f" It asked for {', '.join(ran.refused[:5])}." if ran.refused else ""
            raise PloinkyError(
                "SKILL_INSTALL_FAILED",
                f"A step failed ({ran.ending}, {ran.returncode}): {step.label[:200]}.{refused}",
                hint=said or None,
            )

    def _record(self, proposal: Proposal, staging: Path, approved_by: str | None) -> SkillRecord:
        files = proposal.bundle.digests()
        made = {name: digest for name, digest in digests_of(staging).items() if files.get(name) != digest}
        skill = proposal.skill
        return SkillRecord(
            id=skill.name,
            name=skill.name,
            description=skill.description,
            source=proposal.bundle.source,
            commit=proposal.bundle.commit,
            files=files,
            made=made,
            credentials=skill.credentials,
            hosts=tuple(sorted(proposal.hosts)),
            steps=tuple(
                StepRecord(label=s.label, argv=s.argv, hosts=tuple(sorted(s.hosts))) for s in proposal.steps
            ),
            verdict=proposal.verdict.word,
            findings=tuple(
                FindingRecord(
                    rule=f.rule,
                    verdict=f.verdict.word,
                    file=f.file,
                    line=f.line,
                    text=f.text,
                    reason=f.reason,
                )
                for f in proposal.analysis.findings
            ),
            approved_by=approved_by,
            installed_at=now_iso(),
        )

    def _difference(self, bundle: Bundle, before: SkillRecord | None) -> str:
        if before is None:
            return ""
        now = bundle.digests()
        lines = []
        for name in sorted(now.keys() | before.files.keys()):
            if now.get(name) == before.files.get(name):
                continue
            if name not in now:
                lines.append(f"removed: {name}")
                continue
            lines.append(f"{'changed' if name in before.files else 'added'}: {name}")
            old = self._folders.installed(before.id) / name
            was = old.read_text("utf-8", "replace") if name in before.files and old.is_file() else ""
            lines += difflib.unified_diff(
                was.splitlines(), bundle.files[name].decode("utf-8", "replace").splitlines(), lineterm="", n=1
            )
        return "\n".join(lines[:2000])
