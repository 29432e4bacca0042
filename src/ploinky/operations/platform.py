"""What every operation stands on: one frozen value, made by the composition root."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from ploinky.lifecycle.context import LifecycleContext
from ploinky.repos.store import RepoStore
from ploinky.secrets.stores import SecretStores
from ploinky.workspace.layout import Layout
from ploinky.workspace.profiles import ActiveProfile
from ploinky.workspace.registry import Registry
from ploinky.workspace.settings import Settings

OpenLifecycle = Callable[[], AbstractAsyncContextManager[LifecycleContext]]


@dataclass(frozen=True)
class Platform:
    """One workspace as one command sees it.

    ``open_lifecycle`` finds the engine and is entered only by operations that need one; the engine is let
    go when its context ends. ``serve_args`` is the command line that runs the gateway in the foreground for
    this workspace and engine, without its port. ``trust`` allows host hooks of untrusted repositories.
    ``runtime`` is the engine asked for by name, None if none was. ``in_gateway``: this process is the
    gateway, so nothing may end it to launch another.
    """

    layout: Layout
    environ: Mapping[str, str]
    secrets: SecretStores
    settings: Settings
    registry: Registry
    repos: RepoStore
    profile: ActiveProfile
    open_lifecycle: OpenLifecycle
    serve_args: tuple[str, ...]
    runtime: str | None = None
    trust: bool = False
    in_gateway: bool = False
