"""The launcher as first process: waits for LAUNCH, keeps main command and sidecar running, ends them."""

from __future__ import annotations

import itertools
import shutil
import signal
import subprocess
import time
from pathlib import Path

import anyio
import pytest

from ploinky.base.errors import DeadlineError, PloinkyError
from ploinky.base.waits import wait_until
from ploinky.channel.client import (
    Channel,
    LauncherState,
    LauncherStatus,
    LaunchRequest,
    RestartPolicy,
    SpawnRequest,
    await_channel,
)
from tests.channel.conftest import RunningLauncher, started
from tests.engines import absent

ENV = (("PATH", "/usr/bin:/bin"), ("SECRET", "s3cret"))
LOOP = "while :; do sleep 0.02; done"


def launch(script: str | None, **more: object) -> LaunchRequest:
    main = None if script is None else ("/bin/sh", "-c", script)
    more.setdefault("backoff_first_s", 0.01)
    return LaunchRequest(main, env=ENV, **more)  # type: ignore[arg-type]


async def state_of(channel: Channel, wanted: LauncherState) -> LauncherStatus:
    seen = await channel.status()

    async def check() -> bool:
        nonlocal seen
        seen = await channel.status()
        return seen.state == wanted

    await wait_until(check, what=f"the state {wanted}", timeout_s=10)
    return seen


async def content(path: Path, wanted: str) -> None:
    async def check() -> bool:
        return path.exists() and wanted in path.read_text()

    await wait_until(check, what=f"{wanted!r} in {path.name}", timeout_s=10)


async def test_nothing_of_the_agent_runs_before_the_launch(
    launcher: RunningLauncher, channel: Channel
) -> None:
    assert (await channel.status()).state is LauncherState.WAITING
    assert (await channel.run(SpawnRequest(("/bin/true",)))).exit.ok
    await channel.launch(launch("echo agent has $SECRET; exec sleep 60"))
    status = await channel.status()
    assert status.state is LauncherState.RUNNING
    assert status.main_pid in launcher.children()
    await content(launcher.log, "agent has s3cret")
    assert b"s3cret" not in Path(f"/proc/{launcher.pid}/cmdline").read_bytes()


async def test_a_launch_without_a_main_command_serves_programs(channel: Channel) -> None:
    await channel.launch(launch(None))
    assert (await channel.status()).state is LauncherState.SERVING


async def test_a_main_command_that_cannot_run_is_refused_and_may_be_launched_again(channel: Channel) -> None:
    with pytest.raises(PloinkyError) as refused:
        await channel.launch(LaunchRequest(("/no/such/agent",)))
    assert refused.value.code == "PROGRAM_NOT_FOUND"
    assert (await channel.status()).state is LauncherState.WAITING
    await channel.launch(launch("exec sleep 60"))
    with pytest.raises(PloinkyError) as twice:
        await channel.launch(launch("exec sleep 60"))
    assert twice.value.code == "ALREADY_LAUNCHED"


async def test_a_dead_main_command_is_restarted_with_growing_pauses(channel: Channel, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    await channel.launch(launch(f"date +%s%N >> {runs}; exit 5", backoff_first_s=0.15, backoff_max_s=0.6))

    async def five() -> bool:
        return runs.exists() and len(runs.read_text().split()) >= 5

    await wait_until(five, what="five runs", timeout_s=15)
    times = [int(word) / 1e9 for word in runs.read_text().split()[:5]]
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert pauses[0] > 0.14
    assert pauses[1] > 0.29
    assert pauses[3] > 0.59
    status = await state_of(channel, LauncherState.BACKOFF)
    assert status.restarts >= 4
    assert status.last_code == 5
    assert status.next_restart_s is not None
    assert status.next_restart_s <= 0.6


async def test_the_pause_begins_anew_after_a_long_run(channel: Channel, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    long_from_third = f"test $(wc -w < {runs}) -lt 5 || sleep 0.6"
    script = f"date +%s%N >> {runs}; {long_from_third}; date +%s%N >> {runs}; exit 1"
    await channel.launch(launch(script, backoff_first_s=0.02, backoff_max_s=0.5))

    async def four() -> bool:
        return runs.exists() and len(runs.read_text().split()) >= 7

    await wait_until(four, what="four runs", timeout_s=15)
    times = [int(word) / 1e9 for word in runs.read_text().split()]
    after_short, after_long = times[4] - times[3], times[6] - times[5]
    assert after_short > 0.09
    assert after_long < 0.19  # it would be 0.2 by now
    status = await state_of(channel, LauncherState.RUNNING)
    assert status.uptime_s is not None


async def test_policies_decide_which_end_is_the_last(
    launcher_binary: Path, launcher: RunningLauncher
) -> None:
    del launcher_binary
    async with await launcher.connect() as channel:
        await channel.launch(launch("exit 0", restart=RestartPolicy.ON_FAILURE))
        status = await state_of(channel, LauncherState.ENDED)
        assert (status.last_code, status.restarts) == (0, 0)
        assert status.main_pid is None


async def test_on_failure_a_failed_command_is_restarted(channel: Channel, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    await channel.launch(
        launch(f"test -e {mark} || {{ touch {mark}; kill -9 $$; }}", restart=RestartPolicy.ON_FAILURE)
    )
    status = await state_of(channel, LauncherState.ENDED)
    assert (status.last_code, status.last_signal, status.restarts) == (0, None, 1)


async def test_never_means_never_and_the_launcher_exits_with_its_code(
    release_launcher: RunningLauncher,
) -> None:
    async with await release_launcher.connect() as channel:
        await channel.launch(launch("exit 7", restart=RestartPolicy.NEVER))
        await state_of(channel, LauncherState.ENDED)
        await channel.shutdown(1)
    assert release_launcher.process.wait(5) == 7


async def test_what_a_dead_main_command_leaves_behind_is_killed_before_the_restart(
    channel: Channel, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    await channel.launch(launch(f"sleep 60 & echo $! >> {pids}; exit 1"))

    async def gone() -> bool:
        return (
            pids.exists()
            and pids.read_text() != ""
            and not Path(f"/proc/{pids.read_text().split()[0]}").exists()
        )

    await wait_until(gone, what="the old child to go", timeout_s=10)


async def test_the_sidecar_is_supervised_beside_the_main_command(channel: Channel, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    request = LaunchRequest(
        main=("sleep", "60"),
        sidecar=("/bin/sh", "-c", f"echo $SECRET >> {runs}; exit 3"),
        env=ENV,
        backoff_first_s=0.01,
        backoff_max_s=0.1,
    )
    await channel.launch(request)

    async def restarted() -> bool:
        return (await channel.status()).sidecar_restarts >= 2

    await wait_until(restarted, what="two restarts of the sidecar", timeout_s=10)
    status = await channel.status()
    assert (status.state, status.restarts) == (LauncherState.RUNNING, 0)
    assert runs.read_text().splitlines()[0] == "s3cret"


async def test_a_sidecar_runs_without_a_main_command_too(launcher: RunningLauncher, channel: Channel) -> None:
    await channel.launch(LaunchRequest(None, ("/bin/sh", "-c", "echo beside; exec sleep 60"), env=ENV))
    await content(launcher.log, "beside")
    status = await channel.status()
    assert (status.state, status.main_pid) == (LauncherState.SERVING, None)
    assert status.sidecar_pid is not None


async def test_an_end_right_after_the_start_is_not_overlooked(launcher_binary: Path) -> None:
    for _ in range(15):
        with started([str(launcher_binary)]) as launcher:
            async with await launcher.connect() as channel:
                watching = channel.watch()
                await channel.launch(launch("exit 0", restart=RestartPolicy.NEVER))
                with anyio.fail_after(5):
                    while (await anext(watching)).state is not LauncherState.ENDED:
                        pass
                await watching.aclose()  # type: ignore[attr-defined]


async def test_a_watcher_sees_every_change(channel: Channel, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    states: list[LauncherState] = []
    watching = channel.watch()
    states.append((await anext(watching)).state)
    await channel.launch(launch(f"test -e {mark} || {{ touch {mark}; exit 1; }}; sleep 60"))
    while states[-3:] != [LauncherState.RUNNING, LauncherState.BACKOFF, LauncherState.RUNNING]:
        states.append((await anext(watching)).state)
    await watching.aclose()  # type: ignore[attr-defined]
    assert states[0] is LauncherState.WAITING
    assert (await channel.status()).state is LauncherState.RUNNING


async def test_the_main_command_is_restarted_on_request_whatever_its_policy(channel: Channel) -> None:
    with pytest.raises(PloinkyError) as early:
        await channel.restart_main()
    assert early.value.code == "NOT_LAUNCHED"
    await channel.launch(
        launch("trap '' TERM; while :; do sleep 1; done", restart=RestartPolicy.NEVER, grace_s=0.1)
    )
    first = (await channel.status()).main_pid
    await channel.restart_main()

    async def another() -> bool:
        pid = (await channel.status()).main_pid
        return pid is not None and pid != first

    await wait_until(another, what="another main process", timeout_s=10)


async def test_a_shutdown_lets_all_end_gracefully(launcher: RunningLauncher, tmp_path: Path) -> None:
    said = tmp_path / "said"
    async with await launcher.connect() as channel:
        script = f"trap 'sleep 0.2; echo main >> {said}; exit 0' TERM; echo up >> {said}; {LOOP}"
        await channel.launch(launch(script))
        program = await channel.spawn(
            SpawnRequest(("/bin/sh", "-c", f"trap 'echo program >> {said}; exit' TERM; echo; {LOOP}"), ENV)
        )
        await anext(program)
        await content(said, "up")
        begun = time.monotonic()
        await channel.shutdown(20)
        assert time.monotonic() - begun < 15
    assert sorted(said.read_text().split()) == ["main", "program", "up"]
    assert launcher.process.wait(5) == 0
    assert not launcher.socket.exists()


async def test_a_shutdown_kills_what_ignores_term_after_the_grace(launcher: RunningLauncher) -> None:
    async with await launcher.connect() as channel:
        await channel.launch(launch("trap '' TERM; echo deaf; sleep 60 & wait; while :; do sleep 1; done"))
        await content(launcher.log, "deaf")
        main = (await channel.status()).main_pid
        begun = time.monotonic()
        await channel.shutdown(0.3)
        assert time.monotonic() - begun > 0.25
    assert launcher.process.wait(5) == 0
    assert not Path(f"/proc/{main}").exists()


async def test_a_group_that_ends_after_its_leader_keeps_the_grace(
    launcher: RunningLauncher, tmp_path: Path
) -> None:
    said = tmp_path / "said"
    async with await launcher.connect() as channel:
        child = f"trap 'sleep 0.4; echo saved > {said}; exit' TERM; echo up > {said}; {LOOP}"
        await channel.launch(launch(f'sh -c "{child}" & trap "exit 0" TERM; wait'))
        await content(said, "up")
        await channel.shutdown(5)
    assert said.read_text() == "saved\n"


async def test_nothing_starts_while_the_sandbox_stops(launcher: RunningLauncher) -> None:
    async with await launcher.connect() as channel:
        await channel.launch(launch("trap '' TERM; echo deaf; while :; do sleep 1; done", grace_s=0.5))
        await content(launcher.log, "deaf")
        launcher.process.send_signal(signal.SIGTERM)
        await state_of(channel, LauncherState.STOPPING)
        with pytest.raises(PloinkyError) as refused:
            await channel.run(SpawnRequest(("/bin/true",)))
        assert refused.value.code == "SANDBOX_STOPPING"
        assert launcher.process.wait(5) == 0


async def test_a_crash_looping_command_does_not_hold_up_a_stop(launcher: RunningLauncher) -> None:
    async with await launcher.connect() as channel:
        await channel.launch(launch("exit 1", backoff_first_s=30))
        await state_of(channel, LauncherState.BACKOFF)
        with anyio.fail_after(2):
            await channel.shutdown(5)


async def test_a_shutdown_that_is_not_obeyed_is_reported(release_launcher: RunningLauncher) -> None:
    async with await release_launcher.connect() as channel:
        release_launcher.process.send_signal(signal.SIGSTOP)
        hung = Channel(channel._link, reply_timeout_s=0.1)
        with pytest.raises(DeadlineError):
            await hung.shutdown(0)
        release_launcher.process.send_signal(signal.SIGCONT)


@pytest.mark.bubblewrap
async def test_as_the_first_process_it_reaps_daemons_and_ends_them(
    launcher_binary: Path, tmp_path: Path
) -> None:
    if shutil.which("bwrap") is None:
        absent("bubblewrap", "bwrap is not installed")
    socket = tmp_path / "l.sock"
    line = [
        "bwrap",
        "--dev-bind",
        "/",
        "/",
        "--unshare-pid",
        "--as-pid-1",
        "--proc",
        "/proc",
        "--die-with-parent",
    ]
    process = subprocess.Popen([*line, str(launcher_binary), "serve", "--socket", str(socket)])
    try:
        async with await await_channel(socket, timeout_s=5) as channel:
            mark = tmp_path / "mark"
            daemon = f"trap 'echo ended > {mark}; exit' TERM; echo up > {mark}; {LOOP}"
            await channel.run(
                SpawnRequest(("setsid", "-f", "sh", "-c", f"exec >/dev/null 2>&1; {daemon}"), ENV)
            )
            await content(mark, "up")
            await channel.run(SpawnRequest(("setsid", "-f", "true"), ENV))
            finished = await channel.run(
                SpawnRequest(("sh", "-c", "grep -l '^State:.*zombie' /proc/[0-9]*/status"), ENV)
            )
            assert finished.stdout == b""
            await channel.shutdown(5)
        assert process.wait(5) == 0
        assert mark.read_text() == "ended\n"
    finally:
        process.kill()
        process.wait(5)
