"""A runtime over a Docker-compatible engine; ``podman.py`` and ``docker.py`` say which.

The launcher is the container's first process and the only one that the engine starts: programs, installs
and probes go through its socket. Knows no manifest. What differs between engines is in ``EngineKind``.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import anyio

from ploinky.base.errors import PloinkyError
from ploinky.runtimes.engine_api import CALL_TIMEOUT_S, EngineApi, EngineError
from ploinky.runtimes.engine_bridges import bridges_are_ours, close_ways, isolate_ports
from ploinky.runtimes.engine_config import Attachment, Facts, Traits, create_body
from ploinky.runtimes.engine_host import (
    ask_launcher_to_end,
    container_user,
    empty,
    hand_over,
    launcher_socket,
    make_socket_folder,
    outbound_address,
)
from ploinky.runtimes.engine_images import image_id, pull
from ploinky.runtimes.engine_models import ContainerReport, EngineEvent, EngineInfo
from ploinky.runtimes.engine_mounts import require_meant_mounts
from ploinky.runtimes.engine_names import HostsFiles, tell_names
from ploinky.runtimes.engine_network import (
    Isolation,
    NetworkOptions,
    WorkspaceNetworks,
    base_name,
    label_filter,
)
from ploinky.runtimes.engine_streams import demultiplexed, event_moment, json_lines, log_parameters
from ploinky.runtimes.errors import (
    create_failed,
    name_in_use,
    remove_failed,
    sandbox_not_found,
    start_failed,
    stop_failed,
)
from ploinky.runtimes.launcher_ready import wait_for_launcher
from ploinky.runtimes.protocol import (
    RuntimeEvent,
    RuntimeEventKind,
    RuntimeHealth,
    Sandbox,
    SandboxState,
)
from ploinky.runtimes.spec import LABEL_AGENT, LABEL_WORKSPACE, NetworkMode, RunSpec

if TYPE_CHECKING:
    from aiodocker import Docker
    from aiodocker.containers import DockerContainer
    from aiodocker.types import JSONObject

START_TIMEOUT_S = 20.0
STOP_MARGIN_S = 10.0
REJOIN_FIRST_S = 0.1
REJOIN_LONGEST_S = 5.0
LIST_WIDTH = 8
ROOTLESS_REACH = ("podman", "unshare", "--rootless-netns")
LAST_LINES = 5
ENDED_HINT = "Is the image made for this machine's processor? See: ploinky doctor"
NO_LIMITS = (
    "Limits on memory, CPU and processes do not hold here: the engine is rootless and the machine uses "
    "cgroup v1."
)


@dataclass(frozen=True)
class EngineKind:
    """One engine: its words, its networks, and how its rootless form keeps agents apart.

    ``checks_mounts``: its processes are in this machine's ``/proc``, so that mounts can be looked at.
    """

    traits: Traits
    networks: NetworkOptions
    isolation: Isolation
    rootless_isolation: Isolation
    checks_mounts: bool = False


class EngineRuntime:
    """``Runtime`` over one engine; see the protocol for every call's contract.

    ``seccomp`` gives the profile to use instead of the engine's own; None leaves that in force. With
    ``hosts`` agents know each other's names by files that are kept there, not by the engine's name server.
    """

    def __init__(
        self,
        api: EngineApi,
        kind: EngineKind,
        *,
        seccomp: Callable[[], Path | None] = lambda: None,
        hosts: HostsFiles | None = None,
    ) -> None:
        self._api = api
        self._kind = kind
        self._seccomp = seccomp
        self._hosts = hosts
        self._networks = WorkspaceNetworks(api, kind.networks)

    @property
    def kind(self) -> str:
        return self._api.kind

    @property
    def uses_images(self) -> bool:
        return True

    async def check(self) -> RuntimeHealth:
        try:
            info = await self._api.read("info", EngineInfo)
        except PloinkyError as error:
            return RuntimeHealth(usable=False, version=None, reason=error.message, hint=error.hint)
        return RuntimeHealth(usable=True, version=info.version, reason=_description(info))

    async def router_host(self, workspace: str) -> str:
        """Where the workspace has a network of its own on this host, the host's address there.

        It is the same at all times; as the interface comes and goes with the agents, listen with
        IP_FREEBIND. Elsewhere it is the host's address on its way out.
        """
        if await self._isolation() is Isolation.SEPARATE:
            return outbound_address()
        return await self._networks.host_address(workspace)

    async def image_id(self, image: str) -> str | None:
        return await image_id(self._api, image)

    async def create(self, spec: RunSpec) -> AsyncGenerator[str, None]:
        if await self._report(spec.name) is not None:
            raise name_in_use(spec.name)
        facts = await self._facts()
        if not facts.limits:
            yield NO_LIMITS
        if await self.image_id(spec.image) is None:
            async with aclosing(pull(self._api, spec.image)) as lines:
                async for line in lines:
                    yield line
        try:
            with anyio.CancelScope(shield=True):  # a request that was sent is carried out: all or nothing
                await self._make(spec, facts)
        except PloinkyError as error:
            if await self._report(spec.name) is not None:
                raise name_in_use(spec.name) from error
            await self.forget(spec.workspace)
            if isinstance(error, EngineError):
                raise create_failed(spec.name, error.reason) from error
            raise

    async def start(self, name: str) -> None:
        report = await self._require(name)
        socket = launcher_socket(report.socket_dir)
        if socket is None:
            raise start_failed(name, "it was not made by this program.", hint="Remove it by hand.")
        if report.sandbox().state is SandboxState.RUNNING:
            await self._wait_for_launcher(name, socket)
            return
        try:
            with anyio.CancelScope(shield=True):  # what the engine was told to start is known to run
                make_socket_folder(report)
                if self._hosts is not None:
                    self._hosts.ensure(report.config.labels[LABEL_WORKSPACE], name)
                await self._networks.join(report)
                await self._act(name, "starting", lambda each: each.start())
                if self._kind.checks_mounts:
                    await anyio.to_thread.run_sync(require_meant_mounts, await self._require(name))
                await self._keep_apart(report)
                if self._hosts is not None:
                    await tell_names(self._networks, self._hosts, report)
            await self._wait_for_launcher(name, socket)
        except BaseException as error:
            with anyio.CancelScope(shield=True):
                await self._kill(name)
            if isinstance(error, EngineError):
                raise start_failed(name, error.reason) from error
            raise

    async def stop(self, name: str, *, grace_s: float) -> None:
        report = await self._report(name)
        if report is None or report.sandbox().state is not SandboxState.RUNNING:
            return
        socket = launcher_socket(report.socket_dir)
        if socket is not None and grace_s > 0:
            await ask_launcher_to_end(socket, grace_s=grace_s)
        seconds = max(0, math.ceil(grace_s))
        try:
            await self._act(
                name, "stopping", lambda each: each.stop(t=seconds), timeout_s=grace_s + STOP_MARGIN_S
            )
        except PloinkyError:
            await self._kill(name)
        left = await self._report(name)
        if left is not None and left.sandbox().state is SandboxState.RUNNING:
            raise stop_failed(name, "the engine says that it still runs.")

    async def remove(self, name: str) -> None:
        report = await self._report(name)
        if report is None:
            return
        try:
            await self._act(name, "removing", lambda each: each.delete(force=True, v=True))
        except EngineError as error:
            if not error.missing:
                raise remove_failed(name, error.reason) from error
        if report.socket_dir is not None:
            empty(Path(report.socket_dir))
        workspace = report.config.labels.get(LABEL_WORKSPACE)
        if workspace is not None:
            await self.forget(workspace)

    async def forget(self, workspace: str) -> None:
        await self._networks.sweep(workspace)
        if self._hosts is not None:
            self._hosts.keep(workspace, {row.name for row in await self._networks.containers(workspace)})

    async def inspect(self, name: str) -> Sandbox | None:
        report = await self._report(name)
        return None if report is None else report.sandbox()

    async def list(self, workspace: str) -> list[Sandbox]:
        rows = await self._networks.containers(workspace)
        found: dict[str, Sandbox] = {}
        width = anyio.CapacityLimiter(LIST_WIDTH)

        async def look(name: str) -> None:
            async with width:
                sandbox = await self.inspect(name)
            if sandbox is not None:
                found[name] = sandbox

        async with anyio.create_task_group() as tasks:
            for row in rows:
                tasks.start_soon(look, row.name)
        return [found[name] for name in sorted(found)]

    async def logs(
        self, name: str, *, follow: bool = False, tail: int | None = None, since: str | None = None
    ) -> AsyncGenerator[bytes, None]:
        parameters = log_parameters(follow=follow, tail=tail, since=since)
        try:
            async with (
                self._api.stream(f"containers/{name}/logs", parameters) as body,
                aclosing(demultiplexed(body)) as chunks,
            ):
                async for chunk in chunks:
                    yield chunk
        except EngineError as error:
            if error.missing:
                raise sandbox_not_found(name) from error
            raise

    async def events(self, workspace: str) -> AsyncGenerator[RuntimeEvent, None]:
        wanted = label_filter(workspace, type=["container"])
        pause_s, missed, told_ns = REJOIN_FIRST_S, False, time.time_ns()
        while True:
            with suppress(PloinkyError):  # it is looked for again after the pause
                parameters = {**wanted, "since": event_moment(told_ns)}
                async with (
                    self._api.stream("events", parameters) as body,
                    aclosing(json_lines(body, EngineEvent)) as lines,
                ):
                    pause_s = REJOIN_FIRST_S
                    if missed:
                        yield RuntimeEvent(RuntimeEventKind.RESYNC, "")
                    async for line in lines:
                        told_ns = max(told_ns, line.time_ns)
                        event = line.event()
                        if event is not None:
                            yield event
            missed = True
            await anyio.sleep(pause_s)
            pause_s = min(REJOIN_LONGEST_S, pause_s * 2)

    async def aclose(self) -> None:
        await self._api.aclose()

    async def _make(self, spec: RunSpec, facts: Facts) -> None:
        user = container_user(spec, facts)
        if not facts.rootless:
            hand_over(spec.socket_dir, user)
        base = await self._ready_networks(spec)
        body = create_body(spec, base=base, user=user, traits=self._kind.traits, facts=facts)

        async def make(docker: Docker) -> None:
            await docker.containers.create(cast("JSONObject", body), name=spec.name)

        try:
            await self._api.call(f"creating {spec.name}", make)
        except EngineError:
            if base is None or await self._networks.find(base.network) is not None:
                raise
            await self._ready_networks(spec)  # another command had just removed it as unused
            await self._api.call(f"creating {spec.name}", make)
        try:
            await self._networks.join(await self._require(spec.name), named=spec.network.name)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.remove(spec.name)
            raise

    async def _ready_networks(self, spec: RunSpec) -> Attachment | None:
        """The base network that the container is made in; None if its mode wants none of ours."""
        if spec.network.mode is not NetworkMode.WORKSPACE:
            return None
        isolation = await self._isolation()
        network = await self._networks.ensure_base(spec.workspace, spec.agent, isolation)
        await self._networks.ensure_links(spec)
        hosts = None if self._hosts is None else self._hosts.ensure(spec.workspace, spec.name)
        return self._networks.attachment(spec.name, network, hosts)

    async def _facts(self) -> Facts:
        info = await self._api.info()
        return Facts(
            rootless=info.rootless, limits=info.limits, selinux=info.selinux, seccomp=self._seccomp()
        )

    async def _isolation(self) -> Isolation:
        info = await self._api.info()
        wanted = self._kind.rootless_isolation if info.rootless else self._kind.isolation
        return Isolation.SEPARATE if wanted is Isolation.PORTS and not bridges_are_ours() else wanted

    async def _keep_apart(self, report: ContainerReport) -> None:
        labels, isolation = report.config.labels, await self._isolation()
        network = base_name(labels[LABEL_WORKSPACE], labels[LABEL_AGENT], isolation)
        if network not in report.network.networks:
            return
        if isolation is Isolation.PORTS:
            await anyio.to_thread.run_sync(isolate_ports, network)
        reach = await self._reach()
        if reach is not None:
            await close_ways(network, reach)

    async def _reach(self) -> tuple[str, ...] | None:
        """The words that lead to the engine's bridges; None where they are out of reach, or kept by it."""
        if self._kind.isolation is Isolation.ENGINE:
            return None
        if (await self._api.info()).rootless:
            return ROOTLESS_REACH
        return () if bridges_are_ours() else None

    async def _report(self, name: str) -> ContainerReport | None:
        try:
            return await self._api.read(f"containers/{name}/json", ContainerReport)
        except EngineError as error:
            if error.missing:
                return None
            raise

    async def _require(self, name: str) -> ContainerReport:
        report = await self._report(name)
        if report is None:
            raise sandbox_not_found(name)
        return report

    async def _act(
        self,
        name: str,
        what: str,
        request: Callable[[DockerContainer], Awaitable[None]],
        *,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> None:
        async def act(docker: Docker) -> None:
            await request(docker.containers.container(name))

        await self._api.call(f"{what} {name}", act, timeout_s=timeout_s)

    async def _kill(self, name: str) -> None:
        with suppress(PloinkyError):  # it does not run
            await self._act(name, "killing", lambda each: each.kill(signal="SIGKILL"))
        with suppress(PloinkyError):
            await self._act(name, "the end of", _ended)

    async def _wait_for_launcher(self, name: str, socket: Path) -> None:
        async def alive() -> bool:
            sandbox = await self.inspect(name)
            return sandbox is not None and sandbox.state is SandboxState.RUNNING

        what = f"the launcher of {name}"
        if not await wait_for_launcher(socket, alive=alive, what=what, timeout_s=START_TIMEOUT_S):
            raise start_failed(name, await self._how_it_ended(name), hint=ENDED_HINT)

    async def _how_it_ended(self, name: str) -> str:
        sandbox = await self.inspect(name)
        if sandbox is None:
            return "it was removed meanwhile."
        async with aclosing(self.logs(name, tail=LAST_LINES)) as chunks:
            printed = b"".join([chunk async for chunk in chunks]).decode("utf-8", "replace").strip()
        said = f" It printed: {printed}" if printed else ""
        return f"its launcher ended at once with exit code {sandbox.exit_code}.{said}"


async def _ended(container: DockerContainer) -> None:
    await container.wait()


def _description(info: EngineInfo) -> str:
    manner = "rootless" if info.rootless else "as root"
    limits = "limits hold" if info.limits else "limits do not hold"
    return f"version {info.version}, {manner}, cgroup v{info.cgroup_version or '?'}: {limits}."
