"""The scripts that hooks and health checks name: where they lie, that they are there, how they are called.

A first word that is a relative path is a script of the agent's folder, seen at ``/agent`` inside. It may
not leave that folder (for host hooks: the repository), symlinks resolved.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from ploinky.base.errors import NotFoundError, UsageError
from ploinky.lifecycle.mounts import AGENT_TARGET
from ploinky.manifest.effective import effective
from ploinky.manifest.model import Manifest
from ploinky.manifest.texts import relative_script
from ploinky.manifest.values import EffectiveConfig, HookName
from ploinky.repos.find import AgentLocation


def check_scripts(repos: Path, location: AgentLocation, config: EffectiveConfig) -> None:
    """See that every script a hook or a probe names is there, before anything is made.

    Raises:
        NotFoundError: HOOK_SCRIPT_MISSING.
        UsageError: PATH_ESCAPES; HOST_HOOK_NOT_A_SCRIPT if a host hook is anything but a script of the
            repository.
    """
    for hook, step in _steps(config):
        if hook.on_host:
            host_script(repos, location, hook, step)
        else:
            container_script(location.folder, hook.value, step)
    for name, probe in (("liveness", config.health.liveness), ("readiness", config.health.readiness)):
        if probe is not None and probe.script is not None:
            container_script(location.folder, f"health.{name}", probe.script)


def kept_files(location: AgentLocation, manifest: Manifest) -> frozenset[Path]:
    """The manifest and every script that a hook of any profile runs on the host, links resolved too."""
    folder = location.folder.resolve()
    paths = {folder / location.manifest_path.name}
    for profile in manifest.profiles or (None,):
        for hook, step in _steps(effective(manifest, profile, agent=location.agent)):
            word = relative_script(step) if hook.on_host else None
            if word is not None:
                paths |= {Path(os.path.normpath(folder / word)), (folder / word).resolve()}
    return frozenset(paths)


def container_script(folder: Path, what: str, step: str) -> Path | None:
    """The host's path of the script that a container hook starts with; None if it starts with none.

    Raises:
        NotFoundError: HOOK_SCRIPT_MISSING. UsageError: PATH_ESCAPES.
    """
    word = relative_script(step)
    return None if word is None else _inside(folder, folder, what, word)


def host_script(repos: Path, location: AgentLocation, hook: HookName, step: str) -> Path:
    """The script that a host hook starts with, inside the repository.

    Raises:
        NotFoundError: HOOK_SCRIPT_MISSING. UsageError: PATH_ESCAPES, HOST_HOOK_NOT_A_SCRIPT.
    """
    word = relative_script(step)
    if word is None:
        raise UsageError(
            "HOST_HOOK_NOT_A_SCRIPT",
            f"The hook '{hook.value}' of agent '{location.agent}' runs on the host and is not a script of "
            "its repository.",
            hint="Put the commands into a script beside the manifest and name it, e.g. scripts/setup.sh",
            details={"agent": location.agent, "hook": hook.value},
        )
    root = repos / location.repo
    inside_repo = root.resolve() in location.folder.resolve().parents
    return _inside(root if inside_repo else location.folder, location.folder, hook.value, word)


def container_command(folder: Path, step: str) -> str:
    """The ``sh -c`` text of a container step: a script of the agent's folder is called at ``/agent``."""
    word = relative_script(step)
    if word is None:
        return step
    script = folder / word
    start, end = step.index(word), step.index(word) + len(word)
    called = f"{AGENT_TARGET}/{word.removeprefix('./')}"
    runner = "" if os.access(script, os.X_OK) else "sh "
    return f"{step[:start]}{runner}{called}{step[end:]}"


def host_command_args(script: Path, step: str) -> list[str]:
    """The argv of a host step: the script itself, by ``sh`` if it is not executable, and its arguments.

    Raises:
        UsageError: HOST_HOOK_NOT_A_SCRIPT if its words cannot be told apart.
    """
    try:
        words = shlex.split(step)
    except ValueError as error:
        raise UsageError(
            "HOST_HOOK_NOT_A_SCRIPT",
            f"A host hook that starts {script.name} has a quote that is never closed.",
            hint="A host hook is a script and plain arguments.",
        ) from error
    runner = [] if os.access(script, os.X_OK) else ["/bin/sh"]
    return [*runner, str(script), *words[1:]]


def _steps(config: EffectiveConfig) -> Iterator[tuple[HookName, str]]:
    for name, hook in config.hooks.items():
        for step in hook.steps:
            yield name, step


def _inside(root: Path, folder: Path, what: str, word: str) -> Path:
    path = (folder / word).resolve()
    base = root.resolve()
    if base not in path.parents:
        raise UsageError(
            "PATH_ESCAPES",
            f"The script {word!r} of '{what}' leads outside {root}.",
            hint="Hooks run scripts of their own repository only.",
        )
    if not path.is_file():
        raise NotFoundError(
            "HOOK_SCRIPT_MISSING",
            f"The script {word!r} of '{what}' does not exist in {folder}.",
            hint="Add the script or correct the manifest; nothing was created.",
            details={"script": word, "hook": what},
        )
    return path
