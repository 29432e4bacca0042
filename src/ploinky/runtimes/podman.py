"""Podman, with root and without, over its Docker-compatible socket."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

from ploinky.runtimes.engine import EngineKind, EngineRuntime
from ploinky.runtimes.engine_api import EngineApi
from ploinky.runtimes.engine_config import Traits
from ploinky.runtimes.engine_names import HostsFiles
from ploinky.runtimes.engine_network import Isolation, NetworkOptions
from ploinky.runtimes.engine_seccomp import tightened_profile
from ploinky.runtimes.podman_service import PodmanEndpoint

PODMAN = EngineKind(
    traits=Traits(log_driver="k8s-file", tmpfs_option="notmpcopyup", keeps_id=True),
    # Without "isolate", Podman's networks reach each other.
    networks=NetworkOptions(base=(("isolate", "true"),), link=(("isolate", "true"),), fixed_macs=True),
    isolation=Isolation.PORTS,
    rootless_isolation=Isolation.SEPARATE,
    checks_mounts=True,
)


class PodmanRuntime(EngineRuntime):
    """``folder`` is private to the user and has a short path; all workspaces share the service in it."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        super().__init__(
            EngineApi(PodmanEndpoint(folder, environ)),
            PODMAN,
            seccomp=functools.partial(tightened_profile, folder),
            hosts=HostsFiles(folder),
        )
