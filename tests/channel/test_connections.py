"""Ways to reach a launcher, files and ports behind it, and what happens when either side goes away."""

from __future__ import annotations

import socket
import stat
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc
import pytest
from anyio.streams.stapled import StapledByteStream

from ploinky.base.errors import PloinkyError
from ploinky.base.waits import wait_until
from ploinky.channel.client import (
    Channel,
    LaunchRequest,
    SpawnRequest,
    Tunnel,
    await_channel,
    open_channel,
    open_channel_over,
)
from tests.channel.conftest import RunningLauncher, python, started

TOKEN = "0123456789abcdef-secret"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


async def test_nobody_listening_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(PloinkyError) as refused:
        await Channel.connect(tmp_path / "l.sock")
    assert refused.value.code == "CHANNEL_UNREACHABLE"
    assert refused.value.hint


async def test_a_path_too_long_for_a_socket_is_explained(tmp_path: Path) -> None:
    with pytest.raises(PloinkyError, match="107"):
        await Channel.connect(tmp_path / ("x" * 120))


async def test_a_launcher_that_is_still_coming_up_is_awaited(launcher_binary: Path) -> None:
    with started([str(launcher_binary)]) as launcher:
        async with await await_channel(launcher.socket, timeout_s=5) as channel:
            assert (await channel.run(SpawnRequest(("/bin/true",)))).exit.ok


async def test_the_socket_is_its_owners_only_and_a_stale_one_is_replaced(launcher: RunningLauncher) -> None:
    async with await launcher.connect():
        assert stat.S_IMODE(launcher.socket.stat().st_mode) == 0o600
    launcher.kill()
    assert launcher.socket.exists()
    again = subprocess.Popen([str(launcher.process.args[0]), "serve", "--socket", str(launcher.socket)])  # type: ignore[index]
    launcher.process = again
    async with await await_channel(launcher.socket, timeout_s=5) as channel:
        assert (await channel.run(SpawnRequest(("/bin/true",)))).exit.ok


def test_a_file_in_the_way_of_the_socket_is_left_alone(launcher_binary: Path, tmp_path: Path) -> None:
    precious = tmp_path / "l.sock"
    precious.write_text("precious")
    done = subprocess.run(
        [launcher_binary, "serve", "--socket", precious], capture_output=True, check=False, timeout=10
    )
    assert done.returncode == 1
    assert b"in the way" in done.stderr
    assert precious.read_text() == "precious"


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["serve"],
        ["serve", "--socket"],
        ["pipe"],
        ["serve", "--listen", "1234"],
        ["dance", "--socket", "x"],
    ],
)
def test_a_wrong_command_line_is_refused(launcher_binary: Path, words: list[str]) -> None:
    done = subprocess.run([launcher_binary, *words], capture_output=True, check=False, timeout=10)
    assert done.returncode == 64
    assert b"usage" in done.stderr


async def test_over_tcp_the_token_decides(launcher_binary: Path, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(TOKEN + "\n")
    port = free_port()
    extra = ["--listen", f"127.0.0.1:{port}", "--token-file", str(token)]
    with started([str(launcher_binary)], extra=extra) as launcher:
        async with await launcher.connect():
            pass  # it is up; over the UNIX socket no token is asked for
        async with await Channel.connect_tcp("127.0.0.1", port, token=TOKEN) as channel:
            assert (await channel.run(SpawnRequest(("cat",)), b"over tcp")).stdout == b"over tcp"
        for wrong in ("", TOKEN[:-1], TOKEN + "x", "x" * len(TOKEN)):
            with pytest.raises(PloinkyError) as refused:
                await Channel.connect_tcp("127.0.0.1", port, token=wrong)
            assert refused.value.code == "CHANNEL_REFUSED"


def test_a_token_too_short_to_be_one_is_refused(launcher_binary: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("short")
    line = [str(launcher_binary), "serve", "--listen", "127.0.0.1:1", "--token-file", str(tmp_path / "token")]
    done = subprocess.run(line, capture_output=True, check=False, timeout=10)
    assert done.returncode == 1
    assert b"less than 16" in done.stderr


async def test_frames_pass_through_a_pipe_where_no_socket_can_be_mounted(launcher: RunningLauncher) -> None:
    async with await launcher.connect():
        pass
    argv = [str(launcher.process.args[0]), "pipe", "--socket", str(launcher.socket)]  # type: ignore[index]
    async with await anyio.open_process(argv, stderr=None) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        async with open_channel_over(StapledByteStream(process.stdin, process.stdout)) as channel:
            data = bytes(range(256)) * 8000
            assert (await channel.run(SpawnRequest(("cat",)), data)).stdout == data
            sleeper = await channel.spawn(SpawnRequest(("sleep", "60")))
        await process.stdin.aclose()

        async def gone() -> bool:
            return not Path(f"/proc/{sleeper.pid}").exists()

        await wait_until(gone, what="the program behind the pipe to go", timeout_s=10)
        with anyio.fail_after(5):
            assert await process.wait() == 0


async def test_the_death_of_the_launcher_is_noticed_in_the_middle_of_a_call(
    launcher: RunningLauncher,
) -> None:
    channel = await launcher.connect()

    async def call() -> str:
        with pytest.raises(PloinkyError) as lost:
            await channel.run(SpawnRequest(("sleep", "60")))
        return lost.value.code

    codes: list[str] = []

    async def one() -> None:
        codes.append(await call())

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(one)
        while (await channel.status()).programs < 3:
            await anyio.lowlevel.checkpoint()
        with anyio.fail_after(10):
            children = launcher.children()
            launcher.kill()
    assert codes == ["CHANNEL_LOST"] * 3
    assert channel.is_lost
    with pytest.raises(PloinkyError):
        await channel.status()

    async def gone() -> bool:
        return not any(Path(f"/proc/{pid}/exe").exists() for pid in children)

    await wait_until(gone, what="the programs to die with their launcher", timeout_s=10)


async def test_a_closed_channel_ends_every_wait(launcher: RunningLauncher) -> None:
    channel = await launcher.connect()
    assert not channel.is_lost
    async with anyio.create_task_group() as tasks:
        program = await channel.spawn(SpawnRequest(("sleep", "60")))

        async def wait() -> None:
            with pytest.raises(PloinkyError):
                await program.wait()

        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        channel.close()
    channel.close()
    assert channel.is_lost


async def test_files_are_read_whole_or_as_far_as_wanted(channel: Channel, tmp_path: Path) -> None:
    file = tmp_path / "file"
    data = bytes(range(256)) * 6000
    file.write_bytes(data)
    whole = await channel.read_file(str(file), 10_000_000)
    assert whole is not None
    assert (whole.data, whole.size, whole.truncated) == (data, len(data), False)
    assert whole.mtime_ns == file.stat().st_mtime_ns
    part = await channel.read_file(str(file), 300_001)
    assert part is not None
    assert (part.data, part.truncated) == (data[:300_001], True)
    (tmp_path / "empty").touch()
    empty = await channel.read_file(str(tmp_path / "empty"), 10)
    assert empty is not None
    assert empty.data == b""


async def test_a_missing_file_is_none_and_anything_but_a_file_is_an_error(
    channel: Channel, tmp_path: Path
) -> None:
    assert await channel.read_file(str(tmp_path / "missing"), 10) is None
    assert await channel.read_file("/etc/passwd/below", 10) is None
    for path in ("/dev/zero", str(tmp_path)):
        with pytest.raises(PloinkyError) as refused:
            await channel.read_file(path, 10)
        assert refused.value.code == "REMOTE_FILE"


@asynccontextmanager
async def echo_server(host: str) -> AsyncIterator[int]:
    async def echo(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            async for data in stream:
                await stream.send(data)

    async with await anyio.create_tcp_listener(local_host=host) as server, anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve, echo)
        yield int(server.extra(anyio.abc.SocketAttribute.local_port))
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_tunnel_carries_bytes_both_ways_and_its_ends(channel: Channel, host: str) -> None:
    data = bytes(range(256)) * 10_000
    async with echo_server(host) as port, await channel.connect_port(port) as tunnel:
        assert isinstance(tunnel, Tunnel)

        async def send() -> None:
            await tunnel.send(data)
            await tunnel.send_eof()

        received = b""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            async for piece in tunnel:
                received += piece
        assert received == data


async def test_a_port_nobody_serves_is_refused_and_leaves_nothing_open(launcher: RunningLauncher) -> None:
    async with await launcher.connect() as channel:
        before = launcher.descriptors()
        for _ in range(3):
            with pytest.raises(PloinkyError) as refused:
                await channel.connect_port(free_port())
            assert refused.value.code == "PORT_UNREACHABLE"
        assert launcher.descriptors() == before


async def test_a_closed_tunnel_closes_the_connection_inside(launcher: RunningLauncher) -> None:
    async with await launcher.connect() as channel, echo_server("127.0.0.1") as port:
        before = launcher.descriptors()
        tunnel = await channel.connect_port(port)
        await tunnel.send(b"x")
        assert await tunnel.receive() == b"x"
        await tunnel.aclose()
        with pytest.raises(anyio.ClosedResourceError):
            await tunnel.receive()
        await channel.status()
        assert launcher.descriptors() == before


async def test_a_tunnel_whose_reader_sleeps_holds_up_no_program(channel: Channel) -> None:
    server = python(
        "import socket,sys\ns=socket.create_server(('127.0.0.1',0)); print(s.getsockname()[1],flush=True)\n"
        "c,_=s.accept()\nwhile True: c.sendall(b'x'*65536)"
    )
    async with channel.spawn(SpawnRequest(server)) as program:
        port = int((await anext(program)).data)
        async with await channel.connect_port(port):
            for _ in range(30):
                assert (await channel.run(SpawnRequest(("echo", "hi")))).stdout == b"hi\n"


async def test_the_agent_outlives_the_connection_that_launched_it(launcher: RunningLauncher) -> None:
    async with await launcher.connect(), open_channel(launcher.socket) as channel:
        await channel.launch(LaunchRequest(("sleep", "60")))
    async with open_channel(launcher.socket) as channel:
        assert (await channel.status()).main_pid is not None
