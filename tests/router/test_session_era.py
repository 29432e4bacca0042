"""The session era on the wire: sessions, calls, cancellation, notifications."""

from __future__ import annotations

import json

import anyio
import pytest

from ploinky.base.waits import wait_until
from ploinky.router.router import RouterSettings
from tests.router.stand import gone, holds, open_stand, there
from tests.router.wire import call, open_session, opened, send

PROGRESS = (
    'for p in 1 2 3; do echo "{\\"progress\\": $p, \\"total\\": 3, \\"message\\": \\"step $p\\"}" >&2; done\n'
    "echo done"
)


async def test_initialize_answers_with_a_session_and_the_clients_revision() -> None:
    async with open_stand("alpha") as stand:
        for asked, given in (("2025-03-26", "2025-03-26"), ("1999-01-01", "2025-11-25")):
            body = {
                "jsonrpc": "2.0",
                "id": "a",
                "method": "initialize",
                "params": {"protocolVersion": asked},
            }
            answer = await send(stand, body)
            assert answer.status == 200
            assert answer.result["protocolVersion"] == given
            lists = {kind: {"listChanged": True} for kind in ("tools", "prompts", "resources")}
            assert answer.result["capabilities"] == {**lists, "logging": {}}
            assert len(answer.headers["mcp-session-id"]) >= 32


async def test_a_request_without_or_with_a_wrong_session_is_refused() -> None:
    async with open_stand("alpha") as stand:
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        assert (await send(stand, ping)).status == 400
        assert (await send(stand, ping, {"mcp-session-id": "made-up"})).status == 404


async def test_a_session_belongs_to_its_caller_and_its_endpoint() -> None:
    async with open_stand("alpha", "beta") as stand:
        stand.agents["alpha"].may_call = frozenset({"beta"})
        await stand.look()
        session = await open_session(stand)
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        assert (await send(stand, ping, session)).result == {}
        stolen = {**session, "authorization": "Bearer agent:alpha"}
        assert (await send(stand, ping, stolen)).status == 404
        assert (await send(stand, ping, session, path="/mcps/alpha/mcp")).status == 404


async def test_delete_ends_a_session_and_its_calls() -> None:
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        pid_file = alpha.folder / "pid"
        alpha.configure(alpha.tool("stay", f"echo $$ > {pid_file}; exec sleep 60"))
        await stand.look()
        session = await open_session(stand)
        with anyio.fail_after(15):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(send, stand, call("stay"), session)
                await wait_until(holds(pid_file), what="the program", timeout_s=10)
                assert (await send(stand, b"", session, method="DELETE")).status == 204
        await wait_until(gone(pid_file), what="the program's end", timeout_s=10)
        assert (await send(stand, {"jsonrpc": "2.0", "id": 1, "method": "ping"}, session)).status == 404


async def test_cancelling_a_request_ends_its_program() -> None:
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        pid_file = alpha.folder / "pid"
        alpha.configure(alpha.tool("stay", f"echo $$ > {pid_file}; exec sleep 60"))
        await stand.look()
        session = await open_session(stand)
        answers = []

        async def ask() -> None:
            answers.append(await send(stand, call("stay", request_id=7), session))

        with anyio.fail_after(15):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ask)
                await wait_until(holds(pid_file), what="the program", timeout_s=10)
                cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}
                assert (await send(stand, cancel, session)).status == 202
        assert "cancelled" in answers[0].message
        await wait_until(gone(pid_file), what="its end", timeout_s=10)


async def test_a_client_that_disconnects_has_cancelled_nothing() -> None:
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        started, go, done = (alpha.folder / name for name in ("started", "go", "done"))
        alpha.configure(
            alpha.tool("slow", f"touch {started}; until [ -e {go} ]; do sleep 0.02; done; touch {done}")
        )
        await stand.look()
        session = await open_session(stand)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send, stand, call("slow"), session)
            await wait_until(there(started), what="the program", timeout_s=10)
            tasks.cancel_scope.cancel()
        assert (await send(stand, {"jsonrpc": "2.0", "id": 2, "method": "ping"}, session)).status == 200
        go.touch()
        await wait_until(there(done), what="the program's own end", timeout_s=10)


async def test_progress_arrives_before_the_answer_on_a_stream() -> None:
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        alpha.configure(alpha.tool("steps", PROGRESS))
        await stand.look()
        session = await open_session(stand)
        answer = await send(stand, call("steps", progressToken="tok"), session)
        assert answer.headers["content-type"] == "text/event-stream"
        steps = [message["params"] for message in answer.messages[:-1] if isinstance(message, dict)]
        assert [step["progress"] for step in steps if isinstance(step, dict)] == [1, 2, 3]
        assert steps[0] == {"progressToken": "tok", "progress": 1, "total": 3, "message": "step 1"}
        assert answer.text == "done"


async def test_without_a_token_or_a_stream_progress_is_left_out() -> None:
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        alpha.configure(alpha.tool("steps", PROGRESS))
        await stand.look()
        session = await open_session(stand)
        for body, more in (
            (call("steps"), {}),
            (call("steps", progressToken=1), {"accept": "application/json"}),
        ):
            answer = await send(stand, body, {**session, **more})
            assert answer.headers["content-type"] == "application/json"
            assert answer.text == "done"


async def test_a_changed_configuration_is_told_on_the_stream_and_can_be_resumed() -> None:
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        alpha.configure(alpha.tool("one", "cat"))
        await stand.look()
        session = await open_session(stand)
        get = {**session, "accept": "text/event-stream"}
        async with opened(stand, "GET", get) as response:
            assert response.status == 200
            assert (await send(stand, b"", get, method="GET")).status == 409
            events = response.events()
            alpha.configure(alpha.tool("two", "cat"))
            with anyio.fail_after(10):
                first = await anext(events)
        assert json.loads(first.data)["method"] == "notifications/tools/list_changed"
        alpha.configure(alpha.tool("three", "cat"))
        await stand.look()

        async def free() -> bool:
            async with opened(stand, "GET", {**get, "last-event-id": first.id}) as response:
                if response.status != 200:
                    return False
                with anyio.fail_after(10):
                    missed.append(await anext(response.events()))
                return True

        missed: list[object] = []
        await wait_until(free, what="the stream to be free again", timeout_s=10)
        assert len(missed) == 1


async def test_a_session_that_was_idle_too_long_is_forgotten() -> None:
    settings = RouterSettings(max_sessions=2)
    async with open_stand("alpha", settings=settings) as stand:
        first, second, third = [await open_session(stand) for _ in range(3)]
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        statuses = [(await send(stand, ping, each)).status for each in (first, second, third)]
        assert statuses == [404, 200, 200]


@pytest.mark.parametrize("method", ["resources/list", "prompts/list", "tasks/list", "nonsense"])
async def test_what_is_not_claimed_is_not_found(method: str) -> None:
    async with open_stand("alpha") as stand:
        path = "/mcps/alpha/mcp"
        session = await open_session(stand, path=path)
        answer = await send(stand, {"jsonrpc": "2.0", "id": 1, "method": method}, session, path=path)
        assert (answer.status, answer.code) == (200, -32601)


async def test_an_agent_with_too_many_sessions_loses_its_own_and_nobody_elses() -> None:
    async with open_stand("alpha", settings=RouterSettings(max_sessions=8)) as stand:
        owners = await open_session(stand)
        agents = [await open_session(stand, token="agent:alpha") for _ in range(10)]
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        assert (await send(stand, ping, owners)).status == 200
        statuses = [(await send(stand, ping, each)).status for each in agents]
        assert statuses == [404] * 8 + [200] * 2
