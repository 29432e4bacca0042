"""Programs that ask a client of the stateless era: who may answer, and who ends them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import anyio
import pytest

from ploinky.base.jsontypes import JsonObject
from ploinky.base.waits import wait_until
from tests.router.stand import Stand, gone, holds, open_stand
from tests.router.wire import Answer, opened, send, stateless

ONE = "/mcps/alpha/mcp"
ABLE: JsonObject = {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {}}}
ASK = '{"ask": {"name": {"method": "elicitation/create", "params": {"message": "Who?"}}}}'
ANSWERS: JsonObject = {"name": {"action": "accept", "content": {"name": "Ann"}}}


@pytest.fixture(scope="module")
async def stand() -> AsyncIterator[Stand]:
    async with open_stand("alpha", "beta") as each:
        alpha = each.agents["alpha"]
        asking = f"echo x >> runs; echo '{ASK}' >&2; IFS= read -r answers; echo \"$answers\""
        asking = f"IFS= read -r line; {asking}"
        alpha.configure(
            alpha.tool("ask", asking, asks=["elicitation"], inputSchema={"n": {"type": "number"}}),
            alpha.tool("needs", "echo never", asks=["sampling"], requires=["sampling"]),
        )
        each.agents["beta"].may_call = frozenset({"alpha"})
        await each.look()
        yield each


@pytest.fixture(autouse=True)
def nothing_ran_yet(stand: Stand) -> None:
    (stand.agents["alpha"].folder / "runs").unlink(missing_ok=True)


def request(number: int = 1, **more: object) -> tuple[JsonObject, dict[str, str]]:
    params = {"name": "ask", "arguments": {"n": number}, "_meta": ABLE, **more}
    return stateless("tools/call", json.loads(json.dumps(params)))


async def asked(stand: Stand, number: int = 1, **more: object) -> Answer:
    body, headers = request(number, **more)
    return await send(stand, body, headers, path=ONE)


async def test_one_run_waits_for_the_answer(stand: Stand) -> None:
    first = (await asked(stand)).result
    assert first["inputRequests"] == {"name": {"method": "elicitation/create", "params": {"message": "Who?"}}}
    again = (await asked(stand, requestState=first["requestState"], inputResponses={"other": {}})).result
    assert (again["resultType"], again["requestState"] != first["requestState"]) == ("input_required", True)
    done = await asked(stand, requestState=again["requestState"], inputResponses=ANSWERS)
    assert json.loads(done.text) == {"answers": ANSWERS}
    assert (stand.agents["alpha"].folder / "runs").read_text("ascii") == "x\n", "it ran once"
    spent = await asked(stand, requestState=again["requestState"], inputResponses=ANSWERS)
    assert (spent.code, "no longer" in spent.message) == (-32602, True)


async def test_nobody_else_and_no_other_request_redeems_a_state(stand: Stand) -> None:
    state = (await asked(stand)).result["requestState"]
    body, headers = request(requestState=state, inputResponses=ANSWERS)
    stolen = await send(stand, body, {**headers, "authorization": "Bearer agent:beta"}, path=ONE)
    assert stolen.code == -32602
    assert (await asked(stand, 2, requestState=state, inputResponses=ANSWERS)).code == -32602
    assert (await asked(stand, requestState="program.made-up", inputResponses=ANSWERS)).code == -32602
    done = await asked(stand, requestState=state, inputResponses=ANSWERS)
    assert json.loads(done.text) == {"answers": ANSWERS}, "their attempts spoiled nothing"


@pytest.mark.parametrize("responses", [None, [], "x", {"name": 5}, {"name": None}])
async def test_answers_of_the_wrong_shape_are_refused(stand: Stand, responses: object) -> None:
    assert (await asked(stand, inputResponses=responses)).code == -32602
    state = (await asked(stand)).result["requestState"]
    assert (await asked(stand, requestState=state, inputResponses=responses)).code == -32602


async def test_a_client_that_leaves_in_the_middle_of_a_turn_ends_the_program(stand: Stand) -> None:
    alpha = stand.agents["alpha"]
    pid_file = alpha.folder / "pid"
    slow = alpha.tool("slow", f"echo $$ > {pid_file}; exec sleep 60", asks=["elicitation"])
    alpha.configure(slow)
    await stand.look()
    body, headers = stateless("tools/call", {"name": "slow", "arguments": {}, "_meta": ABLE})
    with anyio.move_on_after(15) as patience:
        async with anyio.create_task_group() as tasks:

            async def leave() -> None:
                await wait_until(holds(pid_file), what="the program", timeout_s=10)
                tasks.cancel_scope.cancel()

            tasks.start_soon(leave)
            async with opened(stand, "POST", headers, json.dumps(body).encode(), path=ONE) as response:
                await response.read()
    assert not patience.cancelled_caught
    await wait_until(gone(pid_file), what="the program's end", timeout_s=10)
