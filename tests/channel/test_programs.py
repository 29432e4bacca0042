"""Programs in a sandbox: input, output, environment, how they end and what they cannot do."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import anyio
import pytest

from ploinky.base.errors import PloinkyError
from ploinky.base.waits import wait_until
from ploinky.channel.client import Channel, Exit, Limit, ProgramChunk, SpawnRequest
from tests.channel.conftest import RunningLauncher, python

PATH = (("PATH", "/usr/bin:/bin"),)


def shell(script: str, **more: object) -> SpawnRequest:
    return SpawnRequest(("/bin/sh", "-c", script), PATH, **more)  # type: ignore[arg-type]


async def test_a_program_gets_its_input_and_its_output_comes_back(channel: Channel) -> None:
    finished = await channel.run(shell("cat; echo oops >&2; exit 3"), b"hello")
    assert finished.stdout == b"hello"
    assert finished.stderr == b"oops\n"
    assert finished.exit == Exit(3, None)
    assert not finished.exit.ok


async def test_input_larger_than_any_buffer_passes_through_unchanged(channel: Channel) -> None:
    data = os.urandom(3_000_000)
    assert (await channel.run(SpawnRequest(("cat",)), data)).stdout == data


async def test_a_program_without_input_reads_its_end_at_once(channel: Channel) -> None:
    assert (await channel.run(SpawnRequest(("cat",)))).exit.ok


async def test_a_conversation_goes_back_and_forth(channel: Channel) -> None:
    async with channel.spawn(SpawnRequest(("cat",))) as program:
        for line in (b"one\n", b"two\n", b"three\n"):
            await program.send(line)
            assert await anext(program) == ProgramChunk("stdout", line)
        await program.end_input()
        assert [chunk async for chunk in program] == []
        assert (await program.wait()).ok


async def test_the_signal_that_ended_a_program_is_told(channel: Channel) -> None:
    finished = await channel.run(shell("kill -9 $$"))
    assert finished.exit == Exit(None, signal.SIGKILL)
    assert str(finished.exit) == "was ended by SIGKILL"


async def test_a_signal_reaches_the_whole_group(channel: Channel) -> None:
    request = shell("trap 'echo got it; exit 7' USR1; echo ready; while :; do sleep 10 & wait; done")
    async with channel.spawn(request) as program:
        assert (await anext(program)).data == b"ready\n"
        await program.signal(signal.SIGUSR1)
        assert b"got it\n" in [chunk.data async for chunk in program]
        assert program.exit == Exit(7, None)


async def test_stderr_can_be_merged_into_stdout_in_order(channel: Channel) -> None:
    finished = await channel.run(shell("echo a; echo b >&2; echo c", merge_stderr=True))
    assert (finished.stdout, finished.stderr) == (b"a\nb\nc\n", b"")


async def test_the_environment_is_exactly_what_was_given(channel: Channel) -> None:
    finished = await channel.run(SpawnRequest(("/usr/bin/env",), (("A", "1"), ("B", "x=y z"))))
    assert finished.stdout == b"A=1\nB=x=y z\n"


async def test_arguments_are_passed_byte_by_byte(channel: Channel) -> None:
    words = ("", "two words", "ünïcode", "\udcff", "*", "-n")
    finished = await channel.run(SpawnRequest(("printf", "<%s>", *words), PATH))
    assert finished.stdout == b"".join(b"<" + os.fsencode(word) + b">" for word in words)


async def test_a_name_is_looked_up_in_the_path_of_the_given_environment(
    channel: Channel, tmp_path: Path
) -> None:
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\necho mine\n")
    tool.chmod(0o755)
    path = (("PATH", f"/nowhere::{tmp_path}"),)
    assert (await channel.run(SpawnRequest(("tool",), path))).stdout == b"mine\n"
    with pytest.raises(PloinkyError) as missing:
        await channel.run(SpawnRequest(("tool",), PATH, cwd=str(tmp_path)))
    assert missing.value.code == "PROGRAM_NOT_FOUND"


async def test_a_program_starts_in_its_working_directory(channel: Channel, tmp_path: Path) -> None:
    finished = await channel.run(SpawnRequest(("/bin/pwd",), cwd=str(tmp_path)))
    assert finished.stdout.decode().strip() == str(tmp_path)


async def test_why_a_program_cannot_start_is_told(channel: Channel, tmp_path: Path) -> None:
    files = {"plain": "text", "orphan": "#!/no/such/interpreter\n", "nohead": "\x7fnonsense"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o644 if name == "plain" else 0o755)
    cases = {
        "no-such-program-anywhere": "PROGRAM_NOT_FOUND",
        str(tmp_path / "missing"): "PROGRAM_NOT_FOUND",
        str(tmp_path): "PROGRAM_NOT_EXECUTABLE",
        str(tmp_path / "plain"): "PROGRAM_NOT_EXECUTABLE",
        str(tmp_path / "orphan"): "PROGRAM_NOT_EXECUTABLE",
        str(tmp_path / "nohead"): "PROGRAM_NOT_EXECUTABLE",
    }
    for program, code in cases.items():
        with pytest.raises(PloinkyError) as refused:
            await channel.run(SpawnRequest((program,)))
        assert refused.value.code == code, program
        assert program in refused.value.message
        assert refused.value.hint
    with pytest.raises(PloinkyError) as refused:
        await channel.run(SpawnRequest(("/bin/true",), cwd=str(tmp_path / "missing")))
    assert refused.value.code == "PROGRAM_BAD_CWD"
    assert (await channel.run(SpawnRequest(("/bin/true",)))).exit.ok


async def test_a_program_inherits_nothing_of_the_launcher(channel: Channel) -> None:
    files = await channel.run(SpawnRequest(("ls", "/proc/self/fd"), PATH))
    assert files.stdout.split() == [b"0", b"1", b"2", b"3"]  # 3 is the folder that ls reads
    # no shell in between: it would set the signals right itself
    signals = await channel.run(SpawnRequest(("grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"), PATH))
    assert signals.stdout.split()[1::2] == [b"0" * 16, b"0" * 16]


async def test_a_program_leads_a_group_in_the_session_of_the_launcher(
    launcher: RunningLauncher, channel: Channel
) -> None:
    """A session for each would be a group for the scheduler, and some of many would wait for long."""
    async with channel.spawn(SpawnRequest(("sleep", "60"))) as program:
        assert os.getpgid(program.pid) == program.pid
        assert os.getsid(program.pid) == os.getsid(launcher.pid) == launcher.pid


async def test_a_limit_on_open_files_holds_for_the_program_only(channel: Channel) -> None:
    finished = await channel.run(shell("ulimit -n", limits=((Limit.OPEN_FILES, 17),)))
    assert finished.stdout == b"17\n"
    assert (await channel.run(shell("ulimit -n"))).stdout != b"17\n"


async def test_a_program_that_takes_too_long_is_ended_even_if_it_ignores_term(channel: Channel) -> None:
    request = shell("trap '' TERM; echo ready; while :; do sleep 1; done", timeout_s=0.2, grace_s=0.2)
    started = anyio.current_time()
    finished = await channel.run(request)
    assert finished.exit == Exit(None, signal.SIGKILL, timed_out=True)
    assert finished.stdout == b"ready\n"
    assert 0.35 < anyio.current_time() - started < 3


async def test_what_a_program_prints_on_term_still_arrives(channel: Channel) -> None:
    request = shell("trap 'echo bye; exit 4' TERM; echo ready; while :; do sleep 10 & wait; done")
    async with channel.spawn(request) as program:
        await anext(program)
        await program.kill()
        assert [chunk.data async for chunk in program] == [b"bye\n"]
        assert program.exit == Exit(4, None)


async def test_exactly_as_much_output_as_allowed_is_delivered(channel: Channel) -> None:
    enough = await channel.run(SpawnRequest(("head", "-c", "100000", "/dev/zero"), max_output=100_000))
    assert (len(enough.stdout), enough.exit) == (100_000, Exit(0, None))
    endless = await channel.run(SpawnRequest(("yes",), max_output=100_001))
    assert len(endless.stdout) == 100_001
    assert endless.exit.output_limited
    assert not endless.exit.ok


async def test_the_last_output_comes_before_the_exit(channel: Channel) -> None:
    for _ in range(20):
        finished = await channel.run(SpawnRequest(("head", "-c", "65536", "/dev/zero")))
        assert len(finished.stdout) == 65536


async def test_a_grandchild_that_keeps_the_output_open_delays_the_exit_only_briefly(channel: Channel) -> None:
    started = anyio.current_time()
    finished = await channel.run(shell("sleep 60 & echo $!"))
    assert finished.exit.ok
    assert anyio.current_time() - started < 2
    await gone(int(finished.stdout))


async def test_leaving_the_block_ends_the_program_and_its_descendants(channel: Channel) -> None:
    async with channel.spawn(shell("sleep 60 & echo $!; wait")) as program:
        grandchild = int((await anext(program)).data)
    assert program.exit is not None
    await gone(program.pid)
    await gone(grandchild)


async def test_a_cancelled_call_ends_its_program(channel: Channel) -> None:
    seen: list[int] = []

    async def note(chunk: ProgramChunk) -> None:
        seen.append(int(chunk.data))
        tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(channel.run, shell("echo $$; sleep 60"), b"", note)
    await gone(seen[0])
    assert (await channel.run(SpawnRequest(("/bin/true",)))).exit.ok


async def test_a_lost_connection_ends_what_was_started_through_it(launcher: RunningLauncher) -> None:
    async with await launcher.connect() as other:
        async with await launcher.connect() as channel:
            program = await channel.spawn(shell("trap '' TERM; sleep 60 & echo $!; wait; wait", grace_s=0.2))
            grandchild = int((await anext(program)).data)
            spared = await other.spawn(SpawnRequest(("cat",)))
        await gone(program.pid)
        await gone(grandchild)
        await spared.send(b"alive")
        assert (await anext(spared)).data == b"alive"


async def test_orphans_are_reaped_and_nothing_is_leaked(launcher: RunningLauncher) -> None:
    async with await launcher.connect() as channel:
        await channel.run(SpawnRequest(("/bin/true",)))
        before = launcher.descriptors()
        for _ in range(10):
            await channel.run(shell("setsid sh -c 'sleep 0.05 & sleep 0.05 & exit' & exit 0"))

        async def childless() -> bool:
            return launcher.children() == []

        await wait_until(childless, what="the orphans to be reaped", timeout_s=10)
        assert launcher.descriptors() == before


async def test_many_programs_run_at_once_over_one_connection(channel: Channel) -> None:
    outputs: dict[int, bytes] = {}

    async def one(number: int) -> None:
        outputs[number] = (await channel.run(SpawnRequest(("cat",)), str(number).encode() * 1000)).stdout

    async with anyio.create_task_group() as tasks:
        for number in range(60):
            tasks.start_soon(one, number)
    assert outputs == {number: str(number).encode() * 1000 for number in range(60)}


async def test_output_is_handed_over_as_it_comes(channel: Channel) -> None:
    lines: list[bytes] = []
    await channel.run(
        SpawnRequest(python("import time\nfor i in range(3): print(i, flush=True); time.sleep(0.05)")),
        on_output=lambda chunk: take(lines, chunk),
    )
    assert lines == [b"0\n", b"1\n", b"2\n"]


async def take(lines: list[bytes], chunk: ProgramChunk) -> None:
    lines.append(chunk.data)


async def gone(pid: int) -> None:
    async def check() -> bool:
        return not Path(f"/proc/{pid}").exists()

    await wait_until(check, what=f"process {pid} to go", timeout_s=10)
