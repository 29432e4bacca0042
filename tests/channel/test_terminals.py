"""Programs in a terminal: size, keys, end of input, hang-up."""

from __future__ import annotations

import os
from pathlib import Path

import anyio

from ploinky.base.waits import wait_until
from ploinky.channel.client import Channel, Exit, Program, SpawnRequest

ENV = (("PATH", "/usr/bin:/bin"), ("TERM", "dumb"))


def shell(script: str, size: tuple[int, int] = (24, 80)) -> SpawnRequest:
    return SpawnRequest(("/bin/sh", "-c", script), ENV, pty=size)


async def read_until(program: Program, wanted: bytes) -> bytes:
    seen = b""
    with anyio.fail_after(10):
        while wanted not in seen:
            seen += (await anext(program)).data
    return seen


async def test_a_program_gets_a_terminal_of_the_wanted_size(channel: Channel) -> None:
    finished = await channel.run(shell("test -t 0 && test -t 1 && test -t 2 && stty size", (33, 101)))
    assert finished.exit.ok
    assert finished.stdout == b"33 101\r\n"


async def test_a_program_in_a_terminal_leads_a_session(channel: Channel) -> None:
    async with channel.spawn(shell("exec sleep 60")) as program:
        assert os.getsid(program.pid) == os.getpgid(program.pid) == program.pid


async def test_a_new_size_reaches_the_program_with_a_signal(channel: Channel) -> None:
    request = shell("trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.05; done")
    async with channel.spawn(request) as program:
        await read_until(program, b"ready")
        await program.resize(50, 132)
        await read_until(program, b"50 132")


async def test_what_is_typed_is_echoed_and_read_and_control_c_interrupts(channel: Channel) -> None:
    async with channel.spawn(shell("cat")) as program:
        await program.send(b"hi\n")
        await read_until(program, b"hi\r\nhi\r\n")
        await program.send(b"\x03")
        assert await program.wait() == Exit(None, 2)


async def test_the_end_of_input_is_typed_also_in_the_middle_of_a_line(channel: Channel) -> None:
    for text in (b"", b"line\n", b"no end of line"):
        async with channel.spawn(shell("stty -echo; echo ready; cat; echo over")) as program:
            await read_until(program, b"ready")
            await program.send(text)
            await program.end_input()
            await read_until(program, b"over")
            assert (await program.wait()).ok


async def test_jobs_in_the_terminal_are_hung_up_when_it_closes(channel: Channel) -> None:
    async with channel.spawn(shell("set -m; sleep 60 & echo pid $!; fg")) as program:
        said = await read_until(program, b"sleep")
        pid = int(said.split(b"pid ")[1].split()[0])

        async def in_front() -> bool:
            fields = Path(f"/proc/{program.pid}/stat").read_text().rsplit(")", 1)[1].split()
            return int(fields[5]) == pid  # the group in the foreground of its terminal

        await wait_until(in_front, what="the job to be in the foreground", timeout_s=10)

    async def gone() -> bool:
        return not Path(f"/proc/{pid}").exists()

    await wait_until(gone, what="the job in the foreground to be hung up", timeout_s=10)
