"""What is known of an installed skill: where it came from, the digest of every file, what ran, who approved.

One JSON file per skill, written atomically. A record that cannot be read is an error.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from ploinky.base.errors import PloinkyError
from ploinky.base.files import read_bytes, write_atomic


class StepRecord(BaseModel):
    """One step that ran."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: str
    argv: tuple[str, ...]
    hosts: tuple[str, ...]


class FindingRecord(BaseModel):
    """One finding that was shown before the install."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rule: str
    verdict: str
    file: str
    line: int
    text: str
    reason: str


class SkillRecord(BaseModel):
    """An installed skill. ``files`` are what came from the source, ``made`` what the install added."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    name: str
    description: str
    source: str
    commit: str = ""
    files: dict[str, str]
    made: dict[str, str] = {}
    credentials: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    steps: tuple[StepRecord, ...] = ()
    verdict: str
    findings: tuple[FindingRecord, ...] = ()
    approved_by: str | None = None
    installed_at: str


def read_record(path: Path) -> SkillRecord | None:
    """The record at ``path``, or None if there is none.

    Raises:
        PloinkyError: ``SKILL_RECORD`` if it cannot be understood.
    """
    data = read_bytes(path)
    if data is None:
        return None
    try:
        return SkillRecord.model_validate_json(data)
    except ValidationError as error:
        raise PloinkyError(
            "SKILL_RECORD",
            f"{path} is no record of a skill.",
            hint="Remove the skill and install it again.",
        ) from error


def write_record(path: Path, record: SkillRecord) -> None:
    """Write a record, whole."""
    write_atomic(path, record.model_dump_json(indent=2).encode(), mode=0o600)
