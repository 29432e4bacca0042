"""Turns of an assistant without a model: it answers, keeps its thread and runs tools under approval."""

from __future__ import annotations

from ploinky.assistants.approvals import ApprovalStatus
from ploinky.assistants.journal import EventKind
from ploinky.assistants.runs import RunStatus
from ploinky.base.jsontypes import JsonObject
from ploinky.workspace.layout import Layout
from tests.assistants.home import Crew, open_home


async def test_a_fresh_workspace_has_one_assistant_that_answers_without_a_model(layout: Layout) -> None:
    async with open_home(layout) as home:
        answer = await home.talk("/help")
        assert "/tools" in answer
        thread = home["default"].threads.messages("main")
        said = [(each.role.value, each.content) for each in thread]
        assert said == [("user", "/help"), ("assistant", answer)]
        assert home["default"].root == layout.root / "assistants" / "default"


async def test_events_are_numbered_and_join_to_the_stored_reply(layout: Layout) -> None:
    async with open_home(layout) as home:
        run = await home.say("/tools")
        assistant = home["default"]
        await assistant.wait_run(run.id, 30)
        events = assistant.journal.page(0, run_id=run.id)
        assert [each.seq for each in events] == list(range(1, len(events) + 1))
        assert (events[0].kind, events[-1].kind) == (EventKind.STARTED, EventKind.DONE)
        said = "".join(str(e.data["text"]) for e in events if e.kind is EventKind.ASSISTANT_DELTA)
        assert said == assistant.threads.messages("main")[-1].content != ""


async def test_a_tool_of_an_agent_waits_for_a_person_and_goes_on_by_itself(layout: Layout) -> None:
    crew = Crew()

    async def ring(tool: str, arguments: JsonObject, on_progress: object) -> str:
        return f"rang {arguments['times']} times"

    crew.add("bell", "ring", ring)
    async with open_home(layout, crew=crew) as home:
        assistant = home["default"]
        run = await home.say('/call bell.ring {"times": 3}')
        async for event in assistant.journal.follow(0, session="main"):
            if event.kind is EventKind.APPROVAL_NEEDED:
                break
        assert event.data["tool"] == "bell.ring"
        assert event.data["arguments"] == {"times": 3}
        assert not crew.calls
        await assistant.approvals.resolve(str(event.data["id"]), approve=True, by="test")
        ended = await assistant.wait_run(run.id, 30)
        assert ended.status is RunStatus.DONE
        assert crew.calls == [("bell", "ring", {"times": 3}, "default")]
        thread = assistant.threads.messages("main")
        assert [each.role.value for each in thread] == ["user", "assistant", "tool", "assistant"]
        assert thread[2].content == "rang 3 times"
        assert thread[2].data["tainted"] is True
        assert assistant.approvals.recent()[0].status is ApprovalStatus.APPROVED
