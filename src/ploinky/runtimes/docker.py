"""Docker, where a daemon answers: at ``DOCKER_HOST`` or the system's socket."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ploinky.runtimes.engine import EngineKind, EngineRuntime
from ploinky.runtimes.engine_api import EngineAddress, EngineApi, is_socket, who_answers
from ploinky.runtimes.engine_config import Traits
from ploinky.runtimes.engine_network import Isolation, NetworkOptions
from ploinky.runtimes.errors import runtime_unavailable

DOCKER = EngineKind(
    traits=Traits(log_driver="json-file", tmpfs_option=None, keeps_id=False),
    networks=NetworkOptions(
        base=(("com.docker.network.bridge.enable_icc", "false"),), link=(), fixed_macs=False
    ),
    isolation=Isolation.ENGINE,
    rootless_isolation=Isolation.ENGINE,
)
SYSTEM_SOCKET = Path("/var/run/docker.sock")
PROBE_TIMEOUT_S = 5.0


class DockerEndpoint:
    """The daemon's address; it is never started from here."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    @property
    def kind(self) -> str:
        return "docker"

    async def open(self) -> EngineAddress:
        """A Docker daemon that answers.

        Raises:
            PloinkyError: RUNTIME_UNAVAILABLE.
        """
        given = self._environ.get("DOCKER_HOST")
        url = given or f"unix://{SYSTEM_SOCKET}"
        if not url.startswith(("unix://", "tcp://")):
            raise runtime_unavailable(
                "docker", f"DOCKER_HOST ({url}) is neither unix:// nor tcp://.", hint="Use one of these."
            )
        if given is None and not is_socket(SYSTEM_SOCKET):
            raise runtime_unavailable(
                "docker",
                f"there is no {SYSTEM_SOCKET} and DOCKER_HOST is not set.",
                hint="Start the Docker daemon (systemctl start docker), or install podman.",
            )
        address = await who_answers(url, timeout_s=PROBE_TIMEOUT_S)
        if address is None:
            raise runtime_unavailable(
                "docker",
                f"no daemon answers at {url}, or this user may not use it.",
                hint="Start it (systemctl start docker), or join the group 'docker'.",
            )
        if address.kind != "docker":
            raise runtime_unavailable(
                "docker", f"Podman answers at {url}.", hint="Use it by its name: --runtime podman"
            )
        return address


class DockerRuntime(EngineRuntime):
    """Finds the daemon by ``environ``."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(EngineApi(DockerEndpoint(environ)), DOCKER)
