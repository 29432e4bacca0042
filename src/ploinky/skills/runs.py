"""What is run of strangers, within which bounds, and how it ended: values that every sandbox understands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

FOLDER = "/skill"


class Ending(StrEnum):
    """Why a run ended."""

    EXIT = "exit"
    TIME = "time"
    DISK = "disk"


@dataclass(frozen=True)
class Bounds:
    """What a run may use: seconds, bytes of memory, of the writable folder, of output; processes.

    ``others`` are bytes that other programs may take of the same disk meanwhile without ending the run.
    """

    timeout_s: float = 300.0
    memory: int = 2 * 1024**3
    disk: int = 1024**3
    processes: int = 256
    output: int = 1024 * 1024
    others: int = 1024**3


@dataclass(frozen=True)
class RunPlan:
    """One program to run: its words, the writable ``folder`` of this machine, the hosts it may reach.

    ``shown`` are further paths of this machine seen read-only, by where they are seen; ``seen_at`` is where
    the writable folder is.
    """

    argv: tuple[str, ...]
    folder: Path
    hosts: frozenset[str] = frozenset()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    shown: Mapping[str, Path] = field(default_factory=dict)
    seen_at: str = FOLDER
    cwd: str = FOLDER
    stdin: bytes = b""
    bounds: Bounds = field(default_factory=Bounds)


@dataclass(frozen=True)
class Ran:
    """How a run ended; ``refused`` are hosts that it asked for in vain."""

    returncode: int
    stdout: bytes
    stderr: bytes
    ending: Ending
    refused: tuple[str, ...] = ()

    @property
    def succeeded(self) -> bool:
        return self.ending is Ending.EXIT and self.returncode == 0
