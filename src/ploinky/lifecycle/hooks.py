"""Hooks: in the container by ``sh -c`` in ``/code``, on the host as scripts of a trusted repository.

Both get the agent's whole environment, are cut by a deadline, stop at the first failing step and leave no
process behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ploinky.base.redaction import Redactor
from ploinky.channel.client import Channel
from ploinky.channel.model import Exit, ProgramChunk, SpawnRequest
from ploinky.lifecycle.failures import Ending, hook_failed
from ploinky.lifecycle.host_programs import HostExit, run_host_program
from ploinky.lifecycle.journal import START_MARK
from ploinky.lifecycle.mounts import CODE_TARGET
from ploinky.lifecycle.planner import StartPlan
from ploinky.lifecycle.scripts import container_command, host_command_args, host_script
from ploinky.lifecycle.transcript import Transcript
from ploinky.manifest.values import Hook, HookName, When

NOT_DECLARED = "not declared"
_HOST_VARIABLES = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "TERM",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
    "DOCKER_HOST",
    "CONTAINER_HOST",
)
_TEST_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class HookRun:
    """What running hooks of one start takes. ``timeout_s`` bounds every step of a hook."""

    plan: StartPlan
    transcript: Transcript
    redactor: Redactor
    timeout_s: float


async def run_container_hook(
    run: HookRun, name: HookName, channel: Channel, environment: Mapping[str, str]
) -> str | None:
    """Run one hook in the container; why it was skipped, or None if it ran well.

    Raises:
        PloinkyError: HOOK_FAILED.
    """
    hook = run.plan.config.hooks.get(name)
    if hook is None or not hook.steps:
        return NOT_DECLARED
    if hook.when is not None:
        absent = [path for path in hook.when.exists if path.startswith("/")]
        for path in absent:
            test = SpawnRequest(("/bin/sh", "-c", 'test -e "$1"', "sh", path), timeout_s=_TEST_TIMEOUT_S)
            if not (await channel.run(test)).exit.ok:
                return f"{path} does not exist"
        reason = _unmet(hook.when, environment, run.plan.location.folder, absolute=False)
        if reason:
            return reason
    for number, step in enumerate(hook.steps, start=1):
        run.transcript.begin(_title(name, hook, number))
        request = SpawnRequest(
            argv=("/bin/sh", "-c", container_command(run.plan.location.folder, step)),
            env=tuple(sorted(environment.items())),
            cwd=CODE_TARGET,
            timeout_s=run.timeout_s,
        )
        ended = await run_streamed(channel, request, run.transcript)
        if not ended.ok:
            raise _failed(run, name, hook, number, described(ended, run.timeout_s))
    return None


async def run_host_hook(
    run: HookRun,
    name: HookName,
    *,
    repos: Path,
    ambient: Mapping[str, str],
    facts: Mapping[str, str],
) -> str | None:
    """Run one hook on the host, in the agent's folder; why it was skipped, or None if it ran well.

    ``facts`` are further variables: the container's name and id, and the mark of this start. Trust is the
    caller's to check.

    Raises:
        PloinkyError: HOOK_FAILED.
    """
    hook = run.plan.config.hooks.get(name)
    if hook is None or not hook.steps:
        return NOT_DECLARED
    folder = run.plan.location.folder
    environment = {name: ambient[name] for name in _HOST_VARIABLES if name in ambient}
    environment.update(run.plan.environment.values)
    environment.update(facts)
    reason = _unmet(hook.when, environment, folder, absolute=True) if hook.when else None
    if reason:
        return reason
    for number, step in enumerate(hook.steps, start=1):
        run.transcript.begin(_title(name, hook, number))
        script = host_script(repos, run.plan.location, name, step)
        ended = await run_host_program(
            host_command_args(script, step),
            cwd=folder,
            env=environment,
            timeout_s=run.timeout_s,
            feed=run.transcript.feed,
        )
        await run.transcript.end()
        if not ended.ok:
            raise _failed(run, name, hook, number, _described_host(ended, run.timeout_s))
    return None


async def run_streamed(channel: Channel, request: SpawnRequest, transcript: Transcript) -> Exit:
    """Run a program in the container and show what it prints as it comes."""

    async def on_output(chunk: ProgramChunk) -> None:
        await transcript.feed(chunk.stream, chunk.data)

    finished = await channel.run(request, on_output=on_output)
    await transcript.end()
    return finished.exit


def described(ended: Exit, timeout_s: float) -> str:
    """How a program in the container ended, in words."""
    if ended.timed_out:
        return f"Ended after its time limit of {timeout_s:g} s"
    if ended.signal is not None:
        return f"Killed by signal {ended.signal}"
    return f"Exit code: {ended.code}"


def start_mark(start_id: str) -> dict[str, str]:
    """The variable by which a program on the host is known as part of a start."""
    return {START_MARK: start_id}


def _described_host(ended: HostExit, timeout_s: float) -> str:
    if ended.code is None:
        return f"Ended after its time limit of {timeout_s:g} s"
    return f"Killed by signal {-ended.code}" if ended.code < 0 else f"Exit code: {ended.code}"


def _unmet(when: When, environment: Mapping[str, str], folder: Path, *, absolute: bool) -> str | None:
    for name, value in when.env:
        if environment.get(name) != value:
            return f"{name} has another value"
    for path in when.exists:
        if path.startswith("/") and not absolute:
            continue
        if not (folder / path).exists():
            return f"{path} does not exist"
    return None


def _title(name: HookName, hook: Hook, number: int) -> str:
    where = f" (step {number} of {len(hook.steps)})" if len(hook.steps) > 1 else ""
    return f"{name.value}{where}: {hook.steps[number - 1]}"


def _failed(run: HookRun, name: HookName, hook: Hook, number: int, how: str) -> Exception:
    script = hook.steps[number - 1]
    if len(hook.steps) > 1:
        script += f" (step {number} of {len(hook.steps)})"
    ending = Ending(how, run.transcript.tail("stdout"), run.transcript.tail("stderr"))
    profile = run.plan.config.profile
    return hook_failed(run.plan.key, profile, name.value, run.redactor.scrub(script), ending)
