"""Runs a program that nobody trusts: one writable folder, a clean environment, bounds on all.

The system is read-only; there is no network but the proxy of ``proxy`` to the hosts of the plan. The whole
tree of processes ends with the call. It is done by bubblewrap, or by a container engine where bubblewrap
cannot run or the settings say so; without either nothing runs. Assistants' ``exec`` uses it too. To add a
way: a ``Box`` and a row in ``_BOXES``.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace

import anyio
import anyio.to_thread

from ploinky.base.errors import PloinkyError
from ploinky.base.outbound import OutboundPolicy
from ploinky.runtimes.errors import runtime_unavailable
from ploinky.skills.lent import make_plain
from ploinky.skills.owner import make_run_folder
from ploinky.skills.proxy import ProxyRules, serving_proxy, upstream_of
from ploinky.skills.runs import Ran, RunPlan
from ploinky.skills.scene import PROXY, Box, make_scene
from ploinky.workspace.settings import SandboxSettings


def _bubblewrap(environ: Mapping[str, str], settings: SandboxSettings) -> Box:
    from ploinky.skills.bubblewrap import BubblewrapBox

    return BubblewrapBox(environ)


def _podman(environ: Mapping[str, str], settings: SandboxSettings) -> Box:
    from ploinky.skills.containers import podman_box

    return podman_box(environ, settings.image)


def _docker(environ: Mapping[str, str], settings: SandboxSettings) -> Box:
    from ploinky.skills.containers import docker_box

    return docker_box(environ, settings.image)


_BOXES: dict[str, Callable[[Mapping[str, str], SandboxSettings], Box]] = {
    "bubblewrap": _bubblewrap,
    "podman": _podman,
    "docker": _docker,
}
"""In the order in which ``auto`` tries them."""


class Sandbox:
    """Runs plans on this machine. ``environ`` is that of the product, ``policy`` that of its fetches."""

    def __init__(
        self,
        environ: Mapping[str, str],
        policy: OutboundPolicy | None = None,
        settings: SandboxSettings | None = None,
    ) -> None:
        self._environ = dict(environ)
        self._policy = policy or OutboundPolicy()
        self._settings = settings or SandboxSettings()
        self._box: Box | None = None

    async def run(self, plan: RunPlan) -> Ran:
        """Run ``plan`` to its end or its bounds.

        Raises:
            PloinkyError: ``RUNTIME_UNAVAILABLE`` where no sandbox can be made: then nothing runs at all;
                ``SKILL_FOLDER`` if a path of the plan is a link; ``IMAGE_NOT_FOUND``.
        """
        if self._box is None:
            self._box = await self._choose()
        rules = ProxyRules(plan.hosts, self._policy, upstream_of(self._environ))
        folder = make_run_folder()
        try:
            scene = make_scene(folder, proxied=bool(plan.hosts))
            with contextlib.suppress(FileExistsError):  # a link that a program left there stays one
                (plan.folder / ".home").mkdir()
            async with contextlib.AsyncExitStack() as stack:
                if scene.proxied:
                    await stack.enter_async_context(serving_proxy(scene.run / PROXY, rules))
                try:
                    ran = await self._box.run(plan, scene)
                finally:
                    with anyio.CancelScope(shield=True):
                        await anyio.to_thread.run_sync(make_plain, plan.folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return replace(ran, refused=tuple(dict.fromkeys(rules.refused)))

    async def _choose(self) -> Box:
        asked = self._settings.engine
        names = tuple(_BOXES) if asked == "auto" else (asked,)
        reasons: list[PloinkyError] = []
        for name in names:
            box = _BOXES[name](self._environ, self._settings)
            try:
                await box.require()
            except PloinkyError as error:
                reasons.append(error)
            else:
                return box
        if len(reasons) == 1:
            raise reasons[0]
        said = " ".join(error.message for error in reasons)
        raise runtime_unavailable("for skills", said, hint=reasons[0].hint)
