"""What every part of the lifecycle is given: one frozen value, made by the composition root.

Nothing in this package reads the process environment, the working directory or a global; it is all here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ploinky.workspace.layout import Layout
from ploinky.workspace.profiles import ActiveProfile, ProfileOrigin

if TYPE_CHECKING:
    from ploinky.repos.store import RepoStore
    from ploinky.runtimes.protocol import Runtime
    from ploinky.secrets.stores import SecretStores
    from ploinky.secrets.tokens import TokenSigner
    from ploinky.workspace.registry import Registry, RegistryEntry
    from ploinky.workspace.settings import Settings


@dataclass(frozen=True)
class RouterAddress:
    """Where agents reach the router. Callables, because the gateway may get its port after this is made."""

    host: Callable[[], str]
    port: Callable[[], int]

    @property
    def url(self) -> str:
        return f"http://{self.host()}:{self.port()}"


@dataclass(frozen=True)
class LifecycleContext:
    """One workspace, one runtime, one active profile.

    ``environ`` is the ambient environment of the command or gateway, a source of values and secrets;
    ``secrets`` are all such sources.
    ``runtime_dir`` is the short private folder for sockets (``runtime_folder``), ``launcher_dir`` the
    folder that is mounted at ``/Agent``.
    """

    layout: Layout
    registry: Registry
    read_settings: Callable[[], Settings]
    repos: RepoStore
    runtime: Runtime
    environ: Mapping[str, str]
    secrets: SecretStores
    runtime_dir: Path
    launcher_dir: Path
    signer: TokenSigner
    router: RouterAddress
    profile: ActiveProfile
    cpus: int = field(default_factory=lambda: os.cpu_count() or 1)

    @property
    def settings(self) -> Settings:
        """``.ploinky/config.json``, read and checked by whoever asks first.

        Raises:
            PloinkyError: ``CONFIG_INVALID``.
        """
        return self.read_settings()

    def as_last_started(self, entry: RegistryEntry) -> LifecycleContext:
        """This context under the profile that an agent was last started with.

        Whoever looks after a running agent (its tools, shells, probes, a restart by the gateway) means that
        profile, not the one that is active by now.
        """
        if entry.profile is None:
            return self
        return replace(self, profile=ActiveProfile(entry.profile, ProfileOrigin.AGENT))
