"""Lines that no client would write, on the bridge's stdin: what asks is answered, and nothing ends it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.router.stand import Stand, open_stand
from tests.router.test_fuzzed_requests import calls
from tests.router.test_malformed import NEARLY
from tests.router.test_stdio_bridge import INITIALIZE, INITIALIZED, Line, bridged

LAST = "the-last-of-these"
NOISE = st.binary(max_size=200).filter(lambda data: b"\n" not in data)
LINES = NOISE | NEARLY.map(lambda value: json.dumps(value).encode()) | calls()


@pytest.fixture(scope="module")
async def stand() -> AsyncIterator[Stand]:
    async with open_stand("alpha") as made:
        alpha = made.agents["alpha"]
        alpha.configure({"name": "echo", "command": "/bin/cat"})
        await made.look()
        yield made


@dataclass(frozen=True)
class Heard:
    """What came back before the answer to the last line."""

    ids: list[object]
    errors_of_nothing: int


async def talk(stand: Stand, lines: list[bytes], *, with_session: bool) -> Heard:
    """Write ``lines`` and a last request; everything up to its answer."""
    async with bridged(stand) as line:
        if with_session:
            await line.say(INITIALIZE)
            await line.hear_answer(0)
            await line.say(INITIALIZED)
        for each in lines:
            await line.say(each)
        return await up_to_last(line)


async def up_to_last(line: Line) -> Heard:
    await line.say({**INITIALIZE, "id": LAST})
    ids: list[object] = []
    nothing = 0
    while True:
        message = await line.hear()
        if message.get("id") == LAST:
            assert "result" in message
            return Heard(ids, nothing)
        assert message.get("jsonrpc") == "2.0"
        if "method" not in message:
            assert ("result" in message) != ("error" in message)
            ids.append(message["id"])
            nothing += message["id"] is None


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(lines=st.lists(LINES, max_size=6), with_session=st.booleans())
async def test_any_lines_leave_the_bridge_serving(
    stand: Stand, lines: list[bytes], with_session: bool
) -> None:
    with anyio.fail_after(30):
        await talk(stand, lines, with_session=with_session)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(noise=st.lists(NOISE.filter(lambda data: data.strip() != b""), min_size=1, max_size=5))
async def test_what_is_no_message_is_refused_line_by_line(stand: Stand, noise: list[bytes]) -> None:
    broken = [b"{" + each for each in noise]
    with anyio.fail_after(30):
        heard = await talk(stand, broken, with_session=False)
    assert heard.errors_of_nothing == len(broken)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    ids=st.lists(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=40) | st.integers(1, 2**53),
        min_size=1,
        max_size=8,
        unique_by=str,
    ).filter(lambda found: LAST not in found and 0 not in found),
    between=st.lists(NOISE, max_size=3),
)
async def test_every_request_between_noise_is_answered_once_under_its_own_id(
    stand: Stand, ids: list[str | int], between: list[bytes]
) -> None:
    async with bridged(stand) as line:
        with anyio.fail_after(30):
            await line.say(INITIALIZE)
            await line.hear_answer(0)
            await line.say(INITIALIZED)
            for number, request_id in enumerate(ids):
                await line.say({"jsonrpc": "2.0", "id": request_id, "method": "ping"})
                if number < len(between):
                    await line.say(between[number])
            answered: list[object] = []
            while len(answered) < len(ids):
                message = await line.hear()
                if message.get("result") == {}:
                    answered.append(message["id"])
    assert sorted(map(str, answered)) == sorted(map(str, ids))
