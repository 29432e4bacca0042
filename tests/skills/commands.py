"""Labelled commands: data, read from files, never run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "data" / "skills"


@dataclass(frozen=True)
class Labelled:
    """A command and what must become of it: allow, needs-approval or deny."""

    command: str
    label: str


def labelled(name: str) -> list[Labelled]:
    """The commands of ``name``.jsonl."""
    lines = (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [Labelled(row["command"], row["label"]) for row in rows]
