"""Programs as tools, through a real launcher."""

from __future__ import annotations

import json

import anyio
import pytest

from ploinky.base.errors import NotFoundError, PloinkyError
from ploinky.base.jsontypes import JsonObject
from ploinky.base.waits import wait_until
from ploinky.channel.client import Channel
from ploinky.toolhost.results import ToolResult
from ploinky.toolhost.said import Progress
from tests.router.stand import Agent, gone, holds, there
from tests.toolhost.stage import META, Follower, agent, host_over


async def run(made: Agent, name: str, arguments: JsonObject | None = None, **more: object) -> ToolResult:
    """Call one tool of the agent's present configuration."""
    async with await Channel.connect(made.socket_path) as channel:
        return await host_over(made, channel).call(name, arguments or {}, META, **more)  # type: ignore[arg-type]


async def test_a_program_gets_one_json_line_and_its_output_is_the_answer() -> None:
    async with agent() as made:
        made.configure(made.tool("echo", 'IFS= read -r line; printf "%s\\n" "$line"; cat | wc -c'))
        result = await run(made, "echo", {"text": 'größe\n"x"'})
        line, rest = result.text.split("\n")
        assert json.loads(line) == {
            "tool": "echo",
            "input": {"text": 'größe\n"x"'},
            "metadata": {"agent": "alpha", "requestId": "r1", "sessionId": None, "caller": "owner"},
        }
        assert rest.strip() == "0", "one line and no more"
        assert not result.is_error


async def test_the_environment_is_the_agents_the_tools_and_a_path() -> None:
    async with agent() as made:
        made.environment = {"SECRET": "s3cret", "SHARED": "agent"}
        made.configure(made.tool("show", "env", env={"SHARED": "tool", "OWN": 1}))
        seen = dict(line.split("=", 1) for line in (await run(made, "show")).text.splitlines())
        assert (seen["SECRET"], seen["SHARED"], seen["OWN"]) == ("s3cret", "tool", "1")
        assert "/usr/bin" in seen["PATH"]
        assert set(seen) - {"SECRET", "SHARED", "OWN", "PATH", "PWD", "SHLVL", "_", "OLDPWD"} == set()


async def test_a_tool_runs_where_it_says() -> None:
    async with agent() as made:
        (made.folder / "lib").mkdir()
        made.configure(
            made.tool("code", "pwd"),
            made.tool("workspace", "pwd", cwd="workspace"),
            made.tool("relative", "pwd", cwd="lib"),
            made.tool("absolute", "pwd", cwd="/"),
            made.tool("nowhere", "pwd", cwd="/no/such/folder"),
        )
        code = made.folder
        for name, folder in (
            ("code", code),
            ("workspace", code.parent),
            ("relative", code / "lib"),
            ("absolute", "/"),
        ):
            assert (await run(made, name)).text == str(folder)
        assert (await run(made, "nowhere")).is_error


async def test_a_command_is_a_path_of_the_code_or_a_word_of_the_path() -> None:
    async with agent() as made:
        (made.folder / "bin").mkdir()
        made.program("bin/own", "echo own")
        made.configure(
            {"name": "own", "command": "bin/own"},
            {"name": "word", "command": "echo", "args": ["a b", "c"]},
            {"name": "missing", "command": "bin/missing"},
            {"name": "missing_word", "command": "no-such-program"},
            {"name": "flat", "command": "mcp-config.json"},
        )
        assert (await run(made, "own")).text == "own"
        assert (await run(made, "word")).text == "a b c"
        for name in ("missing", "missing_word", "flat"):
            result = await run(made, name)
            assert result.is_error
            assert "cannot be started" in result.text


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ('echo \'{"error": "from stdout"}\'; echo noise >&2; exit 1', "from stdout"),
        ('echo \'{"error": {"message": "deep"}}\'; exit 1', "deep"),
        ('echo \'{"message": "said"}\'; exit 1', "said"),
        ("echo not json; echo from stderr >&2; exit 1", "from stderr"),
        ("echo '{\"progress\": 0.5}' >&2; echo real >&2; exit 1", "real"),
        ("exit 7", "Tool 'fails' exited with code 7."),
        ("kill -SEGV $$", "Tool 'fails' was ended by SIGSEGV."),
    ],
)
async def test_a_failing_program_is_an_error_with_its_best_message(script: str, message: str) -> None:
    async with agent() as made:
        made.configure(made.tool("fails", script))
        result = await run(made, "fails")
        assert (result.is_error, result.text) == (True, message)


async def test_wrong_arguments_start_nothing_and_name_their_fields() -> None:
    async with agent() as made:
        marker = made.folder / "ran"
        schema = {
            "files": {
                "type": "array",
                "items": {"type": "object", "properties": {"path": {"type": "string"}}},
            },
            "count": {"type": "number", "optional": True, "min": 1},
        }
        made.configure(made.tool("strict", f"touch {marker}", inputSchema=schema))
        for arguments, words in (
            ({}, "files: is required"),
            ({"files": [{}]}, "files[0].path: is required"),
            ({"files": [{"path": 5}]}, 'files[0].path: 5 is not of type "string"'),
            ({"files": [], "count": 0}, "count: 0 is less than the minimum of 1"),
            ({"files": 1, "count": "x"}, "count:"),
        ):
            result = await run(made, "strict", json.loads(json.dumps(arguments)))
            assert result.is_error
            assert words in result.text
        assert not marker.exists()


async def test_an_output_schema_makes_structured_content_or_an_error() -> None:
    async with agent() as made:
        schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
        made.configure(
            made.tool("good", "echo '{\"n\": 1}'", outputSchema=schema),
            made.tool("text", "echo hello", outputSchema=schema),
            made.tool("wrong", 'echo \'{"n": "x"}\'', outputSchema=schema),
        )
        good = await run(made, "good")
        assert (good.structured, good.has_structured, good.text) == ({"n": 1}, True, '{"n": 1}')
        assert "did not answer with JSON" in (await run(made, "text")).text
        wrong = await run(made, "wrong")
        assert wrong.is_error
        assert "n:" in wrong.text


async def test_progress_lines_are_told_in_order_and_only_if_they_grow() -> None:
    async with agent() as made:
        lines = ['{"progress": 1}', "plain", '{"progress": 1}', '{"progress": 0}', '{"progress": "x"}']
        lines += ['{"progress": 2, "total": 4, "message": "two"}', "{broken"]
        made.configure(made.tool("steps", "".join(f"echo '{line}' >&2\n" for line in lines)))
        follower = Follower()

        await run(made, "steps", listener=follower)
        assert follower.seen == [Progress(1), Progress(2, 4, "two")]


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_limit_ends_the_whole_group(is_async: bool) -> None:
    async with agent() as made:
        pid_file = made.folder / "pid"
        limit = {"async": True, "timeout": 300} if is_async else {"timeoutMs": 300}
        made.configure(made.tool("stay", f"sleep 60 & echo $! > {pid_file}; wait", **limit))
        result = await run(made, "stay")
        assert result.is_error
        assert result.text == "Tool 'stay' ran longer than 0.3 s and was ended."
        await wait_until(gone(pid_file), what="the child's end", timeout_s=10)


async def test_cancelling_ends_the_whole_group() -> None:
    async with agent() as made:
        pid_file = made.folder / "pid"
        made.configure(made.tool("stay", f"sleep 60 & echo $! > {pid_file}; wait"))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run, made, "stay")
            await wait_until(holds(pid_file), what="the program", timeout_s=10)
            tasks.cancel_scope.cancel()
        await wait_until(gone(pid_file), what="the child's end", timeout_s=10)


async def test_output_without_end_is_cut() -> None:
    async with agent() as made:
        made.configure(made.tool("flood", "yes"))
        with anyio.fail_after(20):
            result = await run(made, "flood")
        assert result.is_error
        assert "more than it may" in result.text


async def test_a_megabyte_goes_in_and_comes_out() -> None:
    async with agent() as made:
        made.configure({"name": "cat", "command": "/bin/cat"})
        text = "x" * 1_500_000
        result = await run(made, "cat", {"text": text})
        assert json.loads(result.text)["input"]["text"] == text


async def test_a_program_that_reads_nothing_is_no_problem() -> None:
    async with agent() as made:
        made.configure(made.tool("deaf", "exec echo fine"))
        assert (await run(made, "deaf", {"text": "x" * 1_000_000})).text == "fine"


async def test_async_tools_run_side_by_side_up_to_their_number() -> None:
    async with agent() as made:
        started, go = made.folder / "started", made.folder / "go"
        script = f"echo x >> {started}; until [ -e {go} ]; do sleep 0.01; done"
        made.configure(made.tool("task", script, **{"async": True}), maxParallelTasks=2)
        async with await Channel.connect(made.socket_path) as channel:
            host = host_over(made, channel)

            async def two_run() -> bool:
                return started.exists() and len(started.read_text(encoding="ascii").split()) == 2

            async with anyio.create_task_group() as tasks:
                for _ in range(3):
                    tasks.start_soon(host.call, "task", {}, META)
                await wait_until(two_run, what="two tasks", timeout_s=10)
                await anyio.wait_all_tasks_blocked()
                assert len(started.read_text(encoding="ascii").split()) == 2
                go.touch()
        assert len(started.read_text(encoding="ascii").split()) == 3


KEPT = """
echo start >> starts
while IFS= read -r line; do
  case "$line" in
    *die*) echo gone >&2; exit 3;;
    *hang*) sleep 60;;
    *fail*) echo '{"error": "no luck"}';;
    *multi*) printf '"a\\\\nb"\\n';;
    *step*) echo '{"progress": 0.5}' >&2; echo stepped;;
    *) echo "pid $$";;
  esac
done
"""


async def test_a_kept_program_answers_many_calls_and_is_started_again_after_its_end() -> None:
    async with agent() as made:
        made.configure(made.tool("kept", KEPT, mode="persistent", timeoutMs=500))
        starts = made.folder / "starts"
        follower = Follower()

        async with await Channel.connect(made.socket_path) as channel:
            host = host_over(made, channel)

            async def ask(word: str) -> ToolResult:
                return await host.call("kept", {"word": word}, META, follower)

            first = await ask("hello")
            assert (await ask("hello")).text == first.text
            assert (await ask("multi")).text == "a\nb"
            assert (await ask("step")).text == "stepped"
            assert follower.seen == [Progress(0.5)]
            failed = await ask("fail")
            assert (failed.is_error, failed.text) == (True, "no luck")
            assert (await ask("hello")).text == first.text, "an error is an answer, not an end"
            crashed = await ask("die")
            assert (crashed.is_error, crashed.text) == (True, "gone")
            assert (await ask("hello")).text != first.text
            late = await ask("hang")
            assert late.is_error
            assert "did not answer within 0.5 s" in late.text
            assert (await ask("hello")).text.startswith("pid ")
            made.environment = {"NEW": "1"}
            before = len(starts.read_text(encoding="ascii").split())
            await ask("hello")
            assert len(starts.read_text(encoding="ascii").split()) == before + 1


async def test_calls_of_a_kept_program_take_turns() -> None:
    async with agent() as made:
        number_of = "n=${line##*'\"n\":'}; n=${n%%\\}*}"
        work = 'echo "{\\"progress\\": $n}" >&2; sleep 0.02; echo "$line"'
        made.configure(
            made.tool(
                "kept",
                f"echo start >> starts; while IFS= read -r line; do {number_of}; {work}; done",
                mode="persistent",
            )
        )
        answers: list[tuple[int, int, list[float]]] = []
        async with await Channel.connect(made.socket_path) as channel:
            host = host_over(made, channel)

            async def ask(number: int) -> None:
                follower = Follower()

                result = await host.call("kept", {"n": number}, META, follower)
                answers.append(
                    (number, json.loads(result.text)["input"]["n"], [each.progress for each in follower.seen])
                )

            async with anyio.create_task_group() as tasks:
                for number in range(8):
                    tasks.start_soon(ask, number)
            await host.close()
        assert sorted(answers) == [(number, number, [number]) for number in range(8)]
        assert (made.folder / "starts").read_text(encoding="ascii") == "start\n"


async def test_a_cancelled_call_does_not_leave_its_answer_to_the_next() -> None:
    async with agent() as made:
        slow = 'case "$line" in *slow*) touch seen; sleep 0.3;; esac'
        script = f'while IFS= read -r line; do {slow}; echo "$line"; done'
        made.configure(made.tool("kept", script, mode="persistent"))
        async with await Channel.connect(made.socket_path) as channel:
            host = host_over(made, channel)
            async with anyio.create_task_group() as tasks:
                slow_word: JsonObject = {"word": "slow"}
                tasks.start_soon(host.call, "kept", slow_word, META)
                await wait_until(there(made.folder / "seen"), what="the call", timeout_s=10)
                tasks.cancel_scope.cancel()
            result = await host.call("kept", {"word": "next"}, META)
        assert json.loads(result.text)["input"] == {"word": "next"}


async def test_unknown_tools_and_lost_agents_are_errors() -> None:
    async with agent() as made:
        started = made.folder / "started"
        made.configure(made.tool("stay", f"touch {started}; exec sleep 60"))
        with pytest.raises(NotFoundError):
            await run(made, "nothing")

        async def kill() -> None:
            await wait_until(there(started), what="the program", timeout_s=10)
            await made.kill()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(kill)
            with pytest.raises(PloinkyError) as seen:
                await run(made, "stay")
        assert seen.value.code == "CHANNEL_LOST"
