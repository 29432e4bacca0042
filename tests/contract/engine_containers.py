"""Podman and Docker under the contract: they differ only in how a runtime is opened."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Callable
from pathlib import Path

from ploinky.channel.binary import launcher_folder
from ploinky.runtimes.protocol import Runtime
from ploinky.runtimes.spec import LABEL_WORKSPACE, RunSpec
from tests import engines
from tests.contract.engine_under_test import EngineUnderTest, Trait

TIMEOUT_S = 60


def under_test(
    kind: str, folder: Path, open_runtime: Callable[[], Runtime], second_process: str
) -> EngineUnderTest:
    """An engine whose sandboxes live in a workspace of their own."""
    workspace = secrets.token_hex(8)
    for each in ("s", "logs"):
        (folder / each).mkdir(mode=0o700, exist_ok=True)
    base = RunSpec(
        name=f"ploinky_test_{workspace}",
        workspace=workspace,
        agent="base",
        image=engines.image(kind),
        socket_dir=folder / "s" / "base",
        launcher_dir=launcher_folder(os.environ),
        log_path=folder / "logs" / "base.log",
    )
    return EngineUnderTest(
        kind=kind,
        folder=folder,
        traits=frozenset({Trait.ISOLATES, Trait.PROCESSES, Trait.OUTLIVES, Trait.MEMORY, Trait.PIDS}),
        open_runtime=open_runtime,
        base=base,
        leftovers=lambda name: leftovers(kind, folder, workspace, name),
        half_make=lambda spec: half_make(kind, spec),
        second_process=second_process,
    )


def half_make(kind: str, spec: RunSpec) -> None:
    """A network, and no container in it yet."""
    label = f"{LABEL_WORKSPACE}={spec.workspace}"
    output(kind, "network", "create", "--label", label, f"ploinky_{spec.workspace}__half")


def leftovers(kind: str, folder: Path, workspace: str, name: str) -> list[str]:
    """Containers of a name, networks of the workspace that nothing uses, files in its socket folder."""
    containers = output(kind, "ps", "--all", "--format", "{{.Names}}").split()
    found = [f"container {each}" for each in containers if each == name]
    label = f"label={LABEL_WORKSPACE}={workspace}"
    if not output(kind, "ps", "--all", "--quiet", "--filter", label).split():
        listed = output(kind, "network", "ls", "--filter", label, "--format", "{{.Name}}")
        found += [f"network {each}" for each in listed.split()]
    suffix = name.rsplit("-", 1)[-1]
    found += [f"file {each}" for each in (folder / "s" / suffix).glob("*")]
    return found


def output(*argv: str) -> str:
    """What a program of the host prints."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    return done.stdout
