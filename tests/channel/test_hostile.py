"""Peers that break the rules: clients that send nonsense, launchers that lie."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ploinky.base.errors import DeadlineError, PloinkyError
from ploinky.channel.client import Channel, SpawnRequest, open_channel
from ploinky.channel.frames import (
    MAX_PAYLOAD,
    WINDOW_BYTES,
    ErrorCode,
    FrameReader,
    FrameType,
    ReplyTag,
    RequestTag,
    decode_entries,
    encode_frame,
    entry,
    integer,
)
from tests.channel.conftest import RunningLauncher, started

HELLO = encode_frame(FrameType.HELLO, 1, entry(RequestTag.VERSION, 1))
SPAWN_CAT = entry(RequestTag.ARGV, "/bin/cat") + entry(RequestTag.GRACE_MS, 0)


def exchange(path: Path, data: bytes) -> list[tuple[int, int, bytes]]:
    """Send bytes, end, and read all that the launcher says until it closes."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(60)
        sock.connect(str(path))
        try:
            sock.sendall(data)
            received = b""
            while part := sock.recv(65536):
                received += part
        except ConnectionError:
            return []
    return list(FrameReader().feed(received))


def next_frames(sock: socket.socket, reader: FrameReader) -> list[tuple[int, int, bytes]]:
    """The frames that come next, at least one."""
    while not (frames := list(reader.feed(sock.recv(65536)))):
        pass
    return frames


NONSENSE: dict[str, bytes] = {
    "a frame before the greeting": encode_frame(FrameType.STATUS, 1),
    "another version": encode_frame(FrameType.HELLO, 1, entry(RequestTag.VERSION, 99)),
    "a greeting too long": b"\xff\xff\x00\x00\x01\x01\x00\x00\x00",
    "two greetings": HELLO + HELLO,
    "a frame too large": HELLO + (MAX_PAYLOAD + 1).to_bytes(4, "little") + b"\x02\x01\x00\x00\x00",
    "an unknown type": HELLO + encode_frame(99, 1),
    "a type of the other side": HELLO + encode_frame(FrameType.EXIT, 1),
    "an entry cut short": HELLO + encode_frame(FrameType.SPAWN, 1, b"\x01\xff\x00\x00\x00x"),
    "a header cut short": HELLO + encode_frame(FrameType.SPAWN, 1, b"\x01\xff"),
    "an unknown tag": HELLO + encode_frame(FrameType.SPAWN, 1, entry(200, "x")),
    "a zero byte in a text": HELLO + encode_frame(FrameType.SPAWN, 1, entry(RequestTag.ARGV, "a\0b")),
    "a short integer": HELLO + encode_frame(FrameType.SPAWN, 1, entry(RequestTag.GRACE_MS, b"\x01")),
    "no program": HELLO + encode_frame(FrameType.SPAWN, 1),
    "channel zero": HELLO + encode_frame(FrameType.SPAWN, 0, SPAWN_CAT),
    "a channel in use": HELLO + encode_frame(FrameType.SPAWN, 7, SPAWN_CAT) * 2,
    "too much input": HELLO
    + encode_frame(FrameType.SPAWN, 7, SPAWN_CAT)
    + encode_frame(FrameType.STDIN, 7, bytes(WINDOW_BYTES + 1)),
    "input after its end": HELLO
    + encode_frame(FrameType.SPAWN, 7, SPAWN_CAT)
    + encode_frame(FrameType.STDIN_EOF, 7)
    + encode_frame(FrameType.STDIN, 7, b"x"),
    "signal nought": HELLO
    + encode_frame(FrameType.SPAWN, 7, SPAWN_CAT)
    + encode_frame(FrameType.SIGNAL, 7, b"\0"),
    "a bad size": HELLO
    + encode_frame(FrameType.SPAWN, 7, SPAWN_CAT)
    + encode_frame(FrameType.RESIZE, 7, b"\0"),
    "a tunnel's frame for a program": HELLO
    + encode_frame(FrameType.SPAWN, 7, SPAWN_CAT)
    + encode_frame(FrameType.DATA, 7, b"x"),
    "a bad port": HELLO + encode_frame(FrameType.CONNECT, 7, b"\x01"),
    "a bad policy": HELLO + encode_frame(FrameType.LAUNCH, 7, entry(RequestTag.POLICY, 3)),
    "a bad limit": HELLO + encode_frame(FrameType.SPAWN, 7, SPAWN_CAT + entry(RequestTag.RLIMIT, b"x")),
}


@pytest.mark.parametrize("name", NONSENSE)
async def test_nonsense_is_answered_with_an_error_and_the_end(launcher: RunningLauncher, name: str) -> None:
    async with await launcher.connect() as bystander:
        frames = await anyio.to_thread.run_sync(exchange, launcher.socket, NONSENSE[name])
        kind, channel, payload = frames[-1]
        assert (kind, channel) == (FrameType.ERROR, 0)
        facts = decode_entries(payload)
        assert integer(facts, ReplyTag.CODE) == ErrorCode.PROTOCOL
        assert facts[ReplyTag.MESSAGE]
        assert (await bystander.run(SpawnRequest(("/bin/true",)))).exit.ok


async def test_frames_for_channels_that_are_gone_are_ignored(launcher: RunningLauncher) -> None:
    late = b"".join(
        encode_frame(kind, 9, b"")
        for kind in (
            FrameType.STDIN,
            FrameType.KILL,
            FrameType.WINDOW,
            FrameType.RESIZE,
            FrameType.DATA,
            FrameType.EOF,
        )
    )
    async with await launcher.connect():
        bye = encode_frame(FrameType.STATUS, 5) + encode_frame(99, 1)
        frames = await anyio.to_thread.run_sync(exchange, launcher.socket, HELLO + late + bye)
    assert [kind for kind, _, _ in frames] == [FrameType.HELLO_OK, FrameType.STATE, FrameType.ERROR]


@pytest.mark.parametrize("count", [255, 256, 257, 512])
async def test_a_connection_goes_on_after_as_many_frames_as_one_turn_takes(
    release_launcher: RunningLauncher, count: int
) -> None:
    def kinds(sock: socket.socket) -> list[int]:
        return [kind for kind, _, _ in next_frames(sock, reader)]

    reader = FrameReader()
    async with await release_launcher.connect() as bystander:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(20)
            sock.connect(str(release_launcher.socket))
            sock.sendall(HELLO)
            assert await anyio.to_thread.run_sync(kinds, sock) == [FrameType.HELLO_OK]
            sock.sendall(encode_frame(FrameType.KILL, 5) * count)
            assert (await bystander.run(SpawnRequest(("/bin/true",)))).exit.ok  # they are taken by now
            sock.sendall(encode_frame(FrameType.STATUS, 6))
            assert await anyio.to_thread.run_sync(kinds, sock) == [FrameType.STATE]


async def test_a_flood_of_questions_from_one_that_does_not_read_is_bounded(
    release_launcher: RunningLauncher,
) -> None:
    async with await release_launcher.connect() as bystander:
        await bystander.run(SpawnRequest(("/bin/true",)))
        before = release_launcher.memory_kb()
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(release_launcher.socket))
            sock.settimeout(0.5)
            sock.sendall(HELLO)
            flood = encode_frame(FrameType.STATUS, 5) * 4000
            with pytest.raises(TimeoutError):
                sock.sendall(flood * 2000)
            assert (await bystander.run(SpawnRequest(("/bin/true",)))).exit.ok
            assert release_launcher.memory_kb() - before < 8 * 1024


async def test_a_flood_of_frames_that_are_ignored_is_bounded(release_launcher: RunningLauncher) -> None:
    async with await release_launcher.connect() as bystander:
        await bystander.run(SpawnRequest(("/bin/true",)))
        before = release_launcher.memory_kb()
        flood = encode_frame(FrameType.KILL, 5) * 100_000

        def attack() -> list[tuple[int, int, bytes]]:
            return exchange(release_launcher.socket, HELLO + flood * 20 + encode_frame(99, 1))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, attack)
            for _ in range(30):
                assert (await bystander.run(SpawnRequest(("/bin/true",)))).exit.ok
                assert release_launcher.memory_kb() - before < 2 * 1024


def turned_away(sock: socket.socket) -> bool:
    sock.settimeout(5)
    try:
        return sock.recv(1) == b""
    except ConnectionError:
        return True


async def test_connections_beyond_the_limit_are_turned_away(launcher: RunningLauncher) -> None:
    async with await launcher.connect() as bystander:
        crowd = []
        try:
            for _ in range(200):
                sock = socket.socket(socket.AF_UNIX)
                crowd.append(sock)
                sock.connect(str(launcher.socket))
                await bystander.status()
            crowd[-1].settimeout(5)
            assert turned_away(crowd[-1])
            assert launcher.descriptors() < 140
        finally:
            for sock in crowd:
                sock.close()
        await bystander.status()
    async with await launcher.connect() as late:
        assert (await late.run(SpawnRequest(("/bin/true",)))).exit.ok


FRAME = st.builds(
    encode_frame,
    st.one_of(
        st.sampled_from([kind for kind in FrameType if kind not in (FrameType.LAUNCH, FrameType.SHUTDOWN)])
    ),
    st.integers(0, 4),
    st.one_of(
        st.binary(max_size=40),
        st.just(SPAWN_CAT),
        st.lists(
            st.builds(
                entry,
                st.sampled_from(RequestTag),
                st.one_of(st.binary(max_size=20), st.integers(0, 2**64 - 1)),
            )
        ).map(b"".join),
    ),
)


async def test_random_frames_and_bytes_never_break_it(sanitized_binary: Path) -> None:
    with started([str(sanitized_binary)]) as launcher:
        async with await launcher.connect() as bystander:

            @settings(max_examples=150, suppress_health_check=list(HealthCheck))
            @given(
                st.one_of(st.binary(max_size=200), st.lists(FRAME, max_size=12).map(b"".join)), st.booleans()
            )
            def attack(data: bytes, greeted: bool) -> None:
                with socket.socket(socket.AF_UNIX) as sock:
                    sock.settimeout(10)
                    sock.connect(str(launcher.socket))
                    sock.sendall(HELLO * greeted + data)
                    sock.shutdown(socket.SHUT_WR)
                    try:
                        while sock.recv(65536):
                            pass
                    except ConnectionError:
                        pass
                assert launcher.process.poll() is None

            await anyio.to_thread.run_sync(attack)
            assert (await bystander.run(SpawnRequest(("/bin/true",)))).exit.ok


HELLO_OK = entry(ReplyTag.VERSION, 1) + entry(ReplyTag.WINDOW, WINDOW_BYTES)
STARTED = entry(ReplyTag.PID, 42)
Answer = Callable[[int, int, bytes], bytes]


@asynccontextmanager
async def liar(folder: Path, answer: Answer) -> AsyncIterator[Path]:
    """A launcher that greets properly and then answers each frame with whatever ``answer`` returns."""

    async def talk(stream: anyio.abc.SocketStream) -> None:
        reader = FrameReader()
        async with stream:
            try:
                async for data in stream:
                    for kind, channel, payload in reader.feed(data):
                        greeting = kind == FrameType.HELLO
                        said = encode_frame(FrameType.HELLO_OK, channel, HELLO_OK) if greeting else b""
                        await stream.send(said or answer(kind, channel, payload) or b"")
            except anyio.BrokenResourceError:
                return

    path = folder / "l.sock"
    async with await anyio.create_unix_listener(path) as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, talk)
        yield path
        tasks.cancel_scope.cancel()


def flooding(kind: int, channel: int, payload: bytes) -> bytes:
    if kind != FrameType.SPAWN:
        return b""
    flood = encode_frame(FrameType.STDOUT, channel, bytes(65536)) * 5
    return encode_frame(FrameType.STARTED, channel, STARTED) + flood


LIES: dict[str, Answer] = {
    "a frame too large": lambda kind, channel, payload: b"\xff" * 9,
    "an end without a start": lambda kind, channel, payload: encode_frame(FrameType.EXIT, channel),
    "an end of no kind": lambda kind, channel, payload: (
        encode_frame(FrameType.STARTED, channel, STARTED) + encode_frame(FrameType.EXIT, channel)
    ),
    "a payload cut short": lambda kind, channel, payload: encode_frame(
        FrameType.STARTED, channel, b"\x02\x09"
    ),
    "an error of no kind": lambda kind, channel, payload: encode_frame(FrameType.ERROR, channel, b""),
    "a frame for no channel": lambda kind, channel, payload: encode_frame(FrameType.STDOUT, 0, b"x"),
    "a window too large": lambda kind, channel, payload: encode_frame(
        FrameType.WINDOW, channel, b"\xff\xff\xff\xff"
    ),
    "an unknown type": lambda kind, channel, payload: encode_frame(200, channel),
}


@pytest.mark.parametrize("name", LIES)
async def test_a_launcher_that_breaks_the_protocol_is_left(tmp_path: Path, name: str) -> None:
    async with liar(tmp_path, LIES[name]) as path, open_channel(path) as channel:
        with pytest.raises(PloinkyError) as broken:
            await channel.run(SpawnRequest(("true",)))
        assert broken.value.code == "CHANNEL_PROTOCOL"
        assert channel.is_lost


async def test_a_launcher_that_ignores_the_window_is_left(tmp_path: Path) -> None:
    async with liar(tmp_path, flooding) as path, open_channel(path) as channel:
        await channel.spawn(SpawnRequest(("true",)))  # and nobody reads its output
        with pytest.raises(PloinkyError) as broken:
            await channel.status()
        assert broken.value.code == "CHANNEL_PROTOCOL"


async def test_more_output_than_asked_for_is_not_kept(tmp_path: Path) -> None:
    def generous(kind: int, channel: int, payload: bytes) -> bytes:
        if kind != FrameType.SPAWN:
            return b""
        return encode_frame(FrameType.STARTED, channel, STARTED) + encode_frame(
            FrameType.STDOUT, channel, b"x" * 11
        )

    async with liar(tmp_path, generous) as path, open_channel(path) as channel:
        with pytest.raises(PloinkyError) as broken:
            await channel.run(SpawnRequest(("true",), max_output=10))
        assert broken.value.code == "CHANNEL_PROTOCOL"


async def test_a_silent_launcher_is_given_up_after_the_deadlines(tmp_path: Path) -> None:
    async with liar(tmp_path, lambda kind, channel, payload: b"") as path, open_channel(path) as channel:
        hasty = Channel(channel._link, reply_timeout_s=0.1)
        for call in (
            hasty.status,
            lambda: hasty.run(SpawnRequest(("true",))),
            lambda: hasty.read_file("/x", 1),
        ):
            with pytest.raises(DeadlineError):
                await call()


async def test_a_greeting_that_never_comes_has_a_deadline(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / "l.sock"))
        deaf.listen()
        with pytest.raises(DeadlineError):
            await Channel.connect(tmp_path / "l.sock", timeout_s=0.2)


async def test_the_launchers_words_are_bounded_and_printable(tmp_path: Path) -> None:
    words = entry(ReplyTag.CODE, ErrorCode.NOT_EXECUTABLE) + entry(ReplyTag.MESSAGE, b"\x1b[31m\xff" * 9999)
    async with (
        liar(tmp_path, lambda kind, channel, payload: encode_frame(FrameType.ERROR, channel, words)) as path,
        open_channel(path) as channel,
    ):
        with pytest.raises(PloinkyError) as refused:
            await channel.run(SpawnRequest(("tool",)))
    assert refused.value.message.isprintable()
    assert len(refused.value.message) < 400
