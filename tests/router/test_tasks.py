"""Tasks over HTTP: the extension of the stateless era, the session era's own form, the older address."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import anyio
import pytest

from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonObject
from ploinky.base.waits import wait_until
from ploinky.router.gateway_client import ToolProgress
from tests.router.stand import Stand, gone, holds, open_stand, there
from tests.router.wire import Answer, open_session, opened, send, stateless

ONE = "/mcps/alpha/mcp"
EXTENSION: JsonObject = {
    "io.modelcontextprotocol/clientCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}}
}
ASK = '{"ask": {"name": {"method": "elicitation/create", "params": {"message": "Who?"}}}}'
ASYNC: dict[str, object] = {"async": True}


@pytest.fixture(scope="module")
async def stand() -> AsyncIterator[Stand]:
    async with open_stand("alpha", "beta") as each:
        alpha = each.agents["alpha"]
        step = 'echo \'{"progress": 1, "total": 2, "message": "half"}\' >&2'
        alpha.configure(
            alpha.tool("quick", "echo done", **ASYNC),
            alpha.tool("steps", f"{step}; until [ -e go ]; do sleep 0.01; done; echo done", **ASYNC),
            alpha.tool("stay", "echo $$ > pid; exec sleep 60", **ASYNC),
            alpha.tool(
                "asks",
                f"IFS= read -r x; echo '{ASK}' >&2; IFS= read -r y; echo \"$y\"",
                asks=["elicitation"],
                **ASYNC,
            ),
            alpha.tool("strict", "echo done", **{"async": "required"}),
            alpha.tool("plain", "echo plain"),
        )
        await each.look()
        yield each


async def extension(stand: Stand, method: str, path: str = ONE, **params: object) -> Answer:
    """One request of a client that knows tasks, in the stateless era."""
    body, headers = stateless(method, json.loads(json.dumps({**params, "_meta": EXTENSION})))
    if "taskId" in params:
        headers["mcp-name"] = str(params["taskId"])
    return await send(stand, body, headers, path=path)


async def until(stand: Stand, task_id: str, status: str, path: str = ONE) -> JsonObject:
    seen: list[JsonObject] = []

    async def reached() -> bool:
        seen.append((await extension(stand, "tasks/get", path, taskId=task_id)).result)
        return seen[-1]["status"] == status

    await wait_until(reached, what=f"the task to be {status}", timeout_s=15)
    return seen[-1]


def session_call(name: str, **more: object) -> JsonObject:
    params: JsonObject = {"name": name, "arguments": {}, **json.loads(json.dumps(more))}
    return {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}


def about(method: str, task_id: str, request_id: int = 8) -> JsonObject:
    return {"jsonrpc": "2.0", "id": request_id, "method": method, "params": {"taskId": task_id}}


@pytest.mark.parametrize("path", [ONE, "/mcp"])
async def test_an_async_tool_is_a_task_for_a_client_that_knows_tasks(stand: Stand, path: str) -> None:
    made = (await extension(stand, "tools/call", path, name="quick", arguments={})).result
    assert (made["resultType"], made["status"]) == ("task", "working")
    task_id = str(made["taskId"])
    assert task_id.startswith("alpha:") == (path == "/mcp"), "at all agents' endpoint it says whose it is"
    done = await until(stand, task_id, "completed", path)
    assert done["result"] == {"content": [{"type": "text", "text": "done"}], "isError": False}
    plain = (await extension(stand, "tools/call", path, name="plain", arguments={})).result
    assert plain["resultType"] == "complete"


async def test_other_clients_wait_for_the_end_or_are_refused(stand: Stand) -> None:
    body, headers = stateless("tools/call", {"name": "quick", "arguments": {}})
    assert (await send(stand, body, headers, path=ONE)).text == "done"
    body, headers = stateless("tools/call", {"name": "strict", "arguments": {}})
    refused = await send(stand, body, headers, path=ONE)
    assert (refused.status, refused.code) == (400, -32021)
    session = await open_session(stand, path=ONE)
    assert (await send(stand, session_call("quick"), session, path=ONE)).text == "done"
    assert (await send(stand, session_call("strict"), session, path=ONE)).code == -32601
    assert (await send(stand, session_call("plain", task={}), session, path=ONE)).code == -32601


async def test_a_session_makes_lists_awaits_and_cancels_tasks(stand: Stand) -> None:
    session = await open_session(stand, path=ONE)
    made = (await send(stand, session_call("quick", task={"ttl": 60_000}), session, path=ONE)).result["task"]
    assert isinstance(made, dict)
    assert (made["status"], isinstance(made["ttl"], int), "pollInterval" in made) == ("working", True, True)
    task_id = str(made["taskId"])
    result = (await send(stand, about("tasks/result", task_id), session, path=ONE)).result
    assert result["_meta"] == {"io.modelcontextprotocol/related-task": {"taskId": task_id}}
    assert result["content"] == [{"type": "text", "text": "done"}]
    listed = (
        await send(stand, {"jsonrpc": "2.0", "id": 1, "method": "tasks/list"}, session, path=ONE)
    ).result
    assert isinstance(listed["tasks"], list)
    assert task_id in [task["taskId"] for task in listed["tasks"] if isinstance(task, dict)]
    everywhere = await open_session(stand)
    shown = (await send(stand, {"jsonrpc": "2.0", "id": 1, "method": "tasks/list"}, everywhere)).result
    assert f"alpha:{task_id}" in json.dumps(shown)
    again = await send(stand, about("tasks/cancel", task_id), session, path=ONE)
    assert (again.code, "ended already" in again.message) == (-32602, True)
    assert (await send(stand, about("tasks/get", "made-up"), session, path=ONE)).code == -32602


async def test_cancelling_a_task_ends_its_program_while_leaving_does_not(stand: Stand) -> None:
    pid_file = stand.agents["alpha"].folder / "pid"
    made = (await extension(stand, "tools/call", name="stay", arguments={})).result
    await wait_until(holds(pid_file), what="the program", timeout_s=10)
    task_id = str(made["taskId"])
    assert (await extension(stand, "tasks/cancel", taskId=task_id)).result["resultType"] == "complete"
    await until(stand, task_id, "cancelled")
    await wait_until(gone(pid_file), what="the program's end", timeout_s=10)


async def test_a_task_is_its_callers_alone(stand: Stand) -> None:
    made = (await extension(stand, "tools/call", name="quick", arguments={})).result
    body, headers = stateless("tasks/get", {"taskId": made["taskId"], "_meta": EXTENSION})
    headers |= {"mcp-name": str(made["taskId"]), "authorization": "Bearer agent:beta"}
    stand.agents["beta"].may_call = frozenset({"alpha"})
    await stand.look()
    assert (await send(stand, body, headers, path=ONE)).code == -32602


async def test_what_a_task_asks_is_asked_of_whoever_awaits_it(stand: Stand) -> None:
    made = (await extension(stand, "tools/call", name="asks", arguments={})).result
    lonely = await until(stand, str(made["taskId"]), "completed")
    assert "cannot be asked" in json.dumps(lonely["result"]), "this client cannot be asked for anything"
    tasks: JsonObject = {"io.modelcontextprotocol/tasks": {}}
    able: JsonObject = {
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}, "extensions": tasks}
    }
    body, headers = stateless("tools/call", {"name": "asks", "arguments": {}, "_meta": able})
    task_id = str((await send(stand, body, headers, path=ONE)).result["taskId"])
    asked = await until(stand, task_id, "input_required")
    assert asked["inputRequests"] == {"name": {"method": "elicitation/create", "params": {"message": "Who?"}}}
    answer: JsonObject = {"name": {"action": "accept", "content": {"name": "Ann"}}}
    await extension(stand, "tasks/update", taskId=task_id, inputResponses=answer)
    done = await until(stand, task_id, "completed")
    assert json.dumps(done["result"]).count("Ann") == 1


async def test_a_listener_hears_of_its_tasks(stand: Stand) -> None:
    go = stand.agents["alpha"].folder / "go"
    made = (await extension(stand, "tools/call", "/mcp", name="steps", arguments={})).result
    task_id = str(made["taskId"])
    body, headers = stateless(
        "subscriptions/listen", {"notifications": {"taskIds": [task_id]}, "_meta": EXTENSION}
    )
    seen: list[JsonObject] = []
    with anyio.fail_after(15):
        async with opened(stand, "POST", headers, json.dumps(body).encode()) as response:
            async for each in response.events():
                message = json.loads(each.data)
                seen.append(message["params"])
                if message["method"] == "notifications/tasks":
                    go.touch()
                if seen[-1].get("status") == "completed":
                    break
    assert seen[0]["notifications"] == {"taskIds": [task_id]}
    assert {each["taskId"] for each in seen[1:]} == {task_id}
    assert "done" in json.dumps(seen[-1]["result"])
    go.unlink()


async def test_a_client_that_does_not_know_tasks_may_not_listen_to_them(stand: Stand) -> None:
    body, headers = stateless("subscriptions/listen", {"notifications": {"taskIds": ["x"]}})
    assert (await send(stand, body, headers, path=ONE)).code == -32021


async def test_the_older_address_tells_state_result_and_log(stand: Stand) -> None:
    made = (await extension(stand, "tools/call", name="quick", arguments={})).result
    await until(stand, str(made["taskId"]), "completed")
    answer = await send(stand, b"", path=f"/mcps/alpha/task?taskId={made['taskId']}", method="GET")
    assert isinstance(answer.body, dict)
    task = answer.body["task"]
    assert isinstance(task, dict)
    assert (task["id"], task["toolName"], task["status"]) == (made["taskId"], "quick", "completed")
    assert (task["error"], task["logTail"]) == (None, "")
    assert (await send(stand, b"", path="/mcps/alpha/task?taskId=none", method="GET")).status == 404
    refused = {"authorization": ""}
    assert (await send(stand, b"", refused, path="/mcps/alpha/task?taskId=x", method="GET")).status == 401


async def test_the_command_lines_client_follows_a_task(stand: Stand) -> None:
    go, pid_file = stand.agents["alpha"].folder / "go", stand.agents["alpha"].folder / "pid"
    seen: list[ToolProgress] = []

    async def on_progress(progress: ToolProgress) -> None:
        seen.append(progress)
        go.touch()

    client = stand.client()
    with anyio.fail_after(20):
        answer = await client.call_tool("steps", {}, agent="alpha", on_progress=on_progress)
    assert (answer.text, seen[0]) == ("done", ToolProgress(1, 2, "half"))
    pid_file.unlink(missing_ok=True)
    with pytest.raises(PloinkyError, match="Gave up after 2 s"):
        await client.call_tool("stay", {}, agent="alpha", timeout_s=2)
    await wait_until(gone(pid_file), what="the program's end", timeout_s=10)
    assert {tool.name: tool.is_async for tool in await client.list_tools("alpha")}["plain"] is False


async def test_a_task_outlives_its_session_and_its_agent_and_the_gateway() -> None:
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        started = alpha.folder / "started"
        alpha.configure(alpha.tool("stay", "touch started; exec sleep 60", **ASYNC))
        await stand.look()
        session = await open_session(stand, path=ONE)
        made = (await send(stand, session_call("stay", task={}), session, path=ONE)).result["task"]
        assert isinstance(made, dict)
        first = str(made["taskId"])
        await wait_until(there(started), what="the program", timeout_s=10)
        assert (await send(stand, b"", session, path=ONE, method="DELETE")).status == 204
        assert (await until(stand, first, "working"))["taskId"] == first
        await alpha.kill()
        lost = await until(stand, first, "failed")
        assert isinstance(lost["error"], dict)
        assert lost["error"]["code"] == -32011
        stand.show(alpha="it died")
        assert (await until(stand, first, "failed"))["taskId"] == first, "an agent that is away hides no task"
        await alpha.start()
        await stand.look()
        second = str((await extension(stand, "tools/call", name="stay", arguments={})).result["taskId"])
        await stand.restart()
        again = await until(stand, second, "failed")
        assert "gateway ended" in json.dumps(again["error"])
