"""A workspace with agents of a test's own making, and a lifecycle over a real engine."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ploinky.channel.binary import launcher_folder
from ploinky.lifecycle.context import LifecycleContext, RouterAddress
from ploinky.lifecycle.enabling import enable_agent
from ploinky.manifest.refs import parse_agent_ref
from ploinky.repos.store import RepoStore
from ploinky.runtimes.bubblewrap import BubblewrapRuntime
from ploinky.runtimes.protocol import Runtime
from ploinky.secrets.stores import SecretStores
from ploinky.secrets.tokens import TokenSigner
from ploinky.wire.events import Event, StepDone
from ploinky.workspace.layout import Layout
from ploinky.workspace.profiles import ActiveProfile, ProfileOrigin
from ploinky.workspace.registry import Registry, RegistryEntry
from ploinky.workspace.settings import load_settings
from ploinky.workspace.structure import init_workspace

REPO = "tests"
AMBIENT = ("PATH", "HOME", "TMPDIR", "LANG")


@dataclass(frozen=True)
class Stage:
    """One workspace. ``add`` writes an agent into its repository; ``ctx`` is what the lifecycle takes."""

    ctx: LifecycleContext
    image: str = "busybox"

    @property
    def layout(self) -> Layout:
        return self.ctx.layout

    def folder(self, agent: str) -> Path:
        return self.layout.repo(REPO) / agent

    def add(self, agent: str, manifest: Mapping[str, object], files: Mapping[str, str] | None = None) -> Path:
        """Write an agent; files whose names end in ``.sh`` are executable."""
        folder = self.folder(agent)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "manifest.json").write_text(json.dumps({"container": self.image, **manifest}))
        for name, text in (files or {}).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o755 if name.endswith(".sh") else 0o644)
        return folder

    async def enable(self, text: str) -> RegistryEntry:
        return (await enable_agent(self.ctx, parse_agent_ref(text)))[-1]

    def entry(self, key: str) -> RegistryEntry:
        return self.ctx.registry.require(key)

    def with_environ(self, **values: str) -> Stage:
        """The same workspace as a command sees it that has further variables."""
        environ = {**self.ctx.environ, **values}
        secrets = SecretStores(self.layout, environ, lambda: self.ctx.settings.secrets)
        return replace(self, ctx=replace(self.ctx, environ=environ, secrets=secrets))

    def with_profile(self, name: str) -> Stage:
        return replace(self, ctx=replace(self.ctx, profile=ActiveProfile(name, ProfileOrigin.FLAG)))

    def with_runtime(self, runtime: Runtime) -> Stage:
        return replace(self, ctx=replace(self.ctx, runtime=runtime))

    def work_file(self, agent: str, name: str) -> Path:
        return self.layout.work_dir(agent) / name


def make_context(
    root: Path, runtime_dir: Path, runtime: Runtime, environ: Mapping[str, str]
) -> LifecycleContext:
    """A context for the workspace at ``root``, as the composition root would make it."""
    layout = init_workspace(root)
    settings = load_settings(layout)
    return LifecycleContext(
        layout=layout,
        registry=Registry(layout),
        read_settings=lambda: settings,
        repos=RepoStore(layout, environ=environ),
        runtime=runtime,
        environ=environ,
        secrets=SecretStores(layout, environ, lambda: settings.secrets),
        runtime_dir=runtime_dir,
        launcher_dir=launcher_folder({}),
        signer=TokenSigner(layout),
        router=RouterAddress(host=lambda: "127.0.0.1", port=lambda: 8080),
        profile=ActiveProfile(None, ProfileOrigin.MANIFEST),
    )


def sandbox_runtime(root: Path, environ: Mapping[str, str]) -> BubblewrapRuntime:
    return BubblewrapRuntime(root / ".ploinky" / "running" / "sandboxes", environ)


@contextmanager
def short_folder() -> Iterator[Path]:
    """A folder with a short path, for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="pl-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def plain_environ() -> dict[str, str]:
    return {name: os.environ[name] for name in AMBIENT if name in os.environ}


async def collect(events: AsyncIterator[Event]) -> list[Event]:
    return [event async for event in events]


def steps_done(events: list[Event]) -> list[int]:
    """Numbers of the steps that were really done, in order."""
    return [event.step for event in events if isinstance(event, StepDone) and event.skipped is None]
