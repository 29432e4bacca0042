"""What a model gets and tells besides text: thinking that goes back to it, others it falls back to."""

from __future__ import annotations

from ploinky.assistants.messages import NewMessage, Role
from ploinky.assistants.sessions import ChannelKind, Session
from ploinky.base.jsontypes import JsonObject
from ploinky.workspace.layout import Layout
from tests.assistants.home import Crew, open_home
from tests.models.faulty import events, last_piece, piece, refusal, running_faulty

THOUGHT = {"type": "thinking", "thinking": "", "signature": ""}
CALLS = events(
    {"type": "message_start", "message": {"model": "claude", "usage": {"input_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": THOUGHT},
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "thinking_delta", "thinking": "Look it up."},
    },
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "c2ln"}},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "content_block_start",
        "index": 1,
        "content_block": {"type": "tool_use", "id": "t1", "name": "harbour__tide", "input": {}},
    },
    {"type": "content_block_stop", "index": 1},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 4}},
    {"type": "message_stop"},
)
ANSWERS = events(
    {"type": "message_start", "message": {"model": "claude", "usage": {"input_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "High."}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
    {"type": "message_stop"},
)


async def test_signed_thinking_goes_back_with_its_calls_and_is_shown_to_no_client(layout: Layout) -> None:
    crew = Crew()

    async def tide(tool: str, arguments: JsonObject, on_progress: object) -> str:
        return "3 m"

    crew.add("harbour", "tide", tide, read_only=True)
    async with running_faulty(refusal(200, {"data": [{"id": "claude"}]}), CALLS, ANSWERS) as server:
        entry = {"provider": "anthropic", "baseURL": server.url, "model": "claude"}
        models = {"m": {**entry, "options": {"thinking": {"type": "enabled", "budget_tokens": 1024}}}}
        async with open_home(layout, crew=crew, models=models, defaultModel="m") as home:
            assert await home.talk("How is the tide?") == "High."
            thread = [each.wire() for each in home["default"].threads.messages("main")]
        second = server.exchanges[-1].body
    assert second["messages"][1]["content"][0] == {
        "type": "thinking",
        "thinking": "Look it up.",
        "signature": "c2ln",
    }
    assert "thinking" in second
    assert "Look it up." not in str(thread)


async def test_a_model_that_falls_back_says_so_and_who_served(layout: Layout) -> None:
    good = events(piece(content="Here."), last_piece(), "[DONE]")
    listed = refusal(200, {"data": [{"id": "m"}]})
    async with running_faulty(listed, good) as server:
        entry = {"provider": "openai-compatible", "openaiModelId": "m", "baseURL": server.url}
        models = {
            "away": {**entry, "baseURL": "http://127.0.0.1:9"},
            "here": entry,
            "both": {"provider": "fallback", "fallbackModels": ["away", "here"]},
        }
        async with open_home(layout, models=models, defaultModel="both") as home:
            assert await home.talk("Who is there?") == "Here."
            (run,) = home["default"].runs.recent(5)
            notices = [each.data for each in home["default"].journal.page(0) if each.kind.value == "notice"]
    assert run.model == "here"
    assert [notice["code"] for notice in notices] == ["PROVIDER_UNREACHABLE"]


async def test_a_server_that_does_not_know_its_model_is_not_asked_for_it_before_every_answer(
    layout: Layout,
) -> None:
    nothing = refusal(200, {"data": []})
    async with running_faulty(nothing, ANSWERS, ANSWERS, ANSWERS) as server:
        models = {"m": {"provider": "anthropic", "baseURL": server.url, "model": "claude"}}
        async with open_home(layout, models=models, defaultModel="m") as home:
            answers = [await home.talk("How is the tide?") for _ in range(3)]
    assert answers == ["High."] * 3
    assert [each.head.split()[1] for each in server.exchanges].count("/v1/messages") == 3
    assert len(server.exchanges) == 4


async def test_the_window_of_an_entry_bounds_what_is_sent(layout: Layout) -> None:
    entry = {
        "provider": "anthropic",
        "baseURL": "http://127.0.0.1:9",
        "model": "claude",
        "supportsTools": False,
    }
    models = {"wide": {**entry, "maxContextTokens": 100_000}, "small": {**entry, "maxContextTokens": 3000}}
    sent = {}
    for name in models:
        async with open_home(layout, models=models, defaultModel=name) as home:
            session = Session(name, ChannelKind.WEB)
            said = [NewMessage(Role.USER, f"{number} " + "tide " * 200) for number in range(40)]
            await home["default"].threads.append(session, said)
            context = await home["default"].preview(session)
        sent[name] = (context.tokens + context.reply_tokens, len(context.dropped))
    assert sent["wide"][0] > 3000 >= sent["small"][0]
    assert sent["wide"][1] == 0 < sent["small"][1]
