"""Hooks: where they run, what they see, how they fail, and what they may not do."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import pytest

from ploinky.base.errors import EXIT_NEEDS_APPROVAL, PloinkyError
from ploinky.lifecycle.options import StartOptions
from ploinky.lifecycle.starting import start_agent
from ploinky.lifecycle.transcript import start_log
from ploinky.wire.events import StepDone
from ploinky.workspace.states import AgentState
from tests.lifecycle.stage import Stage, collect
from tests.lifecycle.test_crashes import processes_with

pytestmark = pytest.mark.bubblewrap

TRUSTING = StartOptions(trust=True)


async def failed(stage: Stage, key: str, options: StartOptions = TRUSTING) -> PloinkyError:
    with pytest.raises(PloinkyError) as caught:
        await collect(start_agent(stage.ctx, key, options))
    return caught.value


async def test_a_failing_hook_tells_all_that_is_needed_to_mend_it(stage: Stage) -> None:
    script = "#!/bin/sh\necho Installing dependencies...\necho 'npm ERR! code ENOENT' >&2\nexit 1\n"
    stage.add(
        "bad",
        {"profiles": {"qa": {"preinstall": "scripts/qa_preinstall.sh"}}},
        {"scripts/qa_preinstall.sh": script},
    )
    at_qa = stage.with_profile("qa")
    await at_qa.enable("bad")
    error = await failed(at_qa, "bad")
    assert error.code == "HOOK_FAILED"
    assert str(error) == (
        "Profile hook 'preinstall' failed for profile 'qa'\n"
        "\n"
        "  Script: scripts/qa_preinstall.sh\n"
        "  Exit code: 1\n"
        "\n"
        "  stdout:\n"
        "    Installing dependencies...\n"
        "\n"
        "  stderr:\n"
        "    npm ERR! code ENOENT\n"
        "The agent was not started. Fix the script and retry:\n"
        "    ploinky profile qa\n"
        "    ploinky start bad"
    )
    entry = at_qa.entry("bad")
    assert entry.state is AgentState.FAILED
    assert entry.state_reason == "Profile hook 'preinstall' failed for profile 'qa'"
    assert await stage.ctx.runtime.list(stage.layout.id) == []


@pytest.mark.parametrize(
    "hook",
    ["hosthook_preinstall", "hosthook_aftercreation", "install", "postinstall", "hosthook_postinstall"],
)
async def test_a_failing_hook_of_any_kind_leaves_no_sandbox(stage: Stage, hook: str) -> None:
    stage.add("bad", {hook: "scripts/fail.sh"}, {"scripts/fail.sh": "#!/bin/sh\nexit 7\n"})
    await stage.enable("bad")
    error = await failed(stage, "bad")
    assert f"'{hook}'" in error.message
    assert "Exit code: 7" in error.message
    assert await stage.ctx.runtime.list(stage.layout.id) == []
    assert stage.entry("bad").state is AgentState.FAILED


async def test_steps_of_a_hook_stop_at_the_first_that_fails_and_it_is_named(stage: Stage) -> None:
    steps = ['echo one >> "$WORKSPACE_PATH/marks"', "exit 4", 'echo three >> "$WORKSPACE_PATH/marks"']
    stage.add("steps", {"install": steps})
    await stage.enable("steps")
    error = await failed(stage, "steps")
    assert "exit 4 (step 2 of 3)" in error.message
    assert stage.work_file("steps", "marks").read_text() == "one\n"


@pytest.mark.parametrize("hook", ["install", "hosthook_aftercreation"])
async def test_a_hook_that_hangs_is_cut_with_all_it_started(stage: Stage, hook: str) -> None:
    seconds = f"8{os.getpid()}"
    script = f"#!/bin/sh\nsleep {seconds} &\nexec sleep {seconds}\n"
    stage.add("hangs", {hook: "scripts/hang.sh"}, {"scripts/hang.sh": script})
    await stage.enable("hangs")
    with anyio.fail_after(20):
        error = await failed(stage, "hangs", StartOptions(trust=True, hook_timeout_s=0.5))
    assert "time limit of 0.5 s" in error.message
    assert processes_with(seconds) == []


async def test_a_host_hook_needs_trust_once(stage: Stage) -> None:
    stage.add(
        "hosted", {"hosthook_preinstall": "scripts/touch.sh"}, {"scripts/touch.sh": "#!/bin/sh\ntouch ran\n"}
    )
    await stage.enable("hosted")
    error = await failed(stage, "hosted", StartOptions())
    assert (error.code, error.exit_code) == ("TRUST_REQUIRED", EXIT_NEEDS_APPROVAL)
    assert not (stage.folder("hosted") / "ran").exists()
    await collect(start_agent(stage.ctx, "hosted", TRUSTING))
    assert (stage.folder("hosted") / "ran").exists()
    await collect(start_agent(stage.ctx, "hosted", StartOptions(recreate=True)))


async def test_a_host_hook_that_is_no_script_of_the_repository_is_refused(stage: Stage) -> None:
    stage.add("shell", {"hosthook_preinstall": "touch /tmp/never"})
    await stage.enable("shell")
    assert (await failed(stage, "shell")).code == "HOST_HOOK_NOT_A_SCRIPT"


async def test_a_script_that_leads_out_by_a_link_is_refused(stage: Stage, tmp_path: Path) -> None:
    outside = tmp_path / "outside.sh"
    outside.write_text("#!/bin/sh\ntrue\n")
    folder = stage.add("linked", {"install": "scripts/out.sh"}, {"scripts/keep": ""})
    (folder / "scripts" / "out.sh").symlink_to(outside)
    await stage.enable("linked")
    assert (await failed(stage, "linked")).code == "PATH_ESCAPES"


async def test_a_missing_script_is_found_before_anything_is_made(stage: Stage) -> None:
    stage.add("missing", {"install": "true", "postinstall": "scripts/none.sh"})
    await stage.enable("missing")
    error = await failed(stage, "missing")
    assert error.code == "HOOK_SCRIPT_MISSING"
    assert "scripts/none.sh" in error.message
    assert not start_log(stage.layout, "missing").exists()


async def test_a_script_without_the_executable_bit_runs_by_sh(stage: Stage) -> None:
    text = 'echo "$0 $1" > "$WORKSPACE_PATH/ran"\n'
    stage.add("plain", {"install": "scripts/setup dev"}, {"scripts/setup": text})
    await stage.enable("plain")
    await collect(start_agent(stage.ctx, "plain"))
    assert stage.work_file("plain", "ran").read_text() == "/agent/scripts/setup dev\n"


async def test_hooks_see_their_variables_and_host_hooks_the_container_too(stage: Stage) -> None:
    show = '#!/bin/sh\npwd > "$WORKSPACE_PATH/$1.pwd"\nenv | sort > "$WORKSPACE_PATH/$1.env"\n'
    stage.add(
        "seen",
        {
            "ports": ["7321:7123"],
            "health": {"readiness": {"protocol": "none"}},
            "env": {"COLOUR": "blue"},
            "expose": {"SHADE": "dark", "TONE": "$HUE", "TINT": {"value": "$HUE"}},
            "hosthook_aftercreation": "scripts/show.sh host",
            "install": "scripts/show.sh inside",
        },
        {"scripts/show.sh": show},
    )
    entry = await stage.enable("seen")
    ambient = stage.with_environ(AMBIENT_SECRET="not for hooks", HUE="green")
    await collect(start_agent(ambient.ctx, "seen", TRUSTING))
    for where, folder in (("host", str(stage.folder("seen"))), ("inside", "/code")):
        assert stage.work_file("seen", f"{where}.pwd").read_text().strip() == folder
        lines = stage.work_file("seen", f"{where}.env").read_text().splitlines()
        for wanted in (
            "PLOINKY_PROFILE=dev",
            "PLOINKY_PROFILE_ENV=dev",
            "PLOINKY_AGENT_NAME=seen",
            "AGENT_NAME=seen",
            "PLOINKY_REPO_NAME=tests",
            f"PLOINKY_CWD={stage.layout.root}",
            f"WORKSPACE_PATH={stage.layout.work_dir('seen')}",
            "NODE_PATH=/code/node_modules",
            "AGENT_PORT=7123",
            "PORT=7123",
            "ROUTER_HOST=127.0.0.1",
            "PLOINKY_ROUTER_PORT=8080",
            "PLOINKY_ROUTER_URL=http://127.0.0.1:8080",
            "PLOINKY_SECRETS_SOURCE=env",
            "COLOUR=blue",
            "SHADE=dark",
            "TONE=green",
            "TINT=green",
        ):
            assert wanted in lines, (where, wanted)
        assert any(line.startswith("PLOINKY_AGENT_TOKEN=pla1.") for line in lines)
        assert not any("AMBIENT_SECRET" in line for line in lines)
        named = [line for line in lines if line.startswith("PLOINKY_CONTAINER_NAME=")]
        assert named == ([f"PLOINKY_CONTAINER_NAME={entry.container_name}"] if where == "host" else [])
        ids = [line for line in lines if line.startswith("PLOINKY_CONTAINER_ID=")]
        assert ids == (
            [f"PLOINKY_CONTAINER_ID={stage.entry('seen').container_id}"] if where == "host" else []
        )
        assert ids != ["PLOINKY_CONTAINER_ID="]


@pytest.mark.parametrize(
    ("when", "skipped"),
    [
        ({"env": {"COLOUR": "blue"}}, None),
        ({"env": {"COLOUR": "red"}}, "COLOUR has another value"),
        ({"exists": "scripts/setup.sh"}, None),
        ({"exists": "scripts/other.sh"}, "scripts/other.sh does not exist"),
        ({"exists": "/usr/bin/env"}, None),
        ({"exists": "/no/such/file"}, "/no/such/file does not exist"),
    ],
)
async def test_a_hook_with_a_condition_runs_only_if_it_holds(
    stage: Stage, when: dict[str, object], skipped: str | None
) -> None:
    stage.add(
        "maybe",
        {"env": {"COLOUR": "blue"}, "install": {"run": "scripts/setup.sh", "when": when}},
        {"scripts/setup.sh": "#!/bin/sh\ntrue\n"},
    )
    await stage.enable("maybe")
    events = await collect(start_agent(stage.ctx, "maybe"))
    done = next(event for event in events if isinstance(event, StepDone) and event.step == 9)
    assert done.skipped == skipped
