"""Programs that ask the client while they run."""

from __future__ import annotations

import json
from collections.abc import Mapping

import anyio

from ploinky.base.jsontypes import JsonObject
from ploinky.toolhost.said import Question
from tests.toolhost.stage import META, Follower, agent, hosting

ASK = {
    "name": {"method": "elicitation/create", "params": {"message": "Who?"}},
    "word": {"method": "sampling/createMessage", "params": {"maxTokens": 5}},
}
SCRIPT = f"""
IFS= read -r line
echo '{json.dumps({"ask": ASK})}' >&2
IFS= read -r answers
printf '%s' "$answers"
"""
ANSWERS: Mapping[str, JsonObject] = {
    "name": {"action": "accept", "content": {"name": "Ann"}},
    "word": {"role": "assistant", "model": "m", "content": {"type": "text", "text": "hi"}},
}


async def test_questions_are_asked_at_once_and_answered_on_the_input() -> None:
    async with agent() as made:
        made.configure(made.tool("ask", SCRIPT, asks=["elicitation", "sampling"]))
        follower = Follower(ANSWERS, "elicitation", "sampling")
        async with hosting(made) as host:
            result = await host.call("ask", {}, META, follower)
        assert json.loads(result.text) == {"answers": ANSWERS}
        (asked,) = follower.asked
        assert asked["name"] == Question("elicitation/create", {"message": "Who?"})


async def test_what_a_client_cannot_be_asked_is_answered_for_it() -> None:
    async with agent() as made:
        made.configure(made.tool("ask", SCRIPT, asks=["elicitation", "sampling"]))
        follower = Follower(ANSWERS, "elicitation")
        async with hosting(made) as host:
            answers = json.loads((await host.call("ask", {}, META, follower)).text)["answers"]
            nobody = json.loads((await host.call("ask", {}, META)).text)["answers"]
        assert answers["name"] == ANSWERS["name"]
        assert "cannot be asked for sampling" in answers["word"]["error"]["message"]
        assert list(follower.asked[0]) == ["name"]
        assert set(nobody) == {"name", "word"}
        assert all("error" in answer for answer in nobody.values())


async def test_a_program_that_does_not_say_that_it_asks_gets_no_answer() -> None:
    async with agent() as made:
        made.configure(made.tool("ask", SCRIPT))
        follower = Follower(ANSWERS, "elicitation", "sampling")
        async with hosting(made) as host:
            assert (await host.call("ask", {}, META, follower)).text == "", "its input ends"
        assert follower.asked == []


class Slow(Follower):
    """A person who takes longer than the program may."""

    async def ask(self, questions: Mapping[str, Question]) -> Mapping[str, JsonObject]:
        await anyio.sleep(1.5)
        return await super().ask(questions)


async def test_the_time_that_a_client_takes_is_not_the_programs() -> None:
    async with agent() as made:
        more = {"asks": ["elicitation", "sampling"], "timeoutMs": 1000}
        kept = f"while true; do {SCRIPT}\necho; done"
        made.configure(
            made.tool("ask", SCRIPT, **more),
            made.tool("kept", kept, mode="persistent", **more),
            made.tool("late", SCRIPT + "\nsleep 60", **more),
        )
        async with hosting(made) as host:
            for name in ("ask", "kept"):
                result = await host.call(name, {}, META, Slow(ANSWERS, "elicitation", "sampling"))
                assert json.loads(result.text) == {"answers": ANSWERS}
            late = await host.call("late", {}, META, Slow(ANSWERS, "elicitation", "sampling"))
        assert late.is_error
        assert "did not answer within 1 s" in late.text
