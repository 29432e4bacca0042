"""Every sandbox of skills that this machine can test, and one way to run a script or a program in it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from ploinky.base.outbound import OutboundPolicy
from ploinky.skills.runs import Bounds, Ran, RunPlan
from ploinky.skills.sandbox import Sandbox
from ploinky.workspace.settings import SandboxSettings
from tests import engines

PATIENT = Bounds(timeout_s=90)
ENGINES = [
    pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("bubblewrap", "podman", "docker")
]


def require_engine(name: str) -> None:
    """End the test where the engine is not here."""
    if name == "bubblewrap":
        if shutil.which("bwrap") is None:
            engines.absent("bubblewrap", "bwrap is not installed")
        return
    reason = engines.missing_engine(name)
    if reason is not None:
        engines.absent(name, reason)


@dataclass(frozen=True)
class Trial:
    """A sandbox of one engine and the writable folder of its runs."""

    engine: str
    folder: Path

    def sandbox(self, policy: OutboundPolicy | None = None) -> Sandbox:
        return Sandbox(os.environ, policy, SandboxSettings.model_validate({"engine": self.engine}))

    async def run(
        self, *argv: str, hosts: str = "", env: dict[str, str] | None = None, bounds: Bounds = PATIENT
    ) -> Ran:
        """Run words; ``hosts`` are separated by blanks, those of the loopback are named by a person."""
        policy = OutboundPolicy(allow=frozenset(each for each in hosts.split() if each.startswith("127.")))
        plan = RunPlan(argv, self.folder, frozenset(hosts.split()), env or {}, bounds=bounds)
        return await self.sandbox(policy).run(plan)

    async def shell(self, script: str, hosts: str = "", bounds: Bounds = PATIENT) -> Ran:
        return await self.run("sh", "-c", script, hosts=hosts, bounds=bounds)

    async def python(self, program: str, *words: str, hosts: str = "", bounds: Bounds = PATIENT) -> Ran:
        """Run a program of Python that lies in the folder, as one of a skill does."""
        (self.folder / "attack.py").write_text(program, encoding="utf-8")
        return await self.run("python3", "attack.py", *words, hosts=hosts, bounds=bounds)


@pytest.fixture(params=ENGINES)
def trial(request: pytest.FixtureRequest, tmp_path: Path) -> Trial:
    require_engine(request.param)
    folder = tmp_path / "skill"
    folder.mkdir()
    return Trial(request.param, folder)
