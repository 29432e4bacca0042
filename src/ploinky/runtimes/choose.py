"""Which engine holds the agents: the one asked for, or the first that can be used.

``auto`` prefers a responding Podman or Docker, which have images, and falls back to bubblewrap. Engines
are imported when they are made, because their clients are slow to import. To add one: a row in
``_FACTORIES``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ploinky.runtimes import errors
from ploinky.runtimes.protocol import Runtime, RuntimeHealth
from ploinky.workspace.layout import Layout, runtime_base

AUTO = "auto"


@dataclass(frozen=True)
class Place:
    """Where an engine works; without a workspace it can only be asked for its health."""

    layout: Layout | None
    environ: Mapping[str, str]


def _podman(place: Place) -> Runtime:
    from ploinky.runtimes.podman import PodmanRuntime

    return PodmanRuntime(runtime_base(place.environ), place.environ)


def _docker(place: Place) -> Runtime:
    from ploinky.runtimes.docker import DockerRuntime

    return DockerRuntime(place.environ)


def _sandbox(place: Place) -> Runtime:
    from ploinky.runtimes.bubblewrap import BubblewrapRuntime

    running = place.layout.running if place.layout is not None else Path("/nonexistent")
    return BubblewrapRuntime(running / "sandboxes", place.environ)


_FACTORIES: dict[str, Callable[[Place], Runtime]] = {
    "podman": _podman,
    "docker": _docker,
    "sandbox": _sandbox,
}
RUNTIME_NAMES = tuple(_FACTORIES)
"""In the order in which ``auto`` tries them."""


def make_runtime(name: str, layout: Layout | None, environ: Mapping[str, str]) -> Runtime:
    """The engine of a name, not asked whether it can be used.

    Raises:
        UsageError: ``UNKNOWN_RUNTIME``.
    """
    factory = _FACTORIES.get(name)
    if factory is None:
        raise errors.unknown_runtime(name, (AUTO, *RUNTIME_NAMES))
    return factory(Place(layout, environ))


async def health_of(name: str, environ: Mapping[str, str]) -> RuntimeHealth:
    """Whether an engine can be used here, and why."""
    runtime = make_runtime(name, None, environ)
    try:
        return await runtime.check()
    finally:
        await runtime.aclose()


async def choose_runtime(name: str, *, layout: Layout, environ: Mapping[str, str]) -> Runtime:
    """The engine asked for by name, or for ``auto`` the first that can be used. The caller closes it.

    Raises:
        UsageError: ``UNKNOWN_RUNTIME``.
        PloinkyError: ``RUNTIME_UNAVAILABLE`` for ``auto`` when no engine can be used, saying why not.
    """
    if name != AUTO:
        return make_runtime(name, layout, environ)
    reasons = []
    for each in RUNTIME_NAMES:
        runtime = make_runtime(each, layout, environ)
        try:
            health = await runtime.check()
        except BaseException:
            await runtime.aclose()
            raise
        if health.usable:
            return runtime
        await runtime.aclose()
        reasons.append(f"{each}: {health.reason}")
        hint = health.hint
    raise errors.runtime_unavailable(AUTO, "; ".join(reasons), hint=hint)
