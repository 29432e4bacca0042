"""What the contract suite needs of an engine besides the ``Runtime`` protocol.

To put one more engine under the contract: a module with an async context manager ``engine(folder)`` that
yields an ``EngineUnderTest``, a function ``unusable()``, and a row in ``ENGINES`` of ``conftest.py``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from ploinky.runtimes.protocol import Runtime
from ploinky.runtimes.spec import RunSpec


class Trait(StrEnum):
    """What an engine does beyond the state table; tests that need a trait are skipped without it."""

    ISOLATES = "isolates"  # real file systems, users, namespaces: mounts, masks, rights
    PROCESSES = "processes"  # real programs run inside, by the launcher
    OUTLIVES = "outlives"  # sandboxes outlive the process that made them, and another process finds them
    MEMORY = "memory"  # the memory limit kills
    PIDS = "pids"  # the limit on processes holds


@dataclass(frozen=True)
class EngineUnderTest:
    """One engine, ready.

    ``open_runtime`` makes a further, independent runtime object over the same engine. ``second_process``
    is Python source of an expression that makes one in another process (``None`` without ``OUTLIVES``).
    ``base`` is a spec with every folder made whose sandbox runs ``/bin/sh`` and the usual small tools;
    ``leftovers(name)`` lists what still exists of a removed sandbox: processes, containers, networks,
    mounts, cgroups, files (logs do not count). ``half_make(spec)`` leaves what a command leaves behind that
    is killed in the middle of ``create``.
    """

    kind: str
    folder: Path
    traits: frozenset[Trait]
    open_runtime: Callable[[], Runtime]
    base: RunSpec
    leftovers: Callable[[str], list[str]]
    half_make: Callable[[RunSpec], None] = lambda spec: None
    second_process: str | None = None
    names: list[str] = field(default_factory=list)

    def spec(self, suffix: str, **changes: Any) -> RunSpec:
        """A spec of its own name and folders, with fields replaced; removed when the test ends."""
        name = f"{self.base.name}-{suffix}"
        socket_dir = self.base.socket_dir.parent / suffix
        socket_dir.mkdir(mode=0o700, exist_ok=True)
        self.names.append(name)
        fields: dict[str, Any] = {
            "name": name,
            "agent": suffix,
            "socket_dir": socket_dir,
            "log_path": self.base.log_path.parent / f"{suffix}.log",
        }
        return replace(self.base, **{**fields, **changes})


class EngineModule(Protocol):
    """The two functions of a module named in ``ENGINES``.

    ``unusable`` is called outside any event loop; ``events`` of its runtimes must tell of everything from
    the moment of the call on, even when the first event is awaited later.
    """

    def unusable(self) -> str | None:
        """Why this engine cannot be tested here, or None."""

    def engine(self, folder: Path) -> AbstractAsyncContextManager[EngineUnderTest]:
        """The engine with its folders under ``folder``; leaves nothing behind when it closes."""


async def create(runtime: Runtime, spec: RunSpec) -> list[str]:
    """Create to the end; the lines of progress."""
    return [line async for line in runtime.create(spec)]


async def first(stream: AsyncIterator[bytes], wanted: bytes) -> bytes:
    """What a stream of logs gave up to and including ``wanted``."""
    seen = b""
    async for chunk in stream:
        seen += chunk
        if wanted in seen:
            break
    return seen
