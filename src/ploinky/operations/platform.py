"""What every operation stands on: one frozen value, made by the composition root."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from ploinky.secrets.stores import SecretStores
from ploinky.workspace.layout import Layout
from ploinky.workspace.profiles import ActiveProfile

if TYPE_CHECKING:
    from ploinky.lifecycle.context import LifecycleContext
    from ploinky.repos.store import RepoStore
    from ploinky.workspace.registry import Registry
    from ploinky.workspace.settings import Settings


class OpenLifecycle(Protocol):
    """Finds the engine. Where agents reach the router is asked of it only with ``plans``: what only stops and
    removes need not wait for that answer, for which a container engine takes a long look at itself."""

    def __call__(self, *, plans: bool = True) -> AbstractAsyncContextManager[LifecycleContext]: ...


@dataclass(frozen=True)
class Platform:
    """One workspace as one command sees it.

    ``open_lifecycle`` finds the engine and is entered only by operations that need one; the engine is let
    go when its context ends. ``serve_args`` is the command line that runs the gateway in the foreground for
    this workspace and engine, without its port. ``trust`` allows host hooks of untrusted repositories.
    ``runtime`` is the engine asked for by name, None if none was. ``in_gateway``: this process is the
    gateway, so nothing may end it to launch another.

    What costs much to load (the models of settings and registry) is loaded by the operation that asks.
    """

    layout: Layout
    environ: Mapping[str, str]
    secrets: SecretStores
    profile: ActiveProfile
    read_settings: Callable[[], Settings]
    open_lifecycle: OpenLifecycle
    serve_args: tuple[str, ...]
    runtime: str | None = None
    trust: bool = False
    in_gateway: bool = False

    @property
    def settings(self) -> Settings:
        """``.ploinky/config.json``, read once.

        Raises:
            PloinkyError: ``CONFIG_INVALID``.
        """
        return self.read_settings()

    @cached_property
    def registry(self) -> Registry:
        from ploinky.workspace.registry import Registry

        return Registry(self.layout)

    @cached_property
    def repos(self) -> RepoStore:
        from ploinky.repos.store import RepoStore

        return RepoStore(self.layout, environ=self.environ)
