"""Runs a plan in a container of Podman or Docker, where bubblewrap cannot run or was not chosen.

The container has no network, a read-only root, no capabilities, a user of its own, and bounds. Its first
process waits for a leash: only through that come the variables (credentials among them), so the engine never
has them; and when this process ends, however it does, so does the container.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import anyio
import anyio.to_thread

from ploinky.base.errors import NotFoundError, PloinkyError
from ploinky.base.waits import wait_until
from ploinky.runtimes.bubblewrap_host import find_host_system
from ploinky.runtimes.docker import DOCKER, DockerEndpoint
from ploinky.runtimes.engine import EngineKind
from ploinky.runtimes.engine_api import EngineApi, EngineError
from ploinky.runtimes.engine_config import CreateBody, Facts
from ploinky.runtimes.engine_images import image_id, import_image, pull
from ploinky.runtimes.engine_models import ContainerReport, ContainerRow
from ploinky.runtimes.engine_mounts import require_meant_mounts
from ploinky.runtimes.engine_seccomp import tightened_profile
from ploinky.runtimes.podman import PODMAN
from ploinky.runtimes.podman_service import PodmanEndpoint
from ploinky.runtimes.protocol import SandboxState
from ploinky.skills.container_body import LABEL, Container, container_body, host_mounts, own_mounts
from ploinky.skills.host_image import host_image
from ploinky.skills.lent import Lent, lend
from ploinky.skills.owner import is_gone, own_mark
from ploinky.skills.runs import Ran, RunPlan
from ploinky.skills.scene import LEASH, First, Scene, held, host_python, seen_env, write_etc
from ploinky.skills.streams import Pipes, converse
from ploinky.workspace.layout import runtime_base

if TYPE_CHECKING:
    from aiodocker import Docker
    from aiodocker.types import JSONObject
    from anyio.abc import SocketListener, UNIXSocketStream

_START_TIMEOUT_S = 60.0
_MARGIN_S = 10.0
_LOOK_S = 1.0
_KILLED = 137


@dataclass(frozen=True)
class Engine:
    """An engine and how its filter of system calls is found."""

    kind: EngineKind
    open: Callable[[], EngineApi]
    seccomp: Callable[[], Path | None]


class ContainerBox:
    """``Box`` over one engine. ``image`` None: this machine's programs in an image of ours."""

    def __init__(self, engine: Engine, environ: Mapping[str, str], image: str | None) -> None:
        self._engine = engine
        self._image = image
        self._host = find_host_system(environ)

    async def require(self) -> None:
        async with self._opened() as api:
            await api.info()

    async def run(self, plan: RunPlan, scene: Scene) -> Ran:
        async with self._opened() as api:
            facts = await self._facts(api)
            await _sweep(api)
            image = await self._ready_image(api)
            sources = _checked(plan)
            lent = lend(plan.folder, rootless=facts.rootless, keeps_id=self._engine.kind.traits.keeps_id)
            try:
                container = self._container(plan, scene, image=image, lent=lent, sources=sources, facts=facts)
                body = container_body(
                    plan, container, proxied=scene.proxied, traits=self._engine.kind.traits, facts=facts
                )
                return await self._serve(api, plan, scene, body)
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(lent.take_back)

    def _container(
        self,
        plan: RunPlan,
        scene: Scene,
        *,
        image: str,
        lent: Lent,
        sources: Mapping[str, Path],
        facts: Facts,
    ) -> Container:
        mounts = own_mounts(plan, scene, sources)
        python = "python3"
        if self._image is None:
            uid, gid = (int(word) for word in lent.user.split(":"))
            self._show_tools(scene)
            mounts += host_mounts(self._host, scene, write_etc(scene, plan, uid=uid, gid=gid))
            python = host_python()
        first = First(python, 0 if facts.limits else plan.bounds.processes, leashed=True)
        return Container(image, first, lent.user, own_mark(), mounts)

    def _show_tools(self, scene: Scene) -> None:
        folder = scene.folder / "tools"
        folder.mkdir(mode=0o755)
        for tool in self._host.tools:
            for name, file in tool.commands if tool.prefix is not None else ():
                (folder / name).symlink_to(file)

    async def _serve(self, api: EngineApi, plan: RunPlan, scene: Scene, body: CreateBody) -> Ran:
        name = f"ploinky-run-{secrets.token_hex(8)}"
        listener = await anyio.create_unix_listener(scene.run / LEASH, mode=0o666)
        try:
            async with listener:
                await _start(api, name, body)
                leash = await _accept(listener, api, name)
            async with leash:
                if self._engine.kind.checks_mounts:
                    await anyio.to_thread.run_sync(require_meant_mounts, await _report(api, name))
                return await _converse(leash, plan, functools.partial(_remove, api, name))
        except EngineError as error:
            raise self._explained(error) from error
        finally:
            with anyio.CancelScope(shield=True):
                await _remove(api, name)

    def _explained(self, error: EngineError) -> PloinkyError:
        hint = None
        if self._image is not None:
            hint = f"The image {self._image} (sandbox.image in config.json) needs Python 3 on its PATH."
        return PloinkyError("SANDBOX_FAILED", f"The container could not be run: {error.reason}", hint=hint)

    async def _facts(self, api: EngineApi) -> Facts:
        info = await api.info()
        return Facts(
            rootless=info.rootless, limits=info.limits, selinux=info.selinux, seccomp=self._engine.seccomp()
        )

    async def _ready_image(self, api: EngineApi) -> str:
        """An image that is here: the one of the settings, pulled if need be, or ours, made if need be."""
        if self._image is None:
            name, layer = host_image(self._host)
            if await image_id(api, name) is None:
                await import_image(api, name, layer)
            return name
        if await image_id(api, self._image) is None:
            try:
                async with contextlib.aclosing(pull(api, self._image)) as lines:
                    async for _ in lines:
                        pass
            except NotFoundError as error:
                raise NotFoundError(
                    error.code,
                    error.message,
                    hint="It is sandbox.image in .ploinky/config.json. Without it skills see the programs of "
                    "this machine, and no image is needed.",
                ) from error
        return self._image

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[EngineApi]:
        api = self._engine.open()
        try:
            yield api
        finally:
            await api.aclose()


def podman_box(environ: Mapping[str, str], image: str | None) -> ContainerBox:
    """Runs in containers of Podman."""
    folder = runtime_base(environ)
    engine = Engine(
        PODMAN,
        lambda: EngineApi(PodmanEndpoint(folder, environ)),
        functools.partial(tightened_profile, folder),
    )
    return ContainerBox(engine, environ, image)


def docker_box(environ: Mapping[str, str], image: str | None) -> ContainerBox:
    """Runs in containers of Docker."""
    return ContainerBox(
        Engine(DOCKER, lambda: EngineApi(DockerEndpoint(environ)), lambda: None), environ, image
    )


async def _start(api: EngineApi, name: str, body: CreateBody) -> None:
    async def start(docker: Docker) -> None:
        container = await docker.containers.create(cast("JSONObject", body), name=name)
        await container.start()

    await api.call(f"starting {name}", start, timeout_s=_START_TIMEOUT_S)


async def _converse(leash: UNIXSocketStream, plan: RunPlan, remove: Callable[[], Awaitable[None]]) -> Ran:
    said = bytearray()
    told = {"env": seen_env(plan), "cwd": plan.cwd, "timeout": plan.bounds.timeout_s + _MARGIN_S}

    async def ended() -> None:
        with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            while not said.endswith(b"\n") and len(said) < 16:
                said.extend(await leash.receive(16))

    async def end() -> None:
        await leash.aclose()
        await remove()

    with Pipes() as pipes:
        await leash.send_fds(b" ", pipes.inner)
        await leash.send(f"{json.dumps(told)}\n".encode())
        pipes.close_inner()
        output, errors, ending = await converse(
            pipes, plan.folder, plan.stdin, plan.bounds, ended=ended, end=end
        )
    code = int(said) if said.strip().isdigit() else _KILLED
    return Ran(code, output, errors, ending)


async def _accept(listener: SocketListener, api: EngineApi, name: str) -> UNIXSocketStream:
    """The leash of the container's first process.

    Raises:
        PloinkyError: ``SANDBOX_FAILED`` if it ended before, or does not come.
    """
    deadline = anyio.current_time() + _START_TIMEOUT_S
    while anyio.current_time() < deadline:
        with anyio.move_on_after(_LOOK_S):
            return cast("UNIXSocketStream", await listener.accept())
        report = await _find(api, name)
        if report is None or report.sandbox().state is not SandboxState.RUNNING:
            break
    raise PloinkyError("SANDBOX_FAILED", "The container's first process ended before it began.")


async def _find(api: EngineApi, name: str) -> ContainerReport | None:
    try:
        return await api.read(f"containers/{name}/json", ContainerReport)
    except EngineError as error:
        if error.missing:
            return None
        raise


async def _report(api: EngineApi, name: str) -> ContainerReport:
    report = await _find(api, name)
    if report is None:
        raise PloinkyError("SANDBOX_FAILED", "The container ended before it began.")
    return report


async def _remove(api: EngineApi, name: str) -> None:
    """Remove a container with all of its processes; returns when it is gone."""

    async def delete(docker: Docker) -> None:
        await docker.containers.container(name).delete(force=True)

    async def gone() -> bool:
        try:
            await api.call(f"removing {name}", delete)
        except EngineError as error:
            return error.missing  # otherwise the engine removes it by itself just now
        return True

    await wait_until(gone, what=f"the container {name} to be removed", timeout_s=_START_TIMEOUT_S)


async def _sweep(api: EngineApi) -> None:
    """Remove containers whose owners were killed before they could start them."""
    asked = {"all": "1", "filters": json.dumps({"label": [LABEL]})}
    for row in await api.read("containers/json", list[ContainerRow], asked):
        if is_gone(row.labels[LABEL]):
            await _remove(api, row.name)


def _checked(plan: RunPlan) -> dict[str, Path]:
    """What the plan shows, by where; no part of a path is a link."""
    found = {}
    for target, path in {**plan.shown, plan.seen_at: plan.folder}.items():
        found[target] = path.absolute()
        os.close(held(found[target]))
    return found
