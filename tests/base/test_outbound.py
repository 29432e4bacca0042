"""A fetch for somebody else: where it may go, and how much it may take. Against real local servers."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import AsyncIterator
from dataclasses import replace

import anyio
import pytest
from aiohttp import web

from ploinky.base.errors import DeadlineError, PloinkyError
from ploinky.base.outbound import Fetched, OutboundPolicy, OutboundRequest, fetch

BOMB = gzip.compress(b"\0" * 50_000_000)


async def answer(request: web.Request) -> web.StreamResponse:
    """Every page of the server."""
    kind = request.match_info["kind"]
    if kind == "plain":
        return web.Response(text="tide tables", headers={"set-cookie": "a=b"})
    if kind == "echo":
        return web.json_response({"headers": dict(request.headers), "method": request.method})
    if kind == "to":
        return web.Response(status=302, headers={"location": request.query["url"]})
    if kind == "round":
        return web.Response(status=302, headers={"location": "/round"})
    if kind == "packed":
        return web.Response(body=gzip.compress(b"tide" * 10), headers={"content-encoding": "gzip"})
    if kind == "deflated":
        return web.Response(body=zlib.compress(b"tide" * 10), headers={"content-encoding": "deflate"})
    if kind == "bomb":
        return web.Response(body=BOMB, headers={"content-encoding": "gzip"})
    if kind == "broken":
        return web.Response(body=b"not gzip at all", headers={"content-encoding": "gzip"})
    if kind == "odd":
        return web.Response(body=b"x", headers={"content-encoding": "br"})
    if kind == "large":
        return web.Response(body=b"x" * 200_000)
    await anyio.sleep_forever()
    raise AssertionError


@pytest.fixture(scope="module")
async def port() -> AsyncIterator[int]:
    application = web.Application()
    application.router.add_route("*", "/{kind}", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield runner.addresses[0][1]
    await runner.cleanup()


@pytest.fixture
def trusted(port: int) -> OutboundPolicy:
    return OutboundPolicy(allow=frozenset({f"127.0.0.1:{port}"}), timeout_s=20)


async def refused(url: str, policy: OutboundPolicy | None = None) -> str:
    with pytest.raises(PloinkyError) as caught:
        await fetch(url, policy=policy)
    return caught.value.code


class Names:
    """A name server: each name has a list of answers, the last one stays."""

    def __init__(self, **answers: list[tuple[str, ...]]) -> None:
        self._answers = answers
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> tuple[str, ...]:
        self.asked.append(host)
        mine = self._answers.get(host.partition(".")[0])
        if mine is None:
            raise OSError(f"no {host}")
        return mine.pop(0) if len(mine) > 1 else mine[0]


async def test_a_host_that_a_person_named_is_fetched(port: int, trusted: OutboundPolicy) -> None:
    page = await fetch(f"http://127.0.0.1:{port}/plain", policy=trusted)
    assert (page.status, page.text, page.content_type) == (200, "tide tables", "text/plain")


async def test_this_machine_is_refused_in_every_spelling(port: int) -> None:
    anything = OutboundPolicy(schemes=frozenset({"http", "https"}))
    for host in ("127.0.0.1", "[::1]", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "169.254.169.254"):
        assert await refused(f"http://{host}:{port}/plain", anything) == "ADDRESS_REFUSED", host
    for host in ("2130706433", "0x7f000001", "0177.0.0.1", "127.1"):  # forms that only a resolver reads
        assert await refused(f"http://{host}:{port}/plain", anything) in ("ADDRESS_REFUSED", "FETCH_FAILED")


async def test_only_https_without_a_password_is_fetched(port: int) -> None:
    for url in (
        "http://example.org/",
        "file:///etc/passwd",
        "ftp://example.org/x",
        "https://user:word@example.org/",
        "https://",
        "https:///etc",
        "https://example.org:99999/",
        "https://exa mple.org/",
        "example.org",
    ):
        assert await refused(url) == "URL_REFUSED", url


async def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    names = Names(mixed=[("1.1.1.1", "10.0.0.1")])
    assert await refused("https://mixed.example/", OutboundPolicy(resolve=names)) == "ADDRESS_REFUSED"


async def test_the_connection_goes_to_the_address_that_was_checked(port: int) -> None:
    """The name server says another thing the second time; it is asked once per request only."""
    names = Names(rebinding=[("127.0.0.1",), ("1.1.1.1",)])
    policy = OutboundPolicy(allow=frozenset({"rebinding.example"}), resolve=names)
    page = await fetch(f"http://rebinding.example:{port}/plain", policy=policy)
    assert page.text == "tide tables"
    assert names.asked == ["rebinding.example"]


async def test_redirects_are_checked_like_the_first_address(port: int, trusted: OutboundPolicy) -> None:
    names = Names(inner=[("192.168.0.7",)], door=[("127.0.0.1",)])
    policy = replace(trusted, allow=trusted.allow | {"door.example"}, resolve=names)
    base = f"http://door.example:{port}"
    assert (await fetch(f"{base}/to?url=/plain", policy=policy)).text == "tide tables"
    assert await refused(f"{base}/to?url=https://inner.example/", policy) == "ADDRESS_REFUSED"
    assert await refused(f"{base}/to?url=https://169.254.169.254/latest", policy) == "ADDRESS_REFUSED"
    assert await refused(f"{base}/to?url=file:///etc/passwd", policy) == "URL_REFUSED"
    assert await refused(f"{base}/to?url=http://door.example:1/", policy) == "FETCH_FAILED"
    assert await refused(f"{base}/round", policy) == "FETCH_REDIRECTS"


async def test_authorization_does_not_follow_to_another_origin(port: int, trusted: OutboundPolicy) -> None:
    names = Names(door=[("127.0.0.1",)])
    policy = replace(trusted, allow=trusted.allow | {"door.example"}, resolve=names)
    request = OutboundRequest(headers={"Authorization": "Bearer planted", "Accept": "a/b"})

    async def seen(url: str) -> str:
        return (await fetch(url, policy=policy, request=request)).text

    stays = f"http://door.example:{port}/to?url=/echo"
    leaves = f"http://door.example:{port}/to?url=http://127.0.0.1:{port}/echo"
    assert "planted" in await seen(stays)
    assert "planted" not in await seen(leaves)
    assert "a/b" in await seen(leaves)


async def test_packed_answers_are_unpacked_within_the_bound(port: int, trusted: OutboundPolicy) -> None:
    async def get(kind: str) -> Fetched:
        return await fetch(f"http://127.0.0.1:{port}/{kind}", policy=trusted)

    assert (await get("packed")).body == b"tide" * 10
    assert (await get("deflated")).body == b"tide" * 10
    base = f"http://127.0.0.1:{port}"
    assert await refused(f"{base}/bomb", replace(trusted, max_bytes=1_000_000)) == "FETCH_TOO_LARGE"
    assert await refused(f"{base}/broken", trusted) == "FETCH_ENCODING"
    assert await refused(f"{base}/odd", trusted) == "FETCH_ENCODING"


async def test_size_type_and_time_are_bounded(port: int, trusted: OutboundPolicy) -> None:
    base = f"http://127.0.0.1:{port}"
    assert await refused(f"{base}/large", replace(trusted, max_bytes=100_000)) == "FETCH_TOO_LARGE"
    assert await refused(f"{base}/echo", replace(trusted, content_types=("text/*",))) == "FETCH_TYPE"
    await fetch(f"{base}/plain", policy=replace(trusted, content_types=("text/*",)))
    with pytest.raises(DeadlineError) as caught:
        await fetch(f"{base}/silent", policy=replace(trusted, timeout_s=0.2))
    assert caught.value.code == "FETCH_TIMEOUT"


async def test_an_error_shows_no_query() -> None:
    with pytest.raises(PloinkyError) as caught:
        await fetch("http://example.org/x?key=planted#planted")
    assert "planted" not in str(caught.value)
