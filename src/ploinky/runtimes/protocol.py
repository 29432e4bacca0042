"""What every engine can do, and how it behaves in each state.

A sandbox is ABSENT, CREATED (made, nothing runs), RUNNING (its launcher runs) or EXITED. Every call is
asynchronous and has a deadline. To add an engine: implement ``Runtime`` and pass the contract suite
(tests/contract/test_runtime_contract.py).

| call   | ABSENT            | CREATED     | RUNNING     | EXITED      |
|--------|-------------------|-------------|-------------|-------------|
| create | makes CREATED     | NAME_IN_USE | NAME_IN_USE | NAME_IN_USE |
| start  | SANDBOX_NOT_FOUND | RUNNING     | no-op       | RUNNING     |
| stop   | no-op             | no-op       | EXITED      | no-op       |
| remove | no-op             | ABSENT      | ABSENT      | ABSENT      |

``start`` returns when the launcher answers on its socket. ``stop`` asks with TERM and kills what is left
after the grace; no process of the sandbox outlives it. ``remove`` also removes the socket folder's
contents, networks that no other sandbox of the workspace uses, and everything else that ``create`` made.
``forget`` does this for what no sandbox has: a command may be killed before it made one.
Programs inside are run through ``ploinky.channel.Channel`` over ``RunSpec.socket_path``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from ploinky.runtimes.spec import PublishedPort, RunSpec

LOOPBACK = "127.0.0.1"


class SandboxState(StrEnum):
    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"


@dataclass(frozen=True)
class Sandbox:
    """What an engine reports of one sandbox. ``started_at`` is ISO 8601 UTC; ``ports`` are as bound;
    ``image_id`` is the content that it was made from, None where images are hints."""

    name: str
    id: str
    state: SandboxState
    labels: dict[str, str]
    pid: int | None = None
    exit_code: int | None = None
    started_at: str | None = None
    ports: tuple[PublishedPort, ...] = ()
    image_id: str | None = None


class RuntimeEventKind(StrEnum):
    STARTED = "started"
    DIED = "died"
    REMOVED = "removed"
    RESYNC = "resync"  # the stream broke and was joined again: events may be missing, ask ``list``


@dataclass(frozen=True)
class RuntimeEvent:
    kind: RuntimeEventKind
    name: str
    exit_code: int | None = None


@dataclass(frozen=True)
class RuntimeHealth:
    """Whether an engine can be used here, for ``doctor``; ``reason`` and ``hint`` are for people."""

    usable: bool
    version: str | None
    reason: str
    hint: str | None = None


class Runtime(Protocol):
    """One engine. Failures are ``PloinkyError`` with a code of ``errors.py`` beside this file."""

    @property
    def kind(self) -> str:
        """``sandbox``, ``podman``, ``docker`` or ``fake``."""

    @property
    def uses_images(self) -> bool:
        """Whether agents see the programs of their image; else it is a hint and they see this machine's."""

    async def check(self) -> RuntimeHealth: ...

    async def image_id(self, image: str) -> str | None:
        """The content that ``image`` names now; None if it is not here, or where images are hints."""

    def create(self, spec: RunSpec) -> AsyncIterator[str]:
        """Make the sandbox; yields lines of progress (an image pull), nothing else. Not started."""

    async def start(self, name: str) -> None: ...

    async def stop(self, name: str, *, grace_s: float) -> None: ...

    async def remove(self, name: str) -> None: ...

    async def inspect(self, name: str) -> Sandbox | None: ...

    async def list(self, workspace: str) -> list[Sandbox]:
        """All sandboxes labelled with the workspace, in any state, sorted by name."""

    async def forget(self, workspace: str) -> None:
        """Remove what was made for the workspace and no sandbox of it uses. Sandboxes stay as they are."""

    async def router_host(self, workspace: str) -> str:
        """The host's address as agents of the workspace reach it; the router listens there too.

        Nothing is made by asking. The address may be that of an interface which comes and goes with agents.
        """

    def logs(
        self, name: str, *, follow: bool = False, tail: int | None = None, since: str | None = None
    ) -> AsyncIterator[bytes]:
        """What the sandbox's first process and its children printed, in order, in chunks."""

    def events(self, workspace: str) -> AsyncIterator[RuntimeEvent]:
        """Changes from now on, without end; survives a restart of the engine (``RESYNC``)."""

    async def aclose(self) -> None: ...
