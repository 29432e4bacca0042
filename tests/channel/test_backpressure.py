"""Slow readers and slow programs: memory stays bounded and nobody waits for somebody else's sake."""

from __future__ import annotations

from contextlib import AsyncExitStack

import anyio

from ploinky.base.waits import wait_until
from ploinky.channel.client import Channel, SpawnRequest
from tests.channel.conftest import RunningLauncher

GROWTH_KB = 3 * 1024


async def settled(launcher: RunningLauncher, pid: int) -> None:
    """Wait until a program waits in its write (its CPU time stands still)."""

    def ticks() -> list[str]:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:  # noqa: PTH123
            return stat.read().split()[13:15]

    last: list[list[str]] = [[]]

    async def still() -> bool:
        await anyio.sleep(0.1)
        before, last[0] = last[0], ticks()
        return before == last[0]

    await wait_until(still, what="the program to be held up", timeout_s=20)


async def test_a_program_nobody_reads_holds_up_no_other_and_costs_little(
    release_launcher: RunningLauncher,
) -> None:
    async with await release_launcher.connect() as channel:
        await channel.run(SpawnRequest(("/bin/true",)))
        before = release_launcher.memory_kb()
        async with (
            channel.spawn(SpawnRequest(("yes",))) as unread,
            channel.spawn(SpawnRequest(("yes",))) as other,
        ):
            await settled(release_launcher, unread.pid)
            for _ in range(20):
                assert (await channel.run(SpawnRequest(("echo", "hi")))).stdout == b"hi\n"
            await settled(release_launcher, other.pid)
            assert release_launcher.memory_kb() - before < GROWTH_KB
            assert unread.exit is None


async def test_a_reader_that_comes_late_gets_everything(channel: Channel) -> None:
    async with channel.spawn(SpawnRequest(("seq", "200000"))) as program:
        for _ in range(3):
            await channel.run(SpawnRequest(("/bin/true",)))
        output = b"".join([chunk.data async for chunk in program])
    assert output.split() == [str(number).encode() for number in range(1, 200_001)]


async def test_output_of_an_ended_program_waits_for_its_reader(channel: Channel) -> None:
    # 300 kB do not fit into the window, the rest waits in the pipe of a program that is gone
    async with channel.spawn(SpawnRequest(("head", "-c", "300000", "/dev/zero"))) as program:
        await anyio.sleep(0.5)
        assert sum([len(chunk.data) async for chunk in program]) == 300_000
        assert program.exit is not None
        assert program.exit.ok


async def test_a_program_that_does_not_read_holds_up_its_own_sender_only(
    release_launcher: RunningLauncher,
) -> None:
    async with await release_launcher.connect() as channel:
        await channel.run(SpawnRequest(("/bin/true",)))
        before = release_launcher.memory_kb()
        async with channel.spawn(SpawnRequest(("sleep", "60"))) as deaf:
            with anyio.move_on_after(0.5) as scope:
                await deaf.send(b"x" * 10_000_000)
            assert scope.cancelled_caught
            assert (await channel.run(SpawnRequest(("cat",)), b"y" * 1_000_000)).stdout == b"y" * 1_000_000
            assert release_launcher.memory_kb() - before < GROWTH_KB


async def test_input_that_a_program_refuses_is_dropped(channel: Channel) -> None:
    finished = await channel.run(
        SpawnRequest(("/bin/sh", "-c", "exec 0<&-; sleep 0.3; echo done")), b"z" * 2_000_000
    )
    assert finished.stdout == b"done\n"


async def test_large_output_passes_with_bounded_memory(release_launcher: RunningLauncher) -> None:
    async with await release_launcher.connect() as channel:
        await channel.run(SpawnRequest(("/bin/true",)))
        before = release_launcher.memory_kb()
        async with channel.spawn(SpawnRequest(("head", "-c", "100000000", "/dev/zero"))) as program:
            size = 0
            async for chunk in program:
                size += len(chunk.data)
        assert size == 100_000_000
        assert release_launcher.memory_kb() - before < GROWTH_KB


async def test_input_goes_out_while_all_who_wait_are_silent(channel: Channel) -> None:
    """More than the socket takes at once, from several; nothing comes back that could wake the sender."""
    reader = SpawnRequest(("/bin/sh", "-c", "cat >/dev/null; sleep 60"))
    async with AsyncExitStack() as programs:
        silent = await programs.enter_async_context(channel.spawn(SpawnRequest(("sleep", "60"))))
        fed = [await programs.enter_async_context(channel.spawn(reader)) for _ in range(4)]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(silent.wait)
            await anyio.wait_all_tasks_blocked()
            with anyio.fail_after(10):
                async with anyio.create_task_group() as feeding:
                    for program in fed:
                        feeding.start_soon(program.send, b"x" * 100_000)
            tasks.cancel_scope.cancel()
