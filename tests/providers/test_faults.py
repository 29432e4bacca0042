"""What goes wrong between a provider and its server: each fault has one code, and nothing stays open."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from ploinky.base.jsontypes import JsonValue
from ploinky.providers.config import ModelConfig
from ploinky.providers.credentials import Keyring
from ploinky.providers.errors import ProviderCode, ProviderError
from ploinky.providers.folding import TurnFold
from ploinky.providers.protocol import (
    Provider,
    Retrying,
    StopReason,
    TextDelta,
    Tool,
    TurnEvent,
    TurnOptions,
    UserMessage,
)
from ploinky.providers.registry import ProviderContext, ProviderRegistry
from tests.models.faulty import (
    SSE,
    Exchange,
    Reply,
    events,
    last_piece,
    lines,
    piece,
    refusal,
    running_faulty,
)

KEY = "sk-planted-0123456789abcdef"
ASK = [UserMessage("hello")]
GOOD = events(piece(content="Good "), piece(content="morning."), last_piece(), "[DONE]")
FAST = TurnOptions(retry_budget_s=0)


def make(url: str, kind: str = "openai-compatible", **entry: JsonValue) -> Provider:
    config = {"provider": kind, "baseURL": url, "model": "m", **entry}
    context = ProviderContext("tested", Keyring(None, {"MODEL_KEY": KEY}))
    return ProviderRegistry.installed().make(ModelConfig.model_validate(config), context)


async def collect(provider: Provider, options: TurnOptions = FAST, tools: tuple[Tool, ...] = ()) -> TurnFold:
    """A turn, with the provider closed after it; what came out before a failure is in its notes."""
    fold = TurnFold()
    try:
        async with aclosing(provider.stream_turn(ASK, tools, options)) as turn:
            async for event in turn:
                fold.add(event)
    except ProviderError as error:
        error.add_note(fold.message.text)
        raise
    finally:
        await provider.aclose()
    return fold


async def failure(reply: Reply, options: TurnOptions = FAST, key: str | None = None) -> ProviderError:
    async with running_faulty(reply) as server:
        with pytest.raises(ProviderError) as caught:
            await collect(make(server.url, apiKeyRef=key), options)
    return caught.value


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (401, {"error": {"message": "bad key"}}, ProviderCode.KEY_REFUSED),
        (403, {"error": "not allowed"}, ProviderCode.KEY_REFUSED),
        (402, {"error": {"message": "pay"}}, ProviderCode.QUOTA),
        (
            404,
            {"error": {"message": "no such model", "code": "model_not_found"}},
            ProviderCode.MODEL_NOT_FOUND,
        ),
        (404, "<html>nothing</html>", ProviderCode.MALFORMED),
        (400, {"error": {"code": "context_length_exceeded", "message": "x"}}, ProviderCode.CONTEXT_OVERFLOW),
        (
            400,
            {
                "type": "error",
                "error": {"type": "invalid_request_error", "message": "prompt is too long: 9 > 8"},
            },
            ProviderCode.CONTEXT_OVERFLOW,
        ),
        (413, "too big", ProviderCode.CONTEXT_OVERFLOW),
        (400, {"error": "m does not support tools"}, ProviderCode.NO_TOOLS),
        (400, {"error": {"message": "temperature is wrong"}}, ProviderCode.REFUSED),
        (429, {"error": {"code": "insufficient_quota", "message": "x"}}, ProviderCode.QUOTA),
        (429, {}, ProviderCode.RATE_LIMITED),
        (500, "boom", ProviderCode.OVERLOADED),
        (503, {"error": {"message": "loading model"}}, ProviderCode.OVERLOADED),
        (529, {"type": "error", "error": {"type": "overloaded_error"}}, ProviderCode.OVERLOADED),
    ],
)
async def test_a_refusal_becomes_its_code(status: int, body: object, code: ProviderCode) -> None:
    error = await failure(refusal(status, body), key="env:MODEL_KEY")
    assert error.code == code
    assert error.hint


async def test_a_server_that_wants_a_key_where_none_is_configured_says_so() -> None:
    assert (await failure(refusal(401, {"error": "no key"}))).code == ProviderCode.NO_KEY


async def test_a_missing_key_fails_before_anything_is_sent() -> None:
    async with running_faulty(GOOD) as server:
        with pytest.raises(ProviderError) as caught:
            await collect(make(server.url, apiKeyRef="env:NOT_SET"))
        assert caught.value.code == ProviderCode.NO_KEY
        assert server.exchanges == []


async def test_a_server_that_repeats_the_key_does_not_bring_it_into_the_error() -> None:
    async with running_faulty(refusal(401, {"error": {"message": f"Incorrect key {KEY}"}})) as server:
        provider = make(server.url, apiKeyRef="env:MODEL_KEY")
        with pytest.raises(ProviderError) as caught:
            await collect(provider)
        assert f"authorization: bearer {KEY}" in server.exchanges[0].head.lower().replace(KEY.lower(), KEY)
    assert "Incorrect key" in str(caught.value)
    assert KEY not in str(caught.value) + repr(caught.value) + repr(vars(provider))


async def test_a_redirect_is_not_followed_with_the_key() -> None:
    async with (
        running_faulty(GOOD) as other,
        running_faulty(refusal(307, "", {"Location": f"{other.url}/chat/completions"})) as server,
    ):
        with pytest.raises(ProviderError) as caught:
            await collect(make(server.url, apiKeyRef="env:MODEL_KEY"))
        assert caught.value.code == ProviderCode.MALFORMED
        assert other.exchanges == []


async def test_nobody_at_the_address_is_told_at_once() -> None:
    async with running_faulty(GOOD) as server:
        url = server.url
    with pytest.raises(ProviderError) as caught:
        await collect(make(url), TurnOptions())
    assert caught.value.code == ProviderCode.UNREACHABLE


async def test_a_busy_server_is_asked_again_after_the_time_it_names() -> None:
    busy = refusal(429, {"error": {"message": "slow down"}}, {"Retry-After": "0.2"})
    async with running_faulty(busy, refusal(503, ""), GOOD) as server:
        provider = make(server.url)
        told: list[TurnEvent] = []
        async with aclosing(provider.stream_turn(ASK, (), TurnOptions(retry_budget_s=5))) as turn:
            told = [event async for event in turn]
        await provider.aclose()
    retries = [event for event in told if isinstance(event, Retrying)]
    assert [(each.attempt, each.code) for each in retries] == [
        (1, ProviderCode.RATE_LIMITED),
        (2, ProviderCode.OVERLOADED),
    ]
    assert retries[0].pause_s == 0.2
    assert "".join(event.text for event in told if isinstance(event, TextDelta)) == "Good morning."


async def test_a_pause_that_the_budget_does_not_allow_is_not_taken() -> None:
    async with running_faulty(refusal(429, {}, {"Retry-After": "3600"}), GOOD) as server:
        with pytest.raises(ProviderError) as caught:
            await collect(make(server.url), TurnOptions(retry_budget_s=30))
        assert caught.value.retry_after_s == 3600
        assert len(server.exchanges) == 1


async def test_what_was_streamed_is_never_said_twice() -> None:
    cut = events(piece(content="Good "), end=False)
    async with running_faulty(cut, GOOD) as server:
        with pytest.raises(ProviderError) as caught:
            await collect(make(server.url), TurnOptions(retry_budget_s=30))
        assert caught.value.code == ProviderCode.STREAM_CUT
        assert caught.value.__notes__ == ["Good "]
        assert len(server.exchanges) == 1


async def test_a_stream_that_ends_politely_but_early_is_cut_too() -> None:
    error = await failure(events(piece(content="Good ")))
    assert error.code == ProviderCode.STREAM_CUT


async def test_a_connection_that_breaks_before_the_answer_is_tried_again() -> None:
    async def slam(exchange: Exchange) -> None:
        await exchange.cut()

    async with running_faulty(slam, GOOD) as server:
        fold = await collect(make(server.url), TurnOptions(retry_budget_s=5))
    assert fold.message.text == "Good morning."


@pytest.mark.parametrize(
    "reply",
    [
        events("this is no JSON"),
        events("[1, 2]"),
        events({"unexpected": True}),
        events(piece(tool_calls=["x"])),
        events(piece(tool_calls=[{"index": 0, "function": {"arguments": "{}"}}]), last_piece(), "[DONE]"),
    ],
)
async def test_garbage_is_malformed(reply: Reply) -> None:
    assert (await failure(reply)).code == ProviderCode.MALFORMED


async def test_bytes_that_are_no_text_are_malformed() -> None:
    async def reply(exchange: Exchange) -> None:
        await exchange.start(200, {"Content-Type": SSE})
        await exchange.chunk(b"data: \xff\xfe\n\n")
        await exchange.end()

    assert (await failure(reply)).code == ProviderCode.MALFORMED


async def test_a_server_that_speaks_no_http_is_malformed() -> None:
    async def reply(exchange: Exchange) -> None:
        await exchange.raw(b"220 mail.example.com ESMTP\r\n")
        await exchange.wait_until_gone()

    assert (await failure(reply)).code == ProviderCode.MALFORMED


async def test_an_endless_line_does_not_fill_the_memory() -> None:
    async def reply(exchange: Exchange) -> None:
        await exchange.start(200, {"Content-Type": SSE})
        await exchange.chunk(b"data: ")
        while not exchange.gone.is_set():
            await exchange.chunk(b"x" * 1024 * 1024)

    assert (await failure(reply)).code == ProviderCode.TOO_LARGE


async def test_endless_arguments_of_a_call_do_not_fill_the_memory() -> None:
    async def reply(exchange: Exchange) -> None:
        await exchange.start(200, {"Content-Type": SSE})
        await exchange.events(piece(tool_calls=[{"index": 0, "id": "1", "function": {"name": "a"}}]))
        more = piece(tool_calls=[{"index": 0, "function": {"arguments": "x" * 1024 * 1024}}])
        while True:
            await exchange.events(more)

    assert (await failure(reply)).code == ProviderCode.TOO_LARGE


async def test_a_silent_server_is_given_up() -> None:
    async def reply(exchange: Exchange) -> None:
        await exchange.start(200, {"Content-Type": SSE})
        await exchange.events(piece(content="Good "))
        await exchange.wait_until_gone()

    async with running_faulty(reply) as server:
        with pytest.raises(ProviderError) as caught:
            await collect(make(server.url), TurnOptions(idle_timeout_s=0.2, retry_budget_s=0))
        assert caught.value.code == ProviderCode.IDLE
        await asyncio.wait_for(server.exchanges[0].gone.wait(), 30)


async def test_a_server_that_never_stops_runs_into_the_deadline() -> None:
    async def reply(exchange: Exchange) -> None:
        await exchange.start(200, {"Content-Type": SSE})
        while True:
            await exchange.events(piece(content="tick "))
            await asyncio.sleep(0.01)

    error = await failure(reply, TurnOptions(deadline_s=0.3, idle_timeout_s=30))
    assert error.code == ProviderCode.TIMEOUT


@pytest.mark.parametrize("how", ["cancel", "close"])
async def test_who_stops_listening_ends_the_request(how: str) -> None:
    async def reply(exchange: Exchange) -> None:
        await exchange.start(200, {"Content-Type": SSE})
        await exchange.events(piece(content="Good "))
        await exchange.wait_until_gone()

    async with running_faulty(reply) as server:
        provider = make(server.url)
        heard = asyncio.Event()

        async def listen() -> None:
            async with aclosing(provider.stream_turn(ASK, (), FAST)) as turn:
                async for event in turn:
                    assert event == TextDelta("Good ")
                    heard.set()
                    if how == "close":
                        return

        task = asyncio.create_task(listen())
        await asyncio.wait_for(heard.wait(), 30)
        if how == "cancel":
            task.cancel()
        await asyncio.wait([task])
        await asyncio.wait_for(server.exchanges[0].gone.wait(), 30)
        await provider.aclose()


async def test_an_error_in_the_stream_is_told_with_the_servers_words() -> None:
    error = await failure(
        events(piece(content="Good "), {"error": {"code": 503, "message": "out of memory"}})
    )
    assert error.code == ProviderCode.OVERLOADED
    assert "out of memory" in error.message


async def test_calls_without_an_index_or_an_id_are_kept_apart() -> None:
    first = {"function": {"name": "a", "arguments": {"x": 1}}}
    second = {"index": 0, "id": "2", "function": {"name": "b", "arguments": "{"}}
    third = {"index": 0, "id": "3", "function": {"name": "c", "arguments": ""}}
    reply = events(piece(tool_calls=[first]), piece(tool_calls=[second, third]), last_piece("stop"), "[DONE]")
    async with running_faulty(reply) as server:
        fold = await collect(make(server.url))
    calls = fold.message.tool_calls
    assert [(call.name, call.arguments, call.malformed) for call in calls] == [
        ("a", {"x": 1}, None),
        ("b", {}, "{"),
        ("c", {}, None),
    ]
    assert len({call.id for call in calls}) == 3
    assert fold.require_done().reason is StopReason.TOOL_CALLS


async def test_costs_come_from_the_server_or_from_the_price() -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 400}}
    for told, expected in ((usage, 0.0038), ({**usage, "cost": 0.5}, 0.5)):
        reply = events(piece(content="x"), last_piece(), {"choices": [], "usage": told}, "[DONE]")
        async with running_faulty(reply) as server:
            price: JsonValue = {"input": 4, "output": 10, "cachedInput": 1}
            fold = await collect(make(server.url, price=price))
        assert fold.usage is not None
        assert fold.usage.cost == pytest.approx(expected)
        assert (fold.usage.input_tokens, fold.usage.cached_input_tokens) == (1000, 400)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ({"error": "model runner has unexpectedly stopped"}, ProviderCode.OVERLOADED),
        ("oops", ProviderCode.MALFORMED),
        ({"no": "message"}, ProviderCode.MALFORMED),
        ({"message": {"role": "assistant", "content": "Good "}, "done": False}, ProviderCode.STREAM_CUT),
        ({"message": {"tool_calls": [{"function": {}}]}, "done": False}, ProviderCode.MALFORMED),
    ],
)
async def test_ollamas_faults_have_codes_too(line: object, code: ProviderCode) -> None:
    shown = refusal(200, {"capabilities": ["completion"]})
    async with running_faulty(shown, lines(line)) as server:
        with pytest.raises(ProviderError) as caught:
            await collect(make(server.url, "ollama"))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({"type": "error", "error": {"type": "overloaded_error", "message": "x"}}, ProviderCode.OVERLOADED),
        ({"type": "content_block_delta", "index": 3, "delta": {}}, ProviderCode.MALFORMED),
        ({"type": "message_stop"}, ProviderCode.STREAM_CUT),
        ("nonsense", ProviderCode.MALFORMED),
    ],
)
async def test_anthropics_faults_have_codes_too(told: object, code: ProviderCode) -> None:
    async with running_faulty(events(told)) as server:
        with pytest.raises(ProviderError) as caught:
            await collect(make(server.url, "anthropic"))
    assert caught.value.code == code


async def test_a_connection_is_used_again_for_the_next_turn() -> None:
    async def twice(exchange: Exchange) -> None:
        exchange.keeps = True
        await GOOD(exchange)
        head = await exchange._reader.readuntil(b"\r\n\r\n")  # the second request on the same connection
        assert b"POST" in head
        await GOOD(exchange)
        await exchange.wait_until_gone()

    async with running_faulty(twice) as server:
        provider = make(server.url)
        for _ in range(2):
            async with aclosing(provider.stream_turn(ASK, (), FAST)) as turn:
                assert [event async for event in turn]
        await provider.aclose()
        assert len(server.exchanges) == 1


async def test_a_proxy_serves_what_is_outside_and_not_what_runs_here(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    async with running_faulty(GOOD) as here, running_faulty(GOOD) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert (await collect(make(here.url))).message.text == "Good morning."
        assert (await collect(make("http://models.invalid/v1"))).message.text == "Good morning."
        assert len(here.exchanges) == 1
        (through,) = proxy.exchanges
    assert through.head.startswith("POST http://models.invalid/v1/chat/completions ")


async def test_a_key_is_in_the_header_of_its_request_and_nowhere_else_of_it() -> None:
    for kind, header in (("openai-compatible", "authorization"), ("anthropic", "x-api-key")):
        async with running_faulty(refusal(500, "")) as server:
            with pytest.raises(ProviderError):
                await collect(make(server.url, kind, apiKeyRef="env:MODEL_KEY"))
            (exchange,) = server.exchanges
        holders = [line for line in exchange.head.splitlines() if KEY in line]
        assert [line.partition(":")[0].lower() for line in holders] == [header]
        assert KEY not in str(exchange.body)


async def test_a_kept_connection_that_was_closed_meanwhile_is_no_failure() -> None:
    """llama.cpp's server, as others, ends a connection after some requests without a word."""

    async def keep_and_slam(exchange: Exchange) -> None:
        exchange.keeps = True
        await GOOD(exchange)

    async with running_faulty(keep_and_slam) as server:
        provider = make(server.url)
        for _ in range(20):
            async with aclosing(provider.stream_turn(ASK, (), FAST)) as turn:
                assert [event async for event in turn]
        await provider.aclose()
        assert len(server.exchanges) == 20


async def test_a_server_that_always_breaks_off_is_asked_twice_at_most() -> None:
    async def slam(exchange: Exchange) -> None:
        await exchange.cut()

    async with running_faulty(slam) as server:
        with pytest.raises(ProviderError) as caught:
            await collect(make(server.url))
        assert caught.value.code == ProviderCode.STREAM_CUT
        assert len(server.exchanges) == 2
