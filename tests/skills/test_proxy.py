"""The only way out of a sandbox: what it lets through, on a real socket with real servers behind it."""

from __future__ import annotations

import base64
import contextlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ploinky.base.outbound import OutboundPolicy
from ploinky.skills.proxy import ProxyRules, serving_proxy

NOWHERE = "127.0.0.9"


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="pp-", dir="/tmp") as folder:
        yield Path(folder) / "p.sock"


class Names:
    """A name service with a memory: each name's answers in turn, the last one for ever."""

    def __init__(self, **answers: tuple[str, ...]) -> None:
        self._answers = {name.replace("_", "."): list(given) for name, given in answers.items()}
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int) -> tuple[str, ...]:
        self.asked.append(host)
        answers = self._answers.get(host)
        if not answers:
            raise OSError("no such name")
        return (answers.pop(0) if len(answers) > 1 else answers[0],)


async def say(path: Path, words: bytes, then: bytes = b"") -> bytes:
    """What the proxy answers to these bytes, to the end, or until it has connected and ``then`` was said."""
    answer = b""
    with anyio.fail_after(30):
        async with await anyio.connect_unix(path) as stream:
            await stream.send(words)
            try:
                while chunk := await stream.receive():
                    answer += chunk
                    if then and answer.startswith(b"HTTP/1.1 200"):
                        await stream.send(then)
                        await stream.send_eof()
                        then = b""
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                pass
    await anyio.wait_all_tasks_blocked()
    return answer


async def connect(path: Path, target: str, then: bytes = b"bye") -> str:
    """The status that a CONNECT gets."""
    answer = await say(path, f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode(), then)
    return answer.split(b" ")[1].decode() if answer else "closed"


@asynccontextmanager
async def greeting(host: str = "127.0.0.1") -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that keeps what it is told and answers with a greeting; its port."""
    told: list[bytes] = []
    listener = await anyio.create_tcp_listener(local_host=host, local_port=0)

    async def handle(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                told.append(await stream.receive())
                await stream.send(b"HTTP/1.1 200 Fine\r\nContent-Length: 2\r\n\r\nhi")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, handle)
        yield listener.extra(anyio.abc.SocketAttribute.local_port), told
        tasks.cancel_scope.cancel()
    await listener.aclose()


REFUSED = (
    *("other.example:443", "tide.example:80", "tide.example:22", "tide.example:8443", "tide.example.:443"),
    *("sub.tide.example:443", "xtide.example:443", "tide.example.evil.example:443", "127.0.0.1:443"),
    *("169.254.169.254:80", "10.0.0.1:443", "2130706433:443", "0x7f000001:443", "0177.0.0.1:443"),
    "secret-data-in-a-name.tunnel.example:443",
)


@pytest.mark.parametrize("target", REFUSED)
async def test_what_is_not_named_is_refused_and_not_even_looked_up(path: Path, target: str) -> None:
    names = Names(tide_example=("93.184.215.14",))
    rules = ProxyRules(frozenset({"tide.example"}), OutboundPolicy(resolve=names.resolve))
    async with serving_proxy(path, rules):
        assert await connect(path, target) == "403"
    assert names.asked == []
    assert rules.refused == [target.lower()]


@pytest.mark.parametrize(
    "target", ["[::1]:443", "[2606:4700::1111]:443", "tide.example", "tide.example:", ":443"]
)
async def test_what_is_no_name_with_a_port_is_refused(path: Path, target: str) -> None:
    names = Names(tide_example=("93.184.215.14",))
    rules = ProxyRules(frozenset({"tide.example", "::1", ""}), OutboundPolicy(resolve=names.resolve))
    async with serving_proxy(path, rules):
        assert await connect(path, target) == "400"
    assert names.asked == []


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("::1", "fe80::1", "fc00::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"),
    ],
)
async def test_a_named_host_that_leads_inside_is_refused(path: Path, address: str) -> None:
    names = Names(tide_example=(address,))
    async with serving_proxy(
        path, ProxyRules(frozenset({"tide.example"}), OutboundPolicy(resolve=names.resolve))
    ):
        assert await connect(path, "tide.example:443") == "403"


async def test_a_connection_goes_to_the_address_that_was_checked(path: Path) -> None:
    """Rebinding: a name is looked up once, and a second answer of the name service changes nothing."""
    async with greeting() as (port, told):
        here = f"tide.example:{port}"
        names = Names(tide_example=("127.0.0.1", NOWHERE))
        policy = OutboundPolicy(allow=frozenset({here}), resolve=names.resolve)
        async with serving_proxy(path, ProxyRules(frozenset({here}), policy)):
            assert await connect(path, here, then=b"hello") == "200"
    assert told == [b"hello"]
    assert names.asked == ["tide.example"]


async def test_a_name_that_turns_inwards_later_is_refused_then(path: Path) -> None:
    names = Names(tide_example=("127.0.0.1",))
    rules = ProxyRules(frozenset({"tide.example"}), OutboundPolicy(resolve=names.resolve))
    async with serving_proxy(path, rules):
        assert [await connect(path, "tide.example:443") for _ in range(2)] == ["403", "403"]
    assert names.asked == ["tide.example", "tide.example"]


async def test_a_redirect_leads_nowhere_new(path: Path) -> None:
    """The proxy follows nothing; a client that follows asks for the other host, which is refused."""
    async with greeting() as (port, _):
        here = f"127.0.0.1:{port}"
        rules = ProxyRules(frozenset({here}), OutboundPolicy(allow=frozenset({here})))
        async with serving_proxy(path, rules):
            assert await connect(path, here) == "200"
            assert await connect(path, "elsewhere.example:443") == "403"


async def test_plain_http_goes_only_to_hosts_that_a_person_named(path: Path) -> None:
    async with greeting() as (port, told):
        here = f"127.0.0.1:{port}"
        request = (
            f"GET http://{here}/x HTTP/1.1\r\nHost: other.example\r\nProxy-Authorization: Basic eA==\r\n"
            "Connection: keep-alive\r\n\r\n"
        )
        for allow in ({here}, set[str]()):
            policy = OutboundPolicy(allow=frozenset(allow))
            async with serving_proxy(path, ProxyRules(frozenset({here}), policy)):
                answer = await say(path, request.encode())
            path.unlink(missing_ok=True)
            assert (b"200 Fine" in answer) is bool(allow)
    assert len(told) == 1
    assert b"Proxy-Authorization" not in told[0]
    assert b"keep-alive" not in told[0]


async def test_a_machines_own_proxy_is_asked_with_its_password(path: Path) -> None:
    async with greeting() as (port, told):
        upstream = f"http://user:pass%40word@127.0.0.1:{port}"
        rules = ProxyRules(frozenset({"tide.example"}), OutboundPolicy(), upstream)
        async with serving_proxy(path, rules):
            assert await connect(path, "tide.example:443") == "200"
            assert await connect(path, "other.example:443") == "403"
    assert told[0].startswith(b"CONNECT tide.example:443 HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic " + base64.b64encode(b"user:pass@word") in told[0]


async def test_a_host_that_does_not_listen_is_told_as_that(path: Path) -> None:
    policy = OutboundPolicy(allow=frozenset({NOWHERE}))
    async with serving_proxy(path, ProxyRules(frozenset({f"{NOWHERE}:1"}), policy)):
        assert await connect(path, f"{NOWHERE}:1") == "502"


async def test_a_connection_is_cut_where_it_took_too_much(path: Path) -> None:
    async with greeting() as (port, _):
        here = f"127.0.0.1:{port}"
        policy = OutboundPolicy(allow=frozenset({here}))
        async with (
            serving_proxy(path, ProxyRules(frozenset({here}), policy, most_bytes=10)),
            await anyio.connect_unix(path) as stream,
        ):
            await stream.send(f"CONNECT {here} HTTP/1.1\r\n\r\n".encode())
            await stream.receive()
            await stream.send(b"x" * 100)
            with anyio.fail_after(30), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await stream.receive()


async def test_endless_heads_and_silence_keep_nobody_else_waiting(path: Path) -> None:
    rules = ProxyRules(frozenset({"tide.example"}), OutboundPolicy())
    async with serving_proxy(path, rules):
        assert await say(path, b"CONNECT tide.example:443 HTTP/1.1\r\nX: " + b"y" * 40_000) == b""
        async with await anyio.connect_unix(path):  # says nothing
            assert await connect(path, "other.example:443") == "403"
        await anyio.wait_all_tasks_blocked()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.binary(max_size=300))
def test_no_words_open_another_host(words: bytes) -> None:
    async def ask() -> tuple[bytes, list[str]]:
        names = Names(tide_example=("93.184.215.14",))
        rules = ProxyRules(frozenset({"tide.example:1"}), OutboundPolicy(resolve=names.resolve))
        with tempfile.TemporaryDirectory(prefix="pp-", dir="/tmp") as folder:
            async with serving_proxy(Path(folder) / "p.sock", rules):
                return await say(Path(folder) / "p.sock", b"CONNECT " + words + b"\r\n\r\n"), names.asked

    answer, asked = anyio.run(ask)
    assert b" 200 " not in answer
    assert set(asked) <= {"tide.example"}
