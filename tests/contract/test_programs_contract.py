"""What runs inside a sandbox: programs, mounts, output, grace, limits, death; for engines that run any."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import anyio
import pytest

from ploinky.base.errors import PloinkyError
from ploinky.base.processes import run
from ploinky.base.waits import wait_until
from ploinky.channel.client import open_channel
from ploinky.channel.model import RestartPolicy, SpawnRequest
from ploinky.runtimes import errors
from ploinky.runtimes.protocol import Runtime, RuntimeEventKind, SandboxState
from ploinky.runtimes.spec import Mount, Network, NetworkMode, Resources, RunSpec
from tests.contract.engine_under_test import EngineUnderTest, Trait, create, first
from tests.contract.inside import DEADLINE_S, ENV, events_of, launch, sh, text_of

pytestmark = pytest.mark.needs(Trait.PROCESSES)
ISOLATES = pytest.mark.needs(Trait.PROCESSES, Trait.ISOLATES)
MEBIBYTE = 1024**2


async def started(runtime: Runtime, spec: RunSpec) -> RunSpec:
    await create(runtime, spec)
    await runtime.start(spec.name)
    return spec


def folder(engine: EngineUnderTest, name: str, **files: str) -> Path:
    """A folder of the host that anybody inside may use."""
    made = engine.folder / name
    made.mkdir(mode=0o777)
    made.chmod(0o777)
    for file, text in files.items():
        (made / file).write_text(text)
    return made


async def appears(path: Path) -> None:
    async def there() -> bool:
        return path.exists()

    await wait_until(there, what=str(path), timeout_s=DEADLINE_S)


async def test_a_program_gets_its_input_and_tells_its_end(engine: EngineUnderTest, runtime: Runtime) -> None:
    spec = await started(runtime, engine.spec("a"))
    done = await sh(spec, "cat; echo complaint >&2; exit 7", stdin=b"hello")
    assert (done.exit.code, done.stdout, done.stderr) == (7, b"hello", b"complaint\n")


async def test_a_missing_program_is_named(engine: EngineUnderTest, runtime: Runtime) -> None:
    spec = await started(runtime, engine.spec("a"))
    async with open_channel(spec.socket_path) as channel:
        with pytest.raises(PloinkyError) as refused:
            await channel.run(SpawnRequest(("no-such-program",), env=ENV))
    assert refused.value.code == "PROGRAM_NOT_FOUND"


async def test_the_spec_s_environment_is_the_first_process_s(
    engine: EngineUnderTest, runtime: Runtime
) -> None:
    spec = await started(runtime, engine.spec("a", env=(("AGENT_NAME", "demo"), ("EMPTY", ""))))
    environment = (await text_of(spec, "tr '\\0' '\\n' < /proc/1/environ")).splitlines()
    assert {"AGENT_NAME=demo", "EMPTY="} <= set(environment)


async def test_nothing_of_the_host_s_environment_comes_in(
    engine: EngineUnderTest, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOST_SECRET", "do-not-leak")
    spec = await started(runtime, engine.spec("a"))
    assert "do-not-leak" not in await text_of(spec, "tr '\\0' '\\n' < /proc/1/environ; env")


@ISOLATES
async def test_mounts_are_writable_or_not_as_the_spec_says(engine: EngineUnderTest, runtime: Runtime) -> None:
    read, write = folder(engine, "r", file="seen"), folder(engine, "w", file="seen")
    mounts = (Mount(read, "/mnt/read", read_only=True), Mount(write, "/mnt/write", read_only=False))
    spec = await started(runtime, engine.spec("a", mounts=mounts))
    assert await text_of(spec, "cat /mnt/read/file /mnt/write/file") == "seenseen"
    assert not (await sh(spec, "echo changed > /mnt/read/file")).exit.ok
    await text_of(spec, "echo changed > /mnt/write/file")
    assert ((read / "file").read_text(), (write / "file").read_text()) == ("seen", "changed\n")


@ISOLATES
async def test_inner_mounts_lie_upon_outer_ones_in_any_order(
    engine: EngineUnderTest, runtime: Runtime
) -> None:
    outer, inner = folder(engine, "outer", file="outer"), folder(engine, "inner", file="inner")
    single = folder(engine, "single", only="single") / "only"
    (outer / "one").touch()
    (outer / "deps").mkdir()
    mounts = (
        Mount(inner, "/code/deps", read_only=False),
        Mount(single, "/code/one", read_only=True),
        Mount(outer, "/code", read_only=True),
    )
    spec = await started(runtime, engine.spec("a", mounts=mounts))
    assert await text_of(spec, "cat /code/file /code/deps/file /code/one") == "outerinnersingle"
    await text_of(spec, "echo new > /code/deps/new")
    assert not (await sh(spec, "echo new > /code/new")).exit.ok
    assert (inner / "new").exists()


@ISOLATES
async def test_a_mask_hides_what_lies_below_and_lets_nothing_be_written(
    engine: EngineUnderTest, runtime: Runtime
) -> None:
    workspace = folder(engine, "ws")
    (workspace / ".control").mkdir()
    (workspace / ".control" / "secret").write_text("hidden")
    (workspace / "token").write_text("hidden")
    spec = engine.spec(
        "a",
        mounts=(Mount(workspace, "/ws", read_only=False),),
        masks=("/ws/.control", "/ws/token"),
    )
    await started(runtime, spec)
    assert await text_of(spec, "ls -A /ws/.control; cat /ws/token") == ""
    for attempt in (
        "echo x > /ws/.control/x",
        "echo x > /ws/token",
        "rm -rf /ws/.control",
        "mv /ws/token /ws/t",
    ):
        assert not (await sh(spec, attempt)).exit.ok, attempt
    assert (workspace / ".control" / "secret").read_text() == "hidden"
    assert (workspace / "token").read_text() == "hidden"


async def test_the_launcher_folder_cannot_be_written(engine: EngineUnderTest, runtime: Runtime) -> None:
    if Trait.ISOLATES not in engine.traits:
        pytest.skip("no isolation")
    spec = await started(runtime, engine.spec("a"))
    assert not (await sh(spec, "echo x > /Agent/x; echo x >> /Agent/launcher")).exit.ok


@ISOLATES
async def test_without_a_network_only_the_socket_leads_in(engine: EngineUnderTest, runtime: Runtime) -> None:
    spec = await started(runtime, engine.spec("a", network=Network(NetworkMode.NONE)))
    interfaces = await text_of(spec, "cut -d: -f1 -s /proc/net/dev | tr -d ' '")
    assert interfaces.split() in (["lo"], [])


async def test_what_the_agent_prints_is_the_log(engine: EngineUnderTest, runtime: Runtime) -> None:
    spec = await started(runtime, engine.spec("a"))
    await launch(spec, "for n in 1 2 3 4; do echo line $n; done; echo done; exec sleep 60")
    with anyio.fail_after(DEADLINE_S):
        await first(runtime.logs(spec.name, follow=True), b"done\n")
        last = b"".join([chunk async for chunk in runtime.logs(spec.name, tail=2)])
    assert last == b"line 4\ndone\n"


async def test_following_a_log_ends_with_the_sandbox(engine: EngineUnderTest, runtime: Runtime) -> None:
    spec = await started(runtime, engine.spec("a"))
    await launch(spec, "echo hello; exec sleep 60")
    seen = b""
    with anyio.fail_after(DEADLINE_S):
        async for chunk in runtime.logs(spec.name, follow=True):
            seen += chunk
            if b"hello\n" in chunk:
                await runtime.stop(spec.name, grace_s=1)
    assert b"hello\n" in seen


async def test_a_stop_lets_the_agent_finish_its_work(engine: EngineUnderTest, runtime: Runtime) -> None:
    work = folder(engine, "work")
    spec = await started(runtime, engine.spec("a", mounts=(Mount(work, "/code", read_only=False),)))
    script = "trap 'echo saved > /code/saved; exit 0' TERM; touch /code/ready; sleep 60 & wait"
    await launch(spec, script)
    await appears(work / "ready")
    await runtime.stop(spec.name, grace_s=10)
    assert (work / "saved").read_text() == "saved\n"


async def test_an_agent_that_ignores_term_is_killed_after_the_grace(
    engine: EngineUnderTest, runtime: Runtime
) -> None:
    work = folder(engine, "work")
    spec = await started(runtime, engine.spec("a", mounts=(Mount(work, "/code", read_only=False),)))
    await launch(spec, "trap '' TERM; touch /code/ready; while :; do sleep 60; done", grace_s=60)
    await appears(work / "ready")
    before = anyio.current_time()
    await runtime.stop(spec.name, grace_s=0.5)
    assert 0.4 < anyio.current_time() - before < 10
    assert engine.leftovers(spec.name) != []  # stopped, not removed
    await runtime.remove(spec.name)
    assert engine.leftovers(spec.name) == []


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
async def test_no_daemon_outlives_its_sandbox(engine: EngineUnderTest, runtime: Runtime) -> None:
    work = folder(engine, "work")
    spec = await started(runtime, engine.spec("a", mounts=(Mount(work, "/code", read_only=False),)))
    marker = f"31{os.getpid()}"
    await sh(
        spec,
        f"(setsid sh -c 'trap \"\" TERM HUP; touch /code/up; exec sleep {marker}' &) & "
        "until [ -e /code/up ]; do :; done",
    )

    async def sleeps() -> bool:
        return any(marker in each for each in command_lines())

    await wait_until(sleeps, what="the daemon", timeout_s=DEADLINE_S)
    await runtime.stop(spec.name, grace_s=0.2)
    assert [each for each in command_lines() if marker in each] == []


def command_lines() -> list[str]:
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit():
                found.append((process / "cmdline").read_text(errors="replace").replace("\0", " "))
        except OSError:
            continue
    return [each for each in found if each.startswith("sleep")]


async def test_the_death_of_the_launcher_is_noticed(engine: EngineUnderTest, runtime: Runtime) -> None:
    spec = await started(runtime, engine.spec("a"))
    sandbox = await runtime.inspect(spec.name)
    assert sandbox is not None
    assert sandbox.pid is not None
    async with events_of(runtime, spec.workspace) as events:
        os.kill(sandbox.pid, signal.SIGKILL)
        died = await events.wait_for(RuntimeEventKind.DIED, spec.name)
    assert died.exit_code == 137
    after = await runtime.inspect(spec.name)
    assert after is not None
    assert (after.state, after.exit_code) == (SandboxState.EXITED, 137)


async def test_a_dead_main_command_is_started_again_inside(engine: EngineUnderTest, runtime: Runtime) -> None:
    work = folder(engine, "work")
    spec = await started(runtime, engine.spec("a", mounts=(Mount(work, "/code", read_only=False),)))
    await launch(
        spec,
        "echo x >> /code/runs; [ -e /code/twice ] && exec sleep 60; touch /code/twice; exit 3",
        restart=RestartPolicy.ALWAYS,
    )

    async def twice() -> bool:
        return (work / "runs").exists() and (work / "runs").read_text() == "x\nx\n"

    await wait_until(twice, what="the second run", timeout_s=DEADLINE_S)


@pytest.mark.needs(Trait.PROCESSES, Trait.MEMORY)
async def test_a_program_past_the_memory_limit_is_killed(engine: EngineUnderTest, runtime: Runtime) -> None:
    spec = await started(runtime, engine.spec("a", resources=Resources(memory=64 * MEBIBYTE)))
    hungry = await sh(spec, "exec tail -c 200000000 /dev/zero")
    assert not hungry.exit.ok
    assert (await sh(spec, "exit 5")).exit.code == 5


@pytest.mark.needs(Trait.PROCESSES, Trait.PIDS)
async def test_no_more_processes_than_the_limit_are_made(engine: EngineUnderTest, runtime: Runtime) -> None:
    spec = await started(runtime, engine.spec("a", resources=Resources(pids=20)))
    script = "n=0; while [ $n -lt 60 ]; do sleep 30 & n=$((n+1)); done; echo all"
    assert b"all" not in (await sh(spec, script)).stdout


@pytest.mark.needs(Trait.OUTLIVES)
async def test_another_process_finds_and_ends_a_sandbox(engine: EngineUnderTest, runtime: Runtime) -> None:
    spec = await started(runtime, engine.spec("a"))
    program = f"""
import anyio
async def main():
    runtime = {engine.second_process}
    print([(each.name, each.state.value) for each in await runtime.list({spec.workspace!r})])
    await runtime.stop({spec.name!r}, grace_s=2)
    await runtime.aclose()
anyio.run(main)
"""
    done = await run([sys.executable, "-c", program], timeout_s=DEADLINE_S)
    assert done.text == f"{[(spec.name, 'running')]}\n", done.error_text
    after = await runtime.inspect(spec.name)
    assert after is not None
    assert after.state is SandboxState.EXITED


@pytest.mark.needs(Trait.OUTLIVES)
async def test_a_sandbox_outlives_the_process_that_started_it(
    engine: EngineUnderTest, runtime: Runtime
) -> None:
    spec = engine.spec("a")
    await create(runtime, spec)
    program = f"""
import anyio, os, signal
async def main():
    await {engine.second_process}.start({spec.name!r})
    os.kill(os.getpid(), signal.SIGKILL)
anyio.run(main)
"""
    assert (await run([sys.executable, "-c", program], timeout_s=DEADLINE_S)).returncode == -signal.SIGKILL
    assert await text_of(spec, "echo alive") == "alive"


@pytest.mark.needs(Trait.OUTLIVES)
@pytest.mark.parametrize("after_s", [0.001, 0.003, 0.006, 0.01, 0.02, 0.05])
async def test_a_starter_killed_at_any_moment_leaves_what_the_next_can_use(
    engine: EngineUnderTest, runtime: Runtime, after_s: float
) -> None:
    spec = engine.spec("a")
    await create(runtime, spec)
    program = f"""
import anyio, os, signal
runtime = {engine.second_process}
async def main():
    signal.setitimer(signal.ITIMER_REAL, {after_s})
    await runtime.start({spec.name!r})
    os.kill(os.getpid(), signal.SIGKILL)
signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
anyio.run(main)
"""
    await run([sys.executable, "-c", program], timeout_s=DEADLINE_S)
    await runtime.start(spec.name)
    assert await text_of(spec, "echo alive") == "alive"
    await runtime.remove(spec.name)
    assert engine.leftovers(spec.name) == []


async def test_a_mount_that_is_not_there_is_refused_by_name(
    engine: EngineUnderTest, runtime: Runtime
) -> None:
    missing = engine.folder / "missing"
    with pytest.raises(PloinkyError) as refused:
        await create(runtime, engine.spec("a", mounts=(Mount(missing, "/code", read_only=True),)))
    assert refused.value.code == errors.CREATE_FAILED
    assert str(missing) in refused.value.message
