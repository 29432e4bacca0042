"""Requests on one connection, as bytes: in a row, cut, ambiguous. Each gets its own answer or none."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.abc
import anyio.lowlevel
import pytest

from ploinky.base.jsontypes import JsonObject
from ploinky.base.waits import wait_until
from tests.router.stand import OWNER_TOKEN, Stand, gone, holds, open_stand
from tests.router.wire import call, open_session, send, stateless

KEPT = """cd "$(dirname "$0")"
big=$(head -c 200000 /dev/zero | tr '\\0' y)
while read -r line; do
  case "$line" in
    *'"text":"hang"'*) echo $$ > pid; while [ ! -e go ]; do sleep 0.02; done;;
    *'"text":"big"'*) line="$big";;
  esac
  printf '%s\\n' "$line"
done"""
SCHEMA = {"text": {"type": "string"}}
GONE = (anyio.BrokenResourceError, anyio.EndOfStream)
PING = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """The gateway runs on uvloop, other programs on asyncio; a transport may differ in what it does late."""
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


@dataclass(frozen=True)
class Http:
    """One answer on the wire."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> object:
        return json.loads(self.body)["id"]


class Raw:
    """A connection on which anything may be said."""

    def __init__(self, stream: anyio.abc.SocketStream) -> None:
        self.stream = stream
        self._read = b""

    async def say(self, data: bytes) -> None:
        await self.stream.send(data)

    async def hear(self) -> Http:
        """The next answer, which has a length."""
        with anyio.fail_after(20):
            head = await self._until(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
            }
            size = int(headers.get("content-length", "0"))
            while len(self._read) < size:
                self._read += await self.stream.receive()
        body, self._read = self._read[:size], self._read[size:]
        return Http(int(first.split()[1]), headers, body)

    async def hear_end(self) -> bytes:
        """What comes before the other side closes."""
        heard, self._read = self._read, b""
        with anyio.fail_after(20), contextlib.suppress(*GONE):
            while True:
                heard += await self.stream.receive()
        return heard

    async def _until(self, mark: bytes) -> bytes:
        while mark not in self._read:
            self._read += await self.stream.receive()
        head, _, self._read = self._read.partition(mark)
        return head


@contextlib.asynccontextmanager
async def raw(port: int) -> AsyncIterator[Raw]:
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        yield Raw(stream)


@dataclass(frozen=True)
class Desk:
    """A gateway with one kept tool, and a session at it."""

    stand: Stand
    session: Mapping[str, str]
    fresh: Iterator[int] = field(default_factory=lambda: itertools.count(1000))

    @property
    def folder(self) -> Path:
        return self.stand.agents["alpha"].folder

    def call(self, number: int, text: str = "x", *, chunked: bool = False, **headers: str) -> bytes:
        """A whole request that calls the tool."""
        body = json.dumps(call("kept", {"text": text}, request_id=number)).encode()
        if chunked:
            cut = len(body) // 2
            parts = [b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:cut], body[cut:])]
            return self.head("transfer-encoding: chunked", **headers) + b"".join(parts) + b"0\r\n\r\n"
        return self.head(f"content-length: {len(body)}", **headers) + body

    def head(self, *lines: str, **headers: str) -> bytes:
        fields = {
            "host": "localhost",
            "authorization": f"Bearer {OWNER_TOKEN}",
            "content-type": "application/json",
            "accept": "application/json",
            **self.session,
            **headers,
        }
        written = [f"{name}: {value}" for name, value in fields.items()]
        return "\r\n".join(["POST /mcp HTTP/1.1", *written, *lines, "", ""]).encode()

    def hold(self) -> None:
        """Let the next call of ``hang`` wait until ``release``."""
        for name in ("go", "pid"):
            (self.folder / name).unlink(missing_ok=True)

    def release(self) -> None:
        (self.folder / "go").touch()

    async def hung(self) -> None:
        await wait_until(holds(self.folder / "pid"), what="the call to have begun", timeout_s=10)

    async def warm(self) -> None:
        """Have the tool called once, so that calls of the next moment go the quick way."""
        answer = await send(
            self.stand, call("kept", {"text": "warm"}, request_id=next(self.fresh)), dict(self.session)
        )
        assert answer.result["isError"] is False

    async def works(self) -> None:
        async with raw(self.stand.port) as line:
            await line.say(self.call(1, "after"))
            assert said(await line.hear()) == "after"


def said(answer: Http) -> str:
    """What the tool was asked, by its answer."""
    assert answer.status == 200, answer
    result: JsonObject = json.loads(answer.body)["result"]
    content = result["content"]
    assert isinstance(content, list)
    assert isinstance(content[0], dict)
    return str(json.loads(str(content[0]["text"]))["input"]["text"])


@pytest.fixture(scope="module")
async def desk(anyio_backend: object) -> AsyncIterator[Desk]:
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        tool = alpha.tool("kept", KEPT, mode="persistent", inputSchema=SCHEMA)
        alpha.configure(tool)
        await stand.look()
        yield Desk(stand, await open_session(stand))


async def test_pipelined_calls_are_answered_in_their_order_each_with_its_own_answer(desk: Desk) -> None:
    await desk.warm()
    async with raw(desk.stand.port) as line:
        wanted = []
        whole = b""
        for number in range(1, 61):
            if number % 7 == 0:
                whole += PING
                wanted.append("ok")
            else:
                whole += desk.call(number, f"t{number}", chunked=number % 3 == 0)
                wanted.append(f"t{number}")
        await line.say(whole)
        for each in wanted:
            answer = await line.hear()
            assert (answer.body == b"ok\n" or b"ok" in answer.body) if each == "ok" else said(answer) == each


@pytest.mark.parametrize("piece", [1, 7, 100, 1000])
async def test_requests_that_come_in_pieces_of_any_size_are_the_same_requests(desk: Desk, piece: int) -> None:
    await desk.warm()
    requests = [desk.call(number, f"t{number}", chunked=number % 2 == 0) for number in range(1, 5)]
    whole = b"".join(requests)
    async with raw(desk.stand.port) as line, anyio.create_task_group() as tasks:

        async def speak() -> None:
            for at in range(0, len(whole), piece):
                await line.say(whole[at : at + piece])
                await anyio.lowlevel.checkpoint()

        tasks.start_soon(speak)
        for number in range(1, 5):
            assert said(await line.hear()) == f"t{number}"


async def test_calls_behind_a_slow_one_wait_for_it_whole_or_in_part(desk: Desk) -> None:
    await desk.warm()
    desk.hold()
    behind = desk.call(2, "second")
    async with raw(desk.stand.port) as line:
        await line.say(desk.call(1, "hang") + behind[:-10])
        await desk.hung()
        await line.say(behind[-10:] + desk.call(3, "third"))
        desk.release()
        assert [said(await line.hear()) for _ in range(3)] == ["hang", "second", "third"]


async def test_what_stands_behind_a_call_that_must_go_the_other_way_after_all_is_not_mixed_with_it() -> None:
    """The kept program dies while calls wait for it: they were not begun, and are sent the other way."""
    dying = KEPT.replace("esac", '*\'"text":"die"\'*) exit 3;; esac')
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        tool = alpha.tool("kept", dying, mode="persistent", inputSchema=SCHEMA)
        alpha.configure(tool)
        await stand.look()
        desk = Desk(stand, await open_session(stand))
        for _ in range(3):
            desk.hold()
            await desk.warm()
            async with raw(stand.port) as first, raw(stand.port) as dies, raw(stand.port) as line:
                await first.say(desk.call(1, "hang"))
                await desk.hung()
                await dies.say(desk.call(2, "die"))
                behind = desk.call(4, "behind")
                await line.say(desk.call(3, "waits") + behind[:-10])
                desk.release()
                assert said(await first.hear()) == "hang"
                assert (await dies.hear()).status == 200
                assert said(await line.hear()) == "waits"
                await line.say(behind[-10:])
                assert said(await line.hear()) == "behind"


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        (("content-length: 4", "transfer-encoding: chunked"), b"0\r\n\r\n"),
        (("transfer-encoding: chunked", "content-length: 5"), b"0\r\n\r\n"),
        (("content-length: 2", "content-length: 3"), b"{}x"),
        (("content-length: 2, 2",), b"{}"),
        (("content-length: +2",), b"{}"),
        (("content-length: 0x2",), b"{}"),
        (("content-length: -1",), b""),
        (("content-length: 99999999999999999999999",), b"{}"),
        (("transfer-encoding: chunked, identity",), b"0\r\n\r\n"),
        (("transfer-encoding: identity",), b"{}"),
        (("transfer-encoding: chunked", "transfer-encoding: identity"), b"0\r\n\r\n"),
        (("transfer-encoding: xchunked",), b"0\r\n\r\n"),
        (("transfer-encoding : chunked",), b"0\r\n\r\n"),
        (("transfer-encoding: chunked",), b"zz\r\n{}\r\n0\r\n\r\n"),
        (("transfer-encoding: chunked",), b"-1\r\n{}\r\n0\r\n\r\n"),
        (("transfer-encoding: chunked",), b"2\r\n{}x\r\n0\r\n\r\n"),
        (("transfer-encoding: chunked",), b"ffffffffffffffffff\r\n{}\r\n0\r\n\r\n"),
        (("transfer-encoding: chunked",), b"2\n{}\n0\n\n"),
        (("x-folded: a", " transfer-encoding: chunked", "content-length: 2"), b"{}"),
        (("x: a\x00b", "content-length: 2"), b"{}"),
        (("x: a\rb", "content-length: 2"), b"{}"),
        ((": empty", "content-length: 2"), b"{}"),
    ],
)
async def test_framing_that_could_be_understood_in_two_ways_ends_the_connection(
    desk: Desk, lines: tuple[str, ...], body: bytes
) -> None:
    """Whatever stands behind such a request is never taken for a request of its own."""
    async with raw(desk.stand.port) as line:
        await line.say(desk.head(*lines) + body + desk.call(66, "smuggled"))
        heard = await line.hear_end()
        assert b"smuggled" not in heard
        assert heard.startswith((b"HTTP/1.1 400", b"HTTP/1.1 413")), heard
        assert heard.count(b"HTTP/1.1 ") == 1
    await desk.works()


async def test_a_body_is_never_taken_for_a_request(desk: Desk) -> None:
    inner = desk.call(66, "smuggled")
    async with raw(desk.stand.port) as line:
        for head in (
            desk.head(f"content-length: {len(inner)}"),
            desk.head(f"content-length: {len(inner)}", authorization="Bearer wrong"),
            desk.head(f"content-length: {len(inner)}", **{"content-type": "text/plain"}),
            PING[:-2] + f"content-length: {len(inner)}\r\n\r\n".encode(),
        ):
            await line.say(head + inner)
            answer = await line.hear()
            assert b"smuggled" not in answer.body
        await line.say(desk.call(5, "own"))
        assert said(await line.hear()) == "own"


async def test_garbage_behind_a_call_under_way_is_no_answer_to_it(desk: Desk) -> None:
    """A refusal out of its turn would be taken for the call's own: the connection breaks off instead."""
    for behind in (b"\x00garbage\r\n\r\n", desk.head("content-length: x"), UPGRADE):
        for path in (b"POST /mcp ", b"POST /mcp?other=way "):
            await desk.warm()
            desk.hold()
            async with raw(desk.stand.port) as line:
                await line.say(desk.call(next(desk.fresh), "hang").replace(b"POST /mcp ", path) + behind)
                assert await line.hear_end() == b""
            desk.release()
    await desk.works()


UPGRADE = (
    b"GET /ws HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"authorization: Bearer " + OWNER_TOKEN.encode() + b"\r\n\r\n"
)


async def test_who_leaves_with_requests_waiting_takes_the_running_one_along(desk: Desk) -> None:
    """Also if it is a stream: nothing of it stays behind in the gateway."""
    desk.hold()
    body, headers = stateless("tools/call", {"name": "kept", "arguments": {"text": "hang"}})
    encoded = json.dumps(body).encode()
    stream = {**desk.session, "accept": "text/event-stream"}
    lines = [f"{name}: {value}" for name, value in stream.items()]
    get = "\r\n".join(["GET /mcp HTTP/1.1", "host: localhost", *lines, "", ""]).encode()
    async with raw(desk.stand.port) as line, raw(desk.stand.port) as listener:
        head = desk.head(
            f"content-length: {len(encoded)}", **headers, accept="text/event-stream, application/json"
        )
        await line.say(head + encoded + PING + PING)
        await listener.say(get + PING)
        assert (await listener.hear()).status == 200
        await desk.hung()
    await wait_until(gone(desk.folder / "pid"), what="the program's end", timeout_s=10)

    async def free() -> bool:
        async with raw(desk.stand.port) as again:
            await again.say(get)
            return (await again.hear()).status == 200

    await wait_until(free, what="the session's stream to be free again", timeout_s=10)


async def test_more_requests_than_answers_are_read_cost_bounded_memory(desk: Desk) -> None:
    before = resident()
    async with raw(desk.stand.port) as line:
        with anyio.move_on_after(1.5):
            while True:
                await line.say(PING * 500)
        assert resident() - before < 30 * 1024 * 1024
        assert (await line.hear()).status == 200
        for _ in range(5000):
            assert (await line.hear()).status == 200
    await desk.works()


async def test_calls_whose_answers_nobody_reads_cost_bounded_memory(desk: Desk) -> None:
    await desk.warm()
    before = resident()
    sent = 0
    async with raw(desk.stand.port) as line:
        with anyio.move_on_after(2):
            while True:
                sent += 1
                await line.say(desk.call(sent, "big"))
        grown = resident() - before
        assert grown < 30 * 1024 * 1024, f"{grown} bytes for {sent} calls"
        for number in range(1, 30):
            assert (await line.hear()).id == number
    assert sent > 200, "the gateway has read that much, and no more than it must"
    await desk.works()


async def test_a_call_under_way_at_the_end_is_answered_and_its_connection_closed() -> None:
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        alpha.configure(alpha.tool("kept", KEPT, mode="persistent", inputSchema=SCHEMA))
        await stand.look()
        desk = Desk(stand, await open_session(stand))
        await desk.warm()
        async with raw(stand.port) as line:
            await line.say(desk.call(1, "hang"))
            await desk.hung()
            stand.stop.set()
            with pytest.raises(OSError, match="connect"):  # noqa: PT012 (until it listens no more)
                while True:
                    async with raw(stand.port):
                        await anyio.sleep(0.01)
            desk.release()
            answer = await line.hear()
            assert (said(answer), answer.headers["connection"]) == ("hang", "close")
            assert await line.hear_end() == b""


def resident() -> int:
    """Bytes of memory of this process, in which the gateway runs."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096
