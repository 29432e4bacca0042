"""Heartbeat, jobs and budgets: at their times, over summer time, sleep and restarts, for every assistant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ploinky.assistants.autonomy.cron import Cron, JobWish
from ploinky.assistants.autonomy.heartbeat import Heartbeat, is_active, is_quiet
from ploinky.assistants.autonomy.jobs import Action
from ploinky.assistants.autonomy.schedule import Schedule, parse_schedule
from ploinky.assistants.messages import Role
from ploinky.assistants.runs import RunKind, RunStatus
from ploinky.assistants.settings import ActiveHours
from ploinky.base.errors import PloinkyError, UsageError
from ploinky.base.jsontypes import JsonObject
from ploinky.base.waits import wait_until
from ploinky.workspace.layout import Layout
from tests.assistants.home import Crew, Home, open_home
from tests.models.aimock import running_aimock

PARIS = ZoneInfo("Europe/Paris")
FUTURE = datetime(2036, 1, 1, tzinfo=UTC)  # where the household's own clock does not meddle


def times(schedule: Schedule, start: datetime, count: int) -> list[datetime]:
    found, moment = [], start
    for _ in range(count):
        due = schedule.next_after(moment, anchor=start)
        assert due is not None
        found.append(due)
        moment = due
    return found


def test_a_job_at_nine_is_at_nine_before_and_after_the_clocks_change() -> None:
    daily = parse_schedule({"cron": "0 9 * * *", "timeZone": "Europe/Paris"})
    for start in (datetime(2026, 3, 27, 12, tzinfo=UTC), datetime(2026, 10, 23, 12, tzinfo=UTC)):
        local = [due.astimezone(PARIS) for due in times(daily, start, 5)]
        assert [each.hour for each in local] == [9] * 5
        assert len({each.date() for each in local}) == 5
        assert len({each.utcoffset() for each in local}) == 2


def test_an_hour_that_does_not_exist_is_not_missed_and_one_that_comes_twice_counts_once() -> None:
    at_half_past_two = parse_schedule({"cron": "30 2 * * *", "timeZone": "Europe/Paris"})
    spring = times(at_half_past_two, datetime(2026, 3, 27, 12, tzinfo=UTC), 3)
    assert [due.astimezone(PARIS).day for due in spring] == [28, 29, 30]
    autumn = times(at_half_past_two, datetime(2026, 10, 23, 12, tzinfo=UTC), 3)
    assert [due.astimezone(PARIS).day for due in autumn] == [24, 25, 26]


@given(st.integers(min_value=10, max_value=10**6), st.integers(min_value=0, max_value=10**8))
def test_a_span_counts_from_the_job_and_never_drifts(span: int, passed: int) -> None:
    anchor = datetime(2026, 1, 1, tzinfo=UTC)
    moment = anchor + timedelta(seconds=passed)
    due = parse_schedule({"every": span}).next_after(moment, anchor=anchor)
    assert due is not None
    assert moment < due <= moment + timedelta(seconds=span)
    assert (due - anchor).total_seconds() % span == 0


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({}, "schedule"),
        ({"every": "1h", "cron": "* * * * *"}, "schedule"),
        ({"every": "1s"}, "schedule"),
        ({"every": "banana"}, "schedule.every"),
        ({"cron": "61 * * * *"}, "schedule.cron"),
        ({"cron": "* * * * * *"}, "schedule.cron"),
        ({"cron": "0 9 * * *", "timeZone": "Mars"}, "schedule.timeZone"),
        ({"at": "2026-05-01T09:00:00"}, "schedule.at"),
        ({"at": "soon"}, "schedule.at"),
        ("banana", "schedule"),
    ],
)
def test_a_bad_schedule_names_its_field(value: object, field: str) -> None:
    with pytest.raises(UsageError) as fault:
        parse_schedule(value)
    assert (fault.value.code, fault.value.details["field"]) == ("BAD_SCHEDULE", field)


class Wall:
    """A clock that the test moves."""

    def __init__(self, start: datetime) -> None:
        self.now = start
        self._looks = 0

    def __call__(self) -> datetime:
        self._looks += 1
        return self.now

    async def seen(self) -> None:
        """Wait until the time, as it is now, was looked at many times by those who run."""
        wanted = self._looks + 20

        async def looked() -> bool:
            return self._looks >= wanted

        await wait_until(looked, what="looks at the clock", timeout_s=20)


async def run_until(cron: Cron, outcomes: int) -> list[str]:
    """Run a clock until so many runs are in the history; their outcomes, oldest first."""

    async def enough() -> bool:
        settled = all(job.running is None for job in cron.store.all())
        return settled and len(cron.store.history(None, 100)) >= outcomes

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cron.run)
        await wait_until(enough, what="runs of jobs", timeout_s=20)
        tasks.cancel_scope.cancel()
    return [each.outcome for each in cron.store.history(None, 100)][::-1]


def wish(schedule: object, message: str = "/help", **more: object) -> JobWish:
    values: dict[str, object] = {"name": "job", "action": Action("jobs", message=message), **more}
    return JobWish(schedule=parse_schedule(schedule), **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(("missed", "outcome"), [("once", "done"), ("skip", "missed")])
async def test_what_was_missed_in_sleep_is_caught_up_with_once_or_skipped(
    layout: Layout, missed: str, outcome: str
) -> None:
    async with open_home(layout, cron={"enabled": False}) as home:
        home.configure(cron={"enabled": True})
        await home.household.reload()
        wall = Wall(FUTURE)
        cron = Cron(home["default"], wall)
        job = await cron.add(wish({"every": "1h"}, missed=missed), by="test")
        wall.now += timedelta(hours=7, minutes=30)
        assert await run_until(cron, 1) == [outcome]
        assert cron.store.require(job.id).next_at == "2036-01-01T08:00:00.000Z"


async def test_a_machine_that_sleeps_for_hours_catches_up_once_when_it_wakes(layout: Layout) -> None:
    async with open_home(layout, budgets={"proactivePerHour": 100}) as home:
        wall = Wall(FUTURE)
        cron = Cron(home["default"], wall, look_every_s=0.02)
        hourly = await cron.add(wish({"every": "1h"}), by="test")
        idle = await cron.add(wish({"every": "1h"}, missed="skip"), by="test")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(cron.run)
            await wall.seen()
            assert not cron.store.history(None, 9)
            wall.now += timedelta(hours=9, minutes=30)  # no timer of the process counted these hours

            async def awake() -> bool:
                return bool(cron.store.history(hourly.id, 9)) and bool(cron.store.history(idle.id, 9))

            await wait_until(awake, what="the jobs after the sleep", timeout_s=20)
            await wall.seen()
            tasks.cancel_scope.cancel()
        assert [each.outcome for each in cron.store.history(hourly.id, 9)] == ["done"]
        assert [each.outcome for each in cron.store.history(idle.id, 9)] == ["missed"]
        assert {job.next_at for job in cron.store.all()} == {"2036-01-01T10:00:00.000Z"}


async def test_a_clock_that_is_set_back_runs_nothing_twice(layout: Layout) -> None:
    async with open_home(layout) as home:
        wall = Wall(FUTURE)
        cron = Cron(home["default"], wall, look_every_s=0.02)
        job = await cron.add(wish({"every": "1h"}), by="test")
        wall.now += timedelta(hours=1)
        assert await run_until(cron, 1) == ["done"]
        wall.now -= timedelta(hours=3)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(cron.run)
            await wall.seen()
            tasks.cancel_scope.cancel()
        assert len(cron.store.history(job.id, 9)) == 1


@pytest.mark.parametrize(
    "start", [datetime(2036, 3, 28, 12, tzinfo=UTC), datetime(2036, 10, 24, 12, tzinfo=UTC)]
)
async def test_a_running_clock_fires_once_a_day_while_summer_time_comes_and_goes(
    layout: Layout, start: datetime
) -> None:
    async with open_home(layout) as home:
        wall = Wall(start)
        cron = Cron(home["default"], wall, look_every_s=0.02)
        job = await cron.add(wish({"cron": "30 2 * * *", "timeZone": "Europe/Paris"}), by="test")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(cron.run)
            for _ in range(3 * 24 * 2):  # half an hour at a time, over the night in which the clocks change
                wall.now += timedelta(minutes=30)
                due = cron.store.require(job.id).next_at
                assert due is not None
                if datetime.fromisoformat(due) <= wall.now:

                    async def settled(due: str = due) -> bool:
                        return cron.store.require(job.id).next_at != due

                    await wait_until(settled, what=f"the job of {due}", timeout_s=20)
            tasks.cancel_scope.cancel()
        history = cron.store.history(job.id, 9)[::-1]
        local = [datetime.fromisoformat(each.due_at).astimezone(PARIS) for each in history]
        assert [each.day - local[0].day for each in local] == [0, 1, 2]
        assert {each.outcome for each in history} == {"done"}


async def test_a_failing_job_is_tried_again_with_longer_pauses_and_then_waits_for_its_time(
    layout: Layout,
) -> None:
    async with open_home(layout) as home:
        wall = Wall(FUTURE)
        cron = Cron(home["default"], wall)
        action = Action("jobs", tool="no_such_tool", arguments={})
        job = await cron.add(wish({"every": "1h"}, action=action, retries=2), by="test")
        wall.now += timedelta(hours=1)
        pauses = []
        for attempt in range(1, 4):
            assert (await run_until(cron, attempt))[-1] == "failed"
            due = cron.store.require(job.id).next_at
            assert due is not None
            pauses.append((datetime.fromisoformat(due) - wall.now).total_seconds())
            wall.now = datetime.fromisoformat(due)
        assert pauses[:2] == [30, 60]
        assert pauses[2] > 3000
        assert cron.store.require(job.id).attempt == 0


async def test_a_job_survives_the_end_of_its_process_and_a_run_that_was_cut_is_told(layout: Layout) -> None:
    wall = Wall(datetime(2026, 1, 1, tzinfo=UTC))
    async with open_home(layout) as home:
        cron = Cron(home["default"], wall)
        job = await cron.add(wish({"at": "2026-01-01T01:00:00Z"}, retries=1), by="test")
        from dataclasses import replace

        await cron.store.put(replace(job, running=job.next_at))  # as a process that dies in it leaves it
    async with open_home(layout) as home:
        store = home["default"].cron.store

        async def told() -> bool:
            return [each.outcome for each in store.history(job.id, 10)] == ["interrupted"]

        await wait_until(told, what="the cut run", timeout_s=20)
        later = Wall(datetime.now(UTC) + timedelta(minutes=1))
        assert await run_until(Cron(home["default"], later), 2) == ["interrupted", "done"]
        assert store.require(job.id).next_at is None


async def test_jobs_of_every_assistant_run(layout: Layout) -> None:
    for name in ("one", "two"):
        (layout.root / name).mkdir()
    profiles = [{"id": "one", "root": "one"}, {"id": "two", "root": "two"}]
    async with open_home(layout, profiles=profiles) as home:
        for name in ("one", "two"):
            soon = datetime.now(UTC) + timedelta(seconds=0.5)
            await home[name].cron.add(wish({"at": soon.isoformat()}), by="test")

        async def both() -> bool:
            return all(home[name].cron.store.history(None, 9) for name in ("one", "two"))

        await wait_until(both, what="both jobs", timeout_s=20)
        for name in ("one", "two"):
            thread = home[name].threads.messages("jobs")
            assert [each.role for each in thread] == [Role.USER, Role.ASSISTANT]


async def test_a_tool_that_a_job_calls_needs_the_same_approval(layout: Layout) -> None:
    crew = Crew()

    async def ring(tool: str, arguments: JsonObject, on_progress: object) -> str:
        return "rang"

    crew.add("bell", "ring", ring)
    async with open_home(layout, crew=crew) as home:
        assistant = home["default"]
        action = Action("jobs", tool="bell.ring", arguments={"times": 1})
        job = await assistant.cron.add(wish({"every": "1d"}, action=action), by="test")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(assistant.cron.run_now, job.id)

            async def asked() -> bool:
                return bool(assistant.approvals.recent())

            await wait_until(asked, what="the request", timeout_s=20)
            assert not crew.calls
            await assistant.approvals.resolve(assistant.approvals.recent()[0].id, approve=True, by="test")
        assert crew.calls == [("bell", "ring", {"times": 1}, "default")]
        assert assistant.cron.store.history(job.id, 1)[0].outcome == "done"


async def test_what_nobody_asked_for_is_bounded_and_the_refusal_is_told(layout: Layout) -> None:
    async with open_home(layout, budgets={"proactivePerHour": 2}) as home:
        assistant = home["default"]
        job = await assistant.cron.add(wish({"every": "1d"}), by="test")
        outcomes = [(await assistant.cron.run_now(job.id)).outcome for _ in range(3)]
        assert outcomes == ["done", "done", "refused"]
        told = [event for event in assistant.journal.page(0) if event.kind == "notice"]
        assert "proactivePerHour" in str(told[-1].data["message"])


async def test_tokens_of_a_day_are_bounded(layout: Layout) -> None:
    async with open_home(layout, budgets={"tokensPerDay": 100}) as home:
        await home["default"].spending.add_turn("run", 100, 0.0)
        run = await home.say("/help")
        ended = await home["default"].wait_run(run.id, 20)
        assert ended.error is not None
        assert ended.error.code == "BUDGET_SPENT"


async def beat_with(home: Home, text: str) -> str:
    home["default"].substrate.write("HEARTBEAT.md", text)
    return await home["default"].heartbeat.beat()


async def test_a_heartbeat_is_skipped_while_its_file_says_nothing(layout: Layout) -> None:
    async with open_home(layout) as home:
        for text in ("", "\n\n", "# Title only\n", "<!-- a comment\nof two lines -->\n"):
            assert (await beat_with(home, text)).startswith("skipped: HEARTBEAT.md")
        (home["default"].root / "HEARTBEAT.md").unlink()
        assert (await home["default"].heartbeat.beat()).startswith("skipped: HEARTBEAT.md")
        assert not home["default"].runs.recent(10)


async def test_what_a_heartbeat_has_to_say_goes_into_the_thread(layout: Layout) -> None:
    async with open_home(layout) as home:
        assert await beat_with(home, "- look after the tide\n") == "said"
        message = home["default"].threads.messages("main")[-1]
        assert (message.role, message.data["source"]) == (Role.ASSISTANT, "heartbeat")
        assert home["default"].spending.wire(home["default"].settings.budgets)["proactiveToday"] == 1


async def test_a_person_pushes_a_heartbeat_aside(layout: Layout) -> None:
    crew = Crew()
    began = anyio.Event()

    async def wait(tool: str, arguments: JsonObject, on_progress: object) -> str:
        began.set()
        await anyio.sleep_forever()
        return ""

    crew.add("clock", "wait", wait, read_only=True)
    async with open_home(layout, crew=crew) as home:
        assistant = home["default"]
        from ploinky.assistants.assistant import RunRequest
        from ploinky.assistants.messages import NewMessage
        from ploinky.assistants.sessions import Session

        message = NewMessage(Role.USER, "/call clock.wait")
        run = await assistant.start_run(RunRequest(Session("heartbeat"), [message], RunKind.HEARTBEAT))
        await began.wait()
        assert "/tools" in await home.talk("/help")
        assert (await assistant.wait_run(run.id, 20)).status is RunStatus.CANCELLED


async def test_an_incident_stops_everything_proactive_and_every_risky_tool(layout: Layout) -> None:
    crew = Crew()

    async def ring(tool: str, arguments: JsonObject, on_progress: object) -> str:
        return "rang"

    crew.add("bell", "ring", ring)
    async with open_home(layout, crew=crew, tools={"trust": ["bell.*"]}) as home:
        assistant = home["default"]
        assert "rang" in await home.talk("/call bell.ring")
        bundle = await assistant.incidents.bundle("a test", by="test")
        assert bundle["runs"]
        assert "incident is open" in await home.talk("/call bell.ring")
        assert "incident" in await beat_with(home, "- do it\n")
        with pytest.raises(PloinkyError):
            await assistant.say(assistant.threads.sessions()[0].session, "hello", source="test")
        await assistant.incidents.clear(by="test")
        assert "rang" in await home.talk("/call bell.ring")


def test_active_hours_may_go_over_midnight_and_follow_their_zone() -> None:
    night = ActiveHours(start="22:00", end="06:00", time_zone="Europe/Paris")
    assert is_active(night, datetime(2026, 1, 1, 22, 30, tzinfo=UTC))
    assert is_active(night, datetime(2026, 1, 1, 4, 59, tzinfo=UTC))
    assert not is_active(night, datetime(2026, 1, 1, 6, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "quiet"),
    [
        ("HEARTBEAT_OK", True),
        ("", True),
        ("HEARTBEAT_OK.", True),
        ("All is well: HEARTBEAT_OK", True),
        ("Hello", False),
    ],
)
def test_only_the_word_itself_means_that_there_is_nothing_to_say(text: str, quiet: bool) -> None:
    assert is_quiet(text) is quiet
    assert not is_quiet("HEARTBEAT_OK but " + "x" * 100)


async def test_the_next_beat_is_counted_from_the_last_with_some_jitter(layout: Layout) -> None:
    async with open_home(layout, heartbeat={"every": "10m", "jitter": 60}) as home:
        wall = Wall(FUTURE)
        heartbeat = Heartbeat(home["default"], wall, jitter=lambda: 0.5)

        async def began() -> bool:
            return home["default"].heartbeat.poll()["lastAt"] is not None

        await wait_until(began, what="the household's own heartbeat", timeout_s=10)
        await heartbeat.beat()
        assert heartbeat.next_at() == wall.now + timedelta(minutes=10, seconds=30)


async def test_a_heartbeat_beats_once_after_a_long_sleep(layout: Layout) -> None:
    async with open_home(layout, heartbeat={"enabled": False, "every": "30m", "jitter": 0}) as home:
        assistant = home["default"]
        wall = Wall(FUTURE)
        heartbeat = Heartbeat(assistant, wall, look_every_s=0.02)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(heartbeat.run)
            await heartbeat.beat()
            wall.now += timedelta(hours=9)

            async def beaten() -> bool:
                return heartbeat.poll()["lastAt"] == "2036-01-01T09:00:00.000Z"

            await wait_until(beaten, what="the beat", timeout_s=20)
            await wall.seen()
            assert heartbeat.next_at() == wall.now + timedelta(minutes=30)
            tasks.cancel_scope.cancel()


async def test_a_heartbeat_waits_while_a_person_talks_and_gives_way_when_one_begins(layout: Layout) -> None:
    with running_aimock([{"match": {}, "response": {"content": "slow " * 400}, "latency": 50}]) as server:
        model = {"provider": "openai-compatible", "baseURL": server.openai_url, "openaiModelId": "gpt-4o"}
        models = {"slow": model, "none": {"provider": "offline"}}
        async with open_home(layout, models=models, defaultModel="slow") as home:
            assistant = home["default"]
            assistant.substrate.write("HEARTBEAT.md", "- look after the tide\n")
            outcomes: list[str] = []

            async def beat() -> None:
                outcomes.append(await assistant.heartbeat.beat())

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(beat)

                async def speaks() -> bool:
                    return any(
                        e.kind == "assistant_delta" for e in assistant.journal.page(0, session="heartbeat")
                    )

                await wait_until(speaks, what="the heartbeat's first word", timeout_s=20)
                run = await home.say("Are you there?")
            assert outcomes == ["preempted"]
            assert await assistant.heartbeat.beat() == "skipped: the assistant is busy"
            assert (await assistant.cancel_run(run.id)).status is RunStatus.CANCELLED
