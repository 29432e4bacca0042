"""The context of a turn fits its budget, keeps the newest, and no result stands without its call."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ploinky.assistants.context import Material, build_context
from ploinky.assistants.messages import Role, ThreadMessage
from ploinky.assistants.settings import ContextShares
from ploinky.base.jsontypes import JsonObject
from ploinky.providers.protocol import AssistantMessage, ToolMessage, UserMessage


def thread_of(turns: list[tuple[int, list[int], int]]) -> list[ThreadMessage]:
    """Turns of a question, calls with results, an answer, each of so many characters."""
    thread: list[ThreadMessage] = []

    def add(role: Role, size: int, data: JsonObject | None = None) -> None:
        number = len(thread) + 1
        text = (f"{number}:" + "word " * (size // 5 + 1))[: size + 3]
        thread.append(ThreadMessage(f"m{number}", role, text, "now", number, f"r{number}", data or {}))

    for number, (question, results, answer) in enumerate(turns):
        add(Role.USER, question)
        if results:
            ids = [f"c{number}-{index}" for index in range(len(results))]
            add(
                Role.ASSISTANT, 0, {"toolCalls": [{"id": each, "name": "t", "arguments": {}} for each in ids]}
            )
            for each, size in zip(ids, results, strict=True):
                add(Role.TOOL, size, {"toolCallId": each, "name": "t"})
        add(Role.ASSISTANT, answer)
    add(Role.USER, 20)
    return thread


_SIZES = st.integers(min_value=1, max_value=6000)
_TURNS = st.lists(st.tuples(_SIZES, st.lists(_SIZES, max_size=3), _SIZES), max_size=8)


@settings(max_examples=80)
@given(_TURNS, st.integers(min_value=1000, max_value=20_000), st.integers(min_value=0, max_value=40))
def test_what_is_sent_fits_and_keeps_the_newest_and_calls_with_results(
    turns: list[tuple[int, list[int], int]], budget: int, dropped: int
) -> None:
    thread = thread_of(turns)[dropped:] or thread_of([])
    context = build_context(Material(thread=thread), budget, ContextShares())
    assert context.tokens + context.reply_tokens <= budget
    last = context.messages[-1]
    assert isinstance(last, UserMessage)
    assert last.text == thread[-1].content
    called: set[str] = set()
    answered: set[str] = set()
    for message in context.messages:
        if isinstance(message, AssistantMessage):
            called |= {call.id for call in message.tool_calls}
        elif isinstance(message, ToolMessage):
            assert message.call_id in called
            answered.add(message.call_id)
    assert called == answered
    if context.dropped:
        assert any("left out" in note for note in context.notes)


def test_a_summary_stands_for_what_it_covers() -> None:
    thread = thread_of([(3000, [], 3000)] * 6)
    material = Material(thread=thread, summary="They spoke of boats.", summary_to=thread[-2].position)
    context = build_context(material, 4000, ContextShares())
    assert "They spoke of boats." in context.messages[0].text
    assert not context.dropped
    assert any("replaced by a summary" in note for note in context.notes)


def test_a_question_that_is_too_large_is_cut_and_told() -> None:
    thread = [ThreadMessage("m1", Role.USER, "tide " * 20_000, "now", 1)]
    context = build_context(Material(thread=thread), 2000, ContextShares())
    assert context.tokens + context.reply_tokens <= 2000
    assert "cut" in context.messages[-1].text
    assert any("cut" in note for note in context.notes)
