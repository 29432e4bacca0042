"""Starting, stopping and looking inside, by the real command on bubblewrap."""

from __future__ import annotations

import json
import signal
import socket

import pytest

from ploinky.operations.ports import free_port
from tests.cli.stage import Stage, eventually

pytestmark = pytest.mark.bubblewrap


def agents(stage: Stage) -> dict[str, dict[str, object]]:
    return {row["name"]: row for row in stage.run("status", "--json").json["agents"]}


def test_start_makes_an_agent_and_its_team_run_behind_the_router(stage: Stage) -> None:
    done = stage.run("start", "team")
    assert "echo: running" in done.err
    assert f"Router: {stage.endpoint.url}" in done.err
    found = agents(stage)
    assert {name: row["state"] for name, row in found.items()} == dict.fromkeys(
        ("echo", "second", "team"), "RUNNING"
    )
    assert stage.run("status", "--json").json["router"]["url"] == stage.endpoint.url
    stage.run("stop")
    assert {row["state"] for row in agents(stage).values()} == {"STOPPED"}
    stage.run("shutdown")
    assert stage.leftovers() == []


def test_what_images_mean_in_a_sandbox_is_told_once_when_sandboxes_are_made(stage: Stage) -> None:
    hint = "sandbox: images are hints only; agents use the programs of this machine\n"
    assert stage.run("start", "team").err.count(hint) == 1
    stage.run("stop")
    done = stage.run("start")
    assert "images" not in done.err


def test_start_as_json_prints_events_and_then_the_result(stage: Stage) -> None:
    lines = stage.run("--json", "start", "echo").lines
    assert all("kind" in line for line in lines)
    assert {"step_started", "step_done", "state_changed"} <= {line["kind"] for line in lines}
    assert lines[-1]["kind"] == "result"
    assert lines[-1]["value"]["agents"] == ["echo"]
    assert stage.run("--json", "stop").lines[-1]["value"]["router"] == "stopped"


def test_two_starts_at_once_make_one_gateway(stage: Stage) -> None:
    with stage.running("start", "echo") as first, stage.running("start", "worker") as second:
        assert first.wait(60) == 0, first.stderr.read() if first.stderr else ""
        assert second.wait(60) == 0, second.stderr.read() if second.stderr else ""
    assert len(stage.gateway_processes) == 2
    assert {row["state"] for row in agents(stage).values()} == {"RUNNING"}
    stage.run("shutdown")
    assert stage.leftovers() == []


def test_a_taken_port_is_told_with_its_owner_and_nothing_is_started(stage: Stage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        fault = stage.run("start", "echo", str(port), "--json", code=1).lines[-1]["error"]
    assert fault["code"] == "PORT_TAKEN"
    assert f"Port {port} is taken by python" in fault["message"]
    assert "(pid " in fault["message"]
    assert stage.gateway_processes == []


def test_the_environment_names_the_port_unless_words_or_configuration_do(stage: Stage) -> None:
    configured = json.loads(stage.layout.config_file.read_text(encoding="utf-8"))
    stage.layout.config_file.write_text(json.dumps({"runtime": "sandbox"}), encoding="utf-8")
    first, second, third = free_port("127.0.0.1"), free_port("127.0.0.1"), free_port("127.0.0.1")
    stage.run("start", "echo", environ={"PLOINKY_PORT": str(first)})
    assert stage.endpoint.port == first
    stage.run("start", environ={"PLOINKY_PORT": str(second)})
    assert stage.endpoint.port == first, "a gateway that runs stays where it is"
    stage.run("stop")
    stage.run("start")
    assert stage.endpoint.port == first, "it was there last"
    stage.run("stop")
    stage.run("start", str(third), environ={"PLOINKY_PORT": str(second)})
    assert stage.endpoint.port == third
    stage.run("stop")
    settings = {**configured, "gateway": {"port": first}}
    stage.layout.config_file.write_text(json.dumps(settings), encoding="utf-8")
    stage.run("start", environ={"PLOINKY_PORT": str(second)})
    assert stage.endpoint.port == first


def test_a_port_of_the_environment_that_is_none_is_told(stage: Stage) -> None:
    stage.layout.config_file.write_text(json.dumps({"runtime": "sandbox"}), encoding="utf-8")
    for text in ("http", "70000", "-1"):
        assert f"PLOINKY_PORT is '{text}'" in stage.run("start", environ={"PLOINKY_PORT": text}, code=2).err


def test_missing_secrets_stop_a_start_before_anything_is_made(stage: Stage) -> None:
    done = stage.run("start", "guarded", code=4)
    assert "Missing required secrets for profile 'dev'" in done.err
    assert "- DEV_API_KEY" in done.err
    assert stage.gateway_processes == []
    assert stage.leftovers() == []


def test_a_failing_install_is_shown_and_leaves_nothing_running(stage: Stage) -> None:
    done = stage.run("start", "hooked", code=1)
    assert "no luck" in done.err
    assert "install" in done.err
    assert agents(stage)["hooked"]["state"] == "FAILED"
    assert stage.gateway_processes == []
    stage.run("shutdown")
    assert stage.leftovers() == []


def test_a_failed_agent_lets_the_others_run_and_the_exit_code_tells(stage: Stage) -> None:
    stage.run("enable", "agent", "hooked")
    stage.run("enable", "agent", "echo")
    stage.run("start", code=1)
    assert {name: row["state"] for name, row in agents(stage).items()} == {
        "hooked": "FAILED",
        "echo": "RUNNING",
    }
    assert stage.run("call", "echo.mood").out == "cheerful\n"


def test_a_host_hook_needs_trust(stage: Stage) -> None:
    fault = stage.run("start", "trusting", "--json", code=4).lines[-1]["error"]
    assert "trust" in fault["hint"]
    done = stage.run("--trust", "start", "trusting")
    assert "on the host as trusting" in done.err
    stage.run("stop")
    stage.run("start", "trusting")


def test_stop_of_one_agent_leaves_the_others_and_the_router(stage: Stage) -> None:
    stage.run("start", "echo")
    stage.run("start", "worker")
    stage.run("stop", "worker")
    eventually(lambda: agents(stage)["worker"]["state"] == "STOPPED", "the worker to stop")
    assert agents(stage)["echo"]["state"] == "RUNNING"
    assert stage.run("call", "echo.mood").out == "cheerful\n"
    stage.run("restart", "worker")
    assert agents(stage)["worker"]["state"] == "RUNNING"


def test_restart_takes_up_a_new_profile_and_the_router_its_place(stage: Stage) -> None:
    stage.run("start", "echo")
    gateway = stage.endpoint
    stage.run("profile", "prod")
    assert stage.run("call", "echo.mood").out == "cheerful\n"
    stage.run("restart", "echo")
    assert stage.endpoint.process != gateway.process
    assert stage.endpoint.port == gateway.port
    eventually(lambda: stage.run("call", "echo.mood", code=None).out == "stern\n", "the new mood")


def test_a_restart_that_cannot_succeed_leaves_the_agent_running(stage: Stage) -> None:
    manifest = stage.layout.repo("crew") / "echo" / "manifest.json"
    stage.run("start", "echo")
    kept = manifest.read_text(encoding="utf-8")
    facts = json.loads(kept)
    facts["profiles"]["dev"] = {"secrets": ["NOWHERE_KEY"]}
    for faulty, code in ((json.dumps(facts), 4), ("{", 1)):
        manifest.write_text(faulty, encoding="utf-8")
        stage.run("restart", "echo", code=code)
        manifest.write_text(kept, encoding="utf-8")
        assert stage.run("call", "echo.mood").out == "cheerful\n"


def test_the_router_is_restarted_alone(stage: Stage) -> None:
    stage.run("start", "echo")
    before = stage.endpoint
    stage.run("restart", "router")
    assert stage.endpoint.process != before.process
    assert stage.endpoint.port == before.port
    assert stage.run("call", "echo.mood").out == "cheerful\n"


def test_a_secret_exported_after_the_gateway_began_reaches_its_tools(stage: Stage) -> None:
    manifest = stage.layout.repo("crew") / "echo" / "manifest.json"
    facts = json.loads(manifest.read_text(encoding="utf-8"))
    facts["profiles"]["dev"] = {"env": [{"name": "MOOD", "varName": "MOOD_KEY", "required": True}]}
    manifest.write_text(json.dumps(facts), encoding="utf-8")
    stage.run("start", "worker")
    stage.run("start", "echo", environ={"MOOD_KEY": "exported-mood"})
    assert stage.run("call", "echo.mood").out == "exported-mood\n"
    stage.run("start", "worker")
    assert stage.run("call", "echo.mood").out == "exported-mood\n"
    assert stage.run("start", code=4).err.count("Missing required secrets") == 1


def test_another_engine_is_refused_while_sandboxes_exist(stage: Stage) -> None:
    stage.run("start", "echo")
    fault = stage.run("--runtime", "docker", "start", "echo", "--json", code=2).lines[-1]["error"]
    assert fault["code"] == "ENGINE_IN_USE"


def test_a_start_that_made_no_sandbox_leaves_the_choice_of_the_engine(stage: Stage) -> None:
    fault = stage.run("start", "guarded", "--json", code=4).lines[-1]["error"]
    assert fault["code"] != "ENGINE_IN_USE"
    fault = stage.run("--runtime", "docker", "start", "guarded", "--json", code=None).lines[-1]["error"]
    assert fault["code"] != "ENGINE_IN_USE"


def test_destroy_leaves_nothing_but_the_data_of_agents(stage: Stage) -> None:
    stage.run("start", "echo")
    (stage.root / "agents" / "echo" / "note").write_text("mine", encoding="utf-8")
    stage.run("destroy", code=4)
    kept = stage.run("destroy", "--yes", "--json").lines[-1]["value"]["kept"]
    assert kept == ["agents", "assistants/default"]
    assert sorted(path.name for path in stage.root.iterdir()) == ["agents", "assistants"]
    assert not (stage.runtime / "ploinky" / stage.layout.id).exists()
    assert stage.leftovers() == []


def test_destroy_spares_work_that_exists_nowhere_else(stage: Stage) -> None:
    stage.run("new", "agent", "greeter")
    kept = stage.run("destroy", "--yes", "--json").lines[-1]["value"]["kept"]
    assert kept == [".ploinky/repos/local"]
    assert [path.name for path in stage.layout.control.iterdir()] == ["repos"]
    assert (stage.layout.repo("local") / "greeter" / "manifest.json").is_file()
    stage.run("destroy", "--yes", "--purge")
    assert list(stage.root.iterdir()) == []


def test_a_new_agent_starts_and_its_tool_answers(stage: Stage) -> None:
    stage.run("new", "agent", "greeter", "--template", "python")
    stage.run("start", "greeter")
    assert stage.run("call", "greeter.greet", "-p", "name=Ada").out == "Hello, Ada!\n"


def test_tools_are_listed_and_called_with_typed_arguments(town: Stage) -> None:
    assert {row["name"]: row["agent"] for row in town.run("tools", "--json").json} == {
        "say": "echo",
        "fail": "echo",
        "mood": "echo",
        "wait": "echo",
    }
    assert "Say it back." in town.run("tools", "echo").out
    said = json.loads(town.run("call", "echo.say", "-p", "text=7", "-p", "times=3").out)
    assert said["input"] == {"text": "7", "times": 3}
    given = json.loads(town.run("call", "echo.say", "--json", '{"text": "a"}', "-p", "times:=2").out)
    assert given["input"] == {"text": "a", "times": 2}
    piped = town.run("call", "say", "--arguments", "-", "--json", stdin='{"text": "p"}').json
    assert json.loads(piped["text"])["input"] == {"text": "p"}


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (("echo.fail",), 1, "TOOL_FAILED"),
        (("echo.sya",), 3, "TOOL_NOT_FOUND"),
        (("eco.say",), 3, "AGENT_NOT_ENABLED"),
        (("echo.say", "-p", "text"), 2, "BAD_ARGUMENT"),
        (("echo.say", "-p", "text=a", "-p", "times=many"), 2, "BAD_ARGUMENT"),
        (("echo.say", "--arguments", "["), 2, "BAD_ARGUMENT"),
    ],
)
def test_a_call_that_fails_says_why(words: tuple[str, ...], code: int, error: str, town: Stage) -> None:
    assert town.run("call", *words, "--json", code=code).json["error"]["code"] == error


def test_what_a_failed_tool_said_is_told(town: Stage) -> None:
    assert "it broke" in town.run("call", "echo.fail", code=1).err
    assert "text: is required" in town.run("call", "echo.say", code=1).err


def test_an_interrupted_call_exits_130_and_its_program_ends(town: Stage) -> None:
    with town.running("call", "echo.wait") as call:
        assert call.stderr is not None
        assert "half way" in call.stderr.readline()
        call.send_signal(signal.SIGINT)
        assert call.wait(20) == 130
        assert "Interrupted." in call.stderr.read()
    running = ("exec", "echo", "--", "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    eventually(lambda: "sleep 60" not in town.run(*running).out, "its program to end")


def test_exec_passes_input_output_and_exit_code(town: Stage) -> None:
    assert town.run("exec", "echo", "--", "cat", stdin="hello").out == "hello"
    done = town.run("exec", "echo", "sh", "-c", "echo out; echo err >&2; exit 9", code=9)
    assert (done.out, done.err) == ("out\n", "err\n")
    assert town.run("exec", "echo", "--", "sh", "-c", "kill -TERM $$", code=143).out == ""
    assert town.run("exec", "echo", "--", "pwd").out == "/code\n"
    assert "nothing-there" in town.run("exec", "echo", "--", "nothing-there", code=None).err


def test_cli_runs_the_agents_own_command_and_shell_reads_a_script(town: Stage) -> None:
    assert town.run("cli", "worker").out == "cli of worker\n"
    assert town.run("shell", "echo", stdin='echo "$MOOD $AGENT_NAME"\n').out == "cheerful echo\n"


def test_logs_show_and_follow_what_an_agent_prints(town: Stage) -> None:
    assert town.run("logs", "worker").out.startswith("worker is up\n")
    assert town.run("logs", "worker", "-n", "1").out.count("\n") == 1
    with town.running("logs", "tail", "worker") as tail:
        assert tail.stdout is not None
        lines = [tail.stdout.readline() for _ in range(3)]
        assert lines[-1] == "tick\n"
        tail.send_signal(signal.SIGINT)
        assert tail.wait(20) == 130
    assert "is no time" in town.run("logs", "worker", "--since", "yesterday", code=2).err
    assert town.run("logs", "worker", "--since", "2100-01-01T00:00:00Z").out == ""


def test_the_log_of_the_router_is_shown_and_followed_into_the_next_gateway(stage: Stage) -> None:
    assert stage.run("logs", "router", code=3).err.startswith("Error: The router never ran here.")
    stage.run("start", "echo")
    assert "listening on" in stage.run("logs", "router").out
    assert stage.run("logs", "router", "-n", "0").out == ""
    assert stage.run("logs", "router", "--since", "2100-01-01T00:00:00Z").out == ""
    for words in (("router", "-f"), ("tail", "router")):
        with stage.running("logs", *words, "-n", "1") as tail:
            assert tail.stdout is not None
            assert tail.stdout.readline()
            stage.run("restart", "router")
            while "listening on" not in (line := tail.stdout.readline()):
                assert line, "it ended"
            tail.send_signal(signal.SIGINT)
            assert tail.wait(20) == 130


def test_routes_tell_the_addresses(town: Stage) -> None:
    rows = town.run("list", "routes", "--json").json
    assert {row["agent"]: row["url"] for row in rows} == {
        "*": f"{town.endpoint.url}/mcp",
        "echo": f"{town.endpoint.url}/mcps/echo/mcp",
        "worker": f"{town.endpoint.url}/mcps/worker/mcp",
    }


def test_mcp_stdio_bridges_a_client(town: Stage) -> None:
    messages = [
        {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "initialize",
            "params": {
                "protocolVersion": "2025-06-18",
                "capabilities": {},
                "clientInfo": {"name": "t", "version": "1"},
            },
        },
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "mood", "arguments": {}}},
    ]
    done = town.run("mcp", "stdio", stdin="".join(json.dumps(each) + "\n" for each in messages))
    answers = {each["id"]: each["result"] for each in done.lines}
    assert answers[1]["protocolVersion"] == "2025-06-18"
    assert answers[2]["content"][0]["text"].strip() == "cheerful"


def test_a_start_interrupted_in_an_install_leaves_nothing_running(stage: Stage) -> None:
    with stage.running("start", "slow", "--json") as start:
        assert start.stdout is not None
        while "installing" not in start.stdout.readline():
            pass
        assert stage.gateway_processes != []
        start.send_signal(signal.SIGINT)
        assert start.wait(30) == 130
    assert stage.gateway_processes == []
    assert agents(stage)["slow"]["state"] in ("FAILED", "STOPPED", "ENABLED")
    stage.run("shutdown")
    assert stage.leftovers() == []


def test_an_interrupted_start_leaves_a_state_from_which_the_next_one_goes_on(stage: Stage) -> None:
    with stage.running("start", "team", "--json") as start:
        assert start.stdout is not None
        start.stdout.readline()
        start.send_signal(signal.SIGINT)
        assert start.wait(30) == 130
    stage.run("start", "team")
    assert agents(stage)["team"]["state"] == "RUNNING"
    stage.run("shutdown")
    assert stage.leftovers() == []
