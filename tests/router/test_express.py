"""Calls of kept programs, many at once: each gets its own answer, whatever happens to the others."""

from __future__ import annotations

import json

import anyio
import pytest

from ploinky.base.jsontypes import JsonObject
from ploinky.base.waits import wait_until
from ploinky.router.http_client import HttpAddress
from tests.router.stand import Agent, Stand, gone, holds, open_stand
from tests.router.wire import call, open_session, opened, send, stateless

ECHO = """while read -r line; do
  case "$line" in
    *'"text":"die"'*) exit 3;;
    *'"text":"hang"'*) echo $$ > "$(dirname "$0")/pid"; sleep 60;;
    *) printf '%s\\n' "$line";;
  esac
done"""
SCHEMA = {"text": {"type": "string"}}


def kept(agent: Agent, workers: int = 1, **more: object) -> None:
    tool = agent.tool("kept", ECHO, mode="persistent", workers=workers, inputSchema=SCHEMA, **more)
    agent.configure(tool)


async def said(stand: Stand, text: str, headers: dict[str, str] | None = None) -> str:
    """What the tool answers to ``text``, in the session of ``headers`` or in none."""
    arguments: JsonObject = {"text": text}
    if headers is None:
        body, own = stateless("tools/call", {"name": "kept", "arguments": arguments})
        answer = await send(stand, body, own)
    else:
        request_id = abs(hash(text)) % 10**9
        answer = await send(stand, call("kept", arguments, request_id=request_id), headers)
    if answer.result["isError"]:
        return f"error: {answer.text}"
    return str(json.loads(answer.text)["input"]["text"])


@pytest.mark.parametrize("workers", [1, 3])
async def test_every_one_of_many_calls_gets_its_own_answer_in_both_eras(workers: int) -> None:
    async with open_stand("alpha") as stand:
        kept(stand.agents["alpha"], workers)
        await stand.look()
        session = await open_session(stand)
        wrong: list[tuple[str, str]] = []

        async def client(number: int) -> None:
            for step in range(20):
                text = f"{number}/{step}"
                answer = await said(stand, text, session if number % 2 else None)
                if answer != text:
                    wrong.append((text, answer))

        async with anyio.create_task_group() as tasks:
            for number in range(12):
                tasks.start_soon(client, number)
        assert wrong == []


async def test_a_program_that_dies_fails_its_own_call_and_the_next_one_works() -> None:
    async with open_stand("alpha") as stand:
        kept(stand.agents["alpha"])
        await stand.look()
        answers: dict[str, str] = {}

        async def ask(text: str) -> None:
            answers[text] = await said(stand, text)

        assert await said(stand, "first") == "first"
        for _ in range(3):
            async with anyio.create_task_group() as tasks:
                for text in ("one", "die", "two"):
                    tasks.start_soon(ask, text)
            assert answers["die"].startswith("error: ")
            assert (answers["one"], answers["two"]) == ("one", "two")


async def test_a_late_program_is_given_up_and_ended() -> None:
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        kept(alpha, timeoutMs=700)
        await stand.look()
        assert await said(stand, "first") == "first"
        assert "did not answer" in await said(stand, "hang")
        assert await said(stand, "after") == "after"
        await wait_until(gone(alpha.folder / "pid"), what="the late program's end", timeout_s=10)


async def test_a_client_that_goes_away_takes_its_call_along_and_nobody_elses() -> None:
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        kept(alpha)
        await stand.look()
        assert await said(stand, "first") == "first"
        pid_file = alpha.folder / "pid"
        body, headers = stateless("tools/call", {"name": "kept", "arguments": {"text": "hang"}})
        whole = {"authorization": "Bearer owner-token-of-the-stand", "content-type": "application/json"}
        async with await anyio.connect_tcp("127.0.0.1", stand.port) as stream:
            raw = json.dumps(body).encode()
            lines = [f"{name}: {value}" for name, value in {**whole, **headers}.items()]
            authority = HttpAddress("127.0.0.1", stand.port).authority
            head = f"POST /mcp HTTP/1.1\r\nhost: {authority}\r\ncontent-length: {len(raw)}\r\n"
            await stream.send(head.encode() + "\r\n".join([*lines, "", ""]).encode() + raw)
            await wait_until(holds(pid_file), what="the call to have begun", timeout_s=10)
        await wait_until(gone(pid_file), what="the program's end", timeout_s=10)
        assert await said(stand, "after") == "after"


async def test_an_agent_killed_in_the_middle_is_a_clear_error_at_once() -> None:
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        kept(alpha)
        await stand.look()
        assert await said(stand, "first") == "first"
        body, headers = stateless("tools/call", {"name": "kept", "arguments": {"text": "hang"}})

        async def kill() -> None:
            await wait_until(holds(alpha.folder / "pid"), what="the call to have begun", timeout_s=10)
            await alpha.kill()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(kill)
            with anyio.fail_after(15):
                answer = await send(stand, body, headers)
        assert answer.code == -32011
        assert "was not repeated" in answer.message
        await alpha.start()
        await stand.look()
        assert await said(stand, "after") == "after"


async def test_a_token_that_is_wrong_and_headers_that_differ_are_refused_as_ever() -> None:
    async with open_stand("alpha") as stand:
        kept(stand.agents["alpha"])
        await stand.look()
        assert await said(stand, "first") == "first"
        body, headers = stateless("tools/call", {"name": "kept", "arguments": {"text": "x"}})
        assert (await send(stand, body, {**headers, "authorization": "Bearer wrong"})).status == 401
        assert (await send(stand, body, {**headers, "mcp-name": "other"})).code == -32020
        assert (await send(stand, body, {**headers, "origin": "http://evil.example"})).status == 403
        wrong, own = stateless("tools/call", {"name": "kept", "arguments": {"text": 7}})
        assert (await send(stand, wrong, own)).result["isError"] is True
        async with opened(
            stand, "POST", headers, json.dumps(body).encode(), path="/mcps/none/mcp"
        ) as response:
            assert response.status == 404
