"""Sessions go on with the next gateway; what cannot go on is told, and no call is made twice."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import anyio
import pytest

from ploinky.base.jsontypes import JsonObject
from ploinky.base.waits import wait_until
from ploinky.router.router import RouterSettings
from tests.router.stand import Stand, holds, open_stand
from tests.router.wire import call, open_session, opened, send

PING: JsonObject = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
TOUCH = """echo '{"log": "quiet", "level": "info"}' >&2
echo '{"log": "loud", "level": "error"}' >&2
echo '{"updated": "notes://today"}' >&2
echo touched"""
CHANGED = [f"notifications/{kind}/list_changed" for kind in ("tools", "prompts", "resources")]


async def heard(
    stand: Stand, session: dict[str, str], number: int, last: str = "", path: str = "/mcp"
) -> tuple[list[JsonObject], str]:
    """The next messages of the session's standing stream, and the id of the last."""
    found: list[JsonObject] = []
    headers = {**session, "content-type": "", **({"last-event-id": last} if last else {})}
    with anyio.fail_after(30):
        async with opened(stand, "GET", headers, path=path) as response:
            assert response.status == 200
            async for event in response.all_events():
                last = event.id or last
                if event.data:
                    found.append(json.loads(event.data))
                if len(found) == number:
                    break
    return found, last


async def test_a_session_goes_on_with_the_next_gateway_and_the_one_after() -> None:
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        ran = alpha.folder / "ran"
        alpha.configure(alpha.tool("count", f"echo once >> {ran}; cat"))
        await stand.look()
        session = await open_session(stand)
        own_id = json.loads((await send(stand, call("count"), session)).text)["metadata"]["sessionId"]
        for times in (2, 3):
            await stand.restart()
            answer = await send(stand, call("count"), session)
            assert json.loads(answer.text)["metadata"]["sessionId"] == own_id
            assert ran.read_text(encoding="ascii").split() == ["once"] * times
        assert session["mcp-session-id"].encode() not in stand.settings.sessions_file.read_bytes()  # type: ignore[union-attr]


async def test_a_session_is_still_its_callers_and_its_endpoints() -> None:
    async with open_stand("alpha", "beta") as stand:
        stand.agents["alpha"].may_call = frozenset({"beta"})
        await stand.look()
        session, ended = await open_session(stand), await open_session(stand)
        own = await open_session(stand, path="/mcps/beta/mcp", token="agent:alpha")
        assert (await send(stand, b"", ended, method="DELETE")).status == 204
        await stand.restart()
        stolen = {**session, "authorization": "Bearer agent:alpha"}
        assert (await send(stand, PING, stolen)).status == 404
        assert (await send(stand, PING, session, path="/mcps/alpha/mcp")).status == 404
        assert (await send(stand, PING, {**session, "mcp-session-id": "made-up"})).status == 404
        assert (await send(stand, PING, ended)).status == 404
        assert (await send(stand, PING, session)).result == {}
        assert (await send(stand, PING, own, path="/mcps/beta/mcp")).result == {}
        assert (await send(stand, b"", session, method="DELETE")).status == 204
        assert (await send(stand, PING, session)).status == 404
        await stand.restart()
        assert (await send(stand, PING, session)).status == 404


async def test_a_session_that_was_idle_for_too_long_is_not_brought_back() -> None:
    async with open_stand("alpha", settings=RouterSettings(session_idle_s=0.5)) as stand:
        session = await open_session(stand)
        await stand.restart()

        async def forgotten() -> bool:
            await anyio.sleep(0.6)
            await stand.restart()
            return (await send(stand, PING, session)).status == 404

        await wait_until(forgotten, what="the session to be forgotten", timeout_s=20)


async def test_of_too_many_sessions_the_latest_are_brought_back() -> None:
    async with open_stand("alpha") as stand:
        sessions = [await open_session(stand) for _ in range(4)]
        stand.settings = replace(stand.settings, max_sessions=2)
        await stand.restart()
        statuses = [(await send(stand, PING, session)).status for session in sessions]
        assert statuses == [404, 404, 200, 200]


async def test_what_was_subscribed_and_the_log_level_hold_with_the_next_gateway() -> None:
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        notes = {"uri": "notes://today", "name": "today", "text": "x"}
        more = (
            """echo '{"log": "quiet", "level": "info"}' >&2; echo '{"log": "loud", "level": "error"}' >&2\n"""
        )
        alpha.configure(
            alpha.tool("touch", more + TOUCH),
            resources=[notes, {**notes, "uri": "notes://old", "name": "old"}],
        )
        await stand.look()
        session = await open_session(stand)
        for number, (method, params) in enumerate(
            (
                ("resources/subscribe", {"uri": "notes://today"}),
                ("resources/subscribe", {"uri": "notes://old"}),
                ("resources/unsubscribe", {"uri": "notes://old"}),
                ("logging/setLevel", {"level": "debug"}),
                ("logging/setLevel", {"level": "error"}),
            )
        ):
            body = {"jsonrpc": "2.0", "id": 10 + number, "method": method, "params": params}
            assert (await send(stand, body, session)).result == {}
        await stand.restart()
        found: list[JsonObject] = []
        said: list[object] = []

        async def touched() -> bool:
            answer = await send(stand, call("touch", request_id=len(said) + 100), session)
            said.append([message for message in answer.messages if "level" in json.dumps(message)])
            return any(message["method"] == "notifications/resources/updated" for message in found)

        async with anyio.create_task_group() as tasks:

            async def listen() -> None:
                found.extend((await heard(stand, session, 4))[0])

            tasks.start_soon(listen)
            await wait_until(touched, what="news of the resource", timeout_s=20)
        assert found[-1]["params"] == {"uri": "notes://today"}
        assert '"loud"' in json.dumps(said[-1])
        assert '"quiet"' not in json.dumps(said[-1])


async def test_a_client_hears_what_it_may_have_missed_once_and_then_goes_on_where_it_was() -> None:
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        alpha.configure(alpha.tool("one", "echo 1"))
        await stand.look()
        session = await open_session(stand)
        alpha.configure(alpha.tool("two", "echo 2"))
        await stand.look()
        found, last = await heard(stand, session, 1, last="0")
        assert [message["method"] for message in found] == CHANGED[:1]
        await stand.restart()
        found, last = await heard(stand, session, 3, last)
        assert sorted(str(message["method"]) for message in found) == sorted(CHANGED)
        alpha.configure(alpha.tool("three", "echo 3"))
        await stand.look()
        found, again = await heard(stand, session, 1, last)
        assert [message["method"] for message in found] == CHANGED[:1]
        assert again.rpartition(".")[0] == last.rpartition(".")[0]
        await stand.restart()
        found, _ = await heard(
            stand, session, 3
        )  # without an id: what came between two gateways all the same
        assert len(found) == 3


@pytest.mark.parametrize("request_id", [7, "seven/äß", "x" * 50])
async def test_a_call_that_a_gateway_took_along_is_a_clear_error_on_its_stream(request_id: int | str) -> None:
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        ran = alpha.folder / "ran"
        slow = f"echo once >> {ran}; echo '{{\"progress\": 1}}' >&2; exec sleep 60"
        alpha.configure(alpha.tool("slow", slow))
        await stand.look()
        session = await open_session(stand)
        body = {**call("slow", progressToken="p"), "id": request_id}
        last = ""
        with anyio.fail_after(30):
            async with opened(stand, "POST", session, json.dumps(body).encode()) as response:
                async for event in response.all_events():
                    last = event.id or last
                    if event.data:
                        break
        await wait_until(holds(ran), what="the program", timeout_s=10)
        await stand.restart()
        found, _ = await heard(stand, session, 1, last)
        error = found[0]["error"]
        assert found[0]["id"] == request_id
        assert isinstance(error, dict)
        assert error["code"] == -32011
        assert ran.read_text(encoding="ascii").split() == ["once"]


@pytest.mark.parametrize(
    "junk", ["s0-1-!!!.1", "s0-1-bnVsbA.1", "s0-1.2", "s.1", "r9.1", "x", ".", "s0-1-W10.3"]
)
async def test_made_up_event_ids_are_as_good_as_none(junk: str) -> None:
    async with open_stand("alpha") as stand:
        session = await open_session(stand)
        await stand.restart()
        found, _ = await heard(stand, session, 3, junk)
        assert len(found) == 3


@pytest.mark.parametrize("garbage", [b"not a database at all" * 500, b"SQLite format 3\0" + b"\xff" * 4096])
async def test_a_damaged_file_of_sessions_is_kept_beside_and_the_router_serves(
    garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_stand("alpha") as stand:
        session, file = await open_session(stand), stand.settings.sessions_file
        assert file is not None
        await stand.restart(partial(file.write_bytes, garbage))
        assert (await send(stand, PING, session)).status == 404
        assert (await send(stand, PING, await open_session(stand))).status == 200
        kept = list(file.parent.glob("sessions.sqlite.broken-*"))
        assert [each.read_bytes() for each in kept] == [garbage]
        assert str(kept[0]) in caplog.text
