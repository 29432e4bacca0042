"""What goes wrong around a call: agents killed, silent, not ready; the gateway started anew."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from ploinky.base.errors import PloinkyError
from ploinky.base.waits import wait_until
from ploinky.router.router import Naming, RouterSettings
from ploinky.router.routes import AgentRoute
from ploinky.toolhost.sources import ConfigSource
from tests.router.official import stdio_bridge_client, text_of
from tests.router.stand import holds, open_stand

HELLO = "cat > /dev/null; echo hello"


async def test_an_agent_killed_in_a_call_is_a_clear_error_at_once_and_works_after_its_restart() -> None:
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        pid_file = alpha.folder / "pid"
        alpha.configure(
            alpha.tool("stay", f"echo $$ > {pid_file}; exec sleep 60"), alpha.tool("hello", HELLO)
        )
        await stand.look()
        client = stand.client()

        async def kill() -> None:
            await wait_until(holds(pid_file), what="the program", timeout_s=10)
            await alpha.kill()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(kill)
            with (
                anyio.fail_after(10),
                pytest.raises(PloinkyError, match="stopped while it worked") as seen,
            ):
                await client.call_tool("stay", {})
        assert seen.value.details["agent"] == "alpha"
        with pytest.raises(PloinkyError, match="cannot be reached"):
            await client.call_tool("hello", {})
        await alpha.start()
        stand.show()
        assert (await client.call_tool("hello", {})).text == "hello"


async def test_many_calls_on_one_agent_fail_together_and_harm_no_other() -> None:
    async with open_stand("alpha", "beta") as stand:
        alpha, beta = stand.agents["alpha"], stand.agents["beta"]
        pid_file = alpha.folder / "pid"
        alpha.configure(alpha.tool("stay", f"echo $$ >> {pid_file}; exec sleep 60"))
        beta.configure(beta.tool("hello", HELLO))
        await stand.look()
        failures: list[str] = []

        async def stay() -> None:
            try:
                await stand.client().call_tool("stay", {})
            except PloinkyError as error:
                failures.append(error.details["code"])

        async def all_started() -> bool:
            return pid_file.exists() and len(pid_file.read_text(encoding="ascii").split()) == 20

        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                for _ in range(20):
                    tasks.start_soon(stay)
                await wait_until(all_started, what="twenty programs", timeout_s=15)
                await alpha.kill()
                assert (await stand.client().call_tool("hello", {})).text == "hello"
        assert failures == ["CHANNEL_LOST"] * 20


async def test_an_agent_that_is_not_ready_leaves_the_list_and_says_why() -> None:
    async with open_stand("alpha", "beta") as stand:
        for agent in stand.agents.values():
            agent.configure(agent.tool("same", HELLO), agent.tool(f"of_{agent.key}", HELLO))
        await stand.look()
        client = stand.client()
        stand.show(alpha="its readiness probe fails")
        names = [tool.name for tool in await client.list_tools()]
        assert names == ["beta__same", "of_beta"], "a name does not change because another agent is away"
        with pytest.raises(PloinkyError, match="its readiness probe fails") as seen:
            await client.call_tool("of_alpha", {})
        assert seen.value.details["code"] == "AGENT_NOT_READY"
        stand.show()
        assert (await client.call_tool("of_alpha", {})).text == "hello"


async def test_an_agent_that_was_stopped_keeps_its_claim_on_names() -> None:
    async with open_stand("alpha", "beta") as stand:
        alpha, beta = stand.agents["alpha"], stand.agents["beta"]
        for agent in (alpha, beta):
            agent.configure(agent.tool("same", HELLO))
        await stand.look()
        nowhere = AgentRoute("alpha", Path("/nonexistent"), ready=False, reason="it is stopped")
        stand.table.replace([nowhere, beta.route()])
        assert stand.router is not None
        await stand.router.look()
        assert [tool.name for tool in await stand.client().list_tools()] == ["beta__same"]
        stand.table.replace([beta.route()])
        assert [tool.name for tool in await stand.client().list_tools()] == ["same"]


async def test_a_silent_agent_costs_the_others_nothing() -> None:
    settings = RouterSettings(agent_deadline_s=0.3)
    async with open_stand("alpha", "mute", settings=settings) as stand:
        alpha, mute = stand.agents["alpha"], stand.agents["mute"]
        alpha.configure(alpha.tool("hello", HELLO))
        mute.configure(mute.tool("never", HELLO))
        await stand.look()
        client = stand.client()
        assert mute.process is not None
        mute.process.send_signal(signal.SIGSTOP)
        try:
            async with anyio.create_task_group() as tasks:

                async def ask_mute() -> None:
                    with pytest.raises(PloinkyError):
                        await client.call_tool("never", {}, timeout_s=2)

                tasks.start_soon(ask_mute)
                began = time.monotonic()
                await client.list_tools()
                for _ in range(10):
                    assert (await client.call_tool("hello", {})).text == "hello"
                assert time.monotonic() - began < 1.5
        finally:
            os.kill(mute.process.pid, signal.SIGCONT)


async def test_a_broken_configuration_keeps_the_last_good_one_and_is_reported() -> None:
    async with open_stand("alpha", "beta") as stand:
        alpha, beta = stand.agents["alpha"], stand.agents["beta"]
        alpha.configure(alpha.tool("hello", HELLO))
        beta.configure(beta.tool("other", HELLO))
        await stand.look()
        alpha.config_file.write_text('{"tools": [\n{"name": 5}]}', encoding="utf-8")
        await stand.look()
        assert [tool.name for tool in await stand.client().list_tools()] == ["hello", "other"]
        assert stand.router is not None
        problem = stand.router.problems()["alpha"]
        assert "tools[0].name (line 2)" in problem
        alpha.configure(alpha.tool("mended", HELLO))
        await stand.look()
        assert stand.router.problems() == {}
        assert [tool.name for tool in await stand.client().list_tools()] == ["mended", "other"]


async def test_a_pipe_in_place_of_a_configuration_holds_nothing_up() -> None:
    async with open_stand("alpha", "beta") as stand:
        alpha, beta = stand.agents["alpha"], stand.agents["beta"]
        os.mkfifo(alpha.config_file)
        beta.configure(beta.tool("hello", HELLO))
        with anyio.fail_after(10):
            await stand.look()
            assert [tool.name for tool in await stand.client().list_tools()] == ["hello"]
        assert stand.router is not None
        assert "regular file" in stand.router.problems()["alpha"]


async def test_a_configuration_that_only_the_sandbox_sees_is_read_through_the_launcher() -> None:
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        alpha.configure(alpha.tool("inside", HELLO))
        route = alpha.route()
        source = ConfigSource(str(alpha.config_file))
        stand.table.replace([replace(route, config_sources=(source,))])
        assert stand.router is not None
        await stand.router.look()
        assert [tool.name for tool in await stand.client().list_tools()] == ["inside"]


async def test_a_session_client_behind_the_bridge_survives_a_new_gateway() -> None:
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        ran = alpha.folder / "ran"
        alpha.configure(alpha.tool("count", f"cat > /dev/null; echo once >> {ran}; echo counted"))
        await stand.look()
        async with stdio_bridge_client(stand, "legacy") as client:
            assert text_of(await client.call_tool("count")) == "counted"
            await stand.restart()
            with anyio.fail_after(20):
                assert text_of(await client.call_tool("count")) == "counted"
        assert ran.read_text(encoding="ascii").split() == ["once", "once"]


@pytest.mark.parametrize("naming", [Naming.PREFIX, Naming.AUTO])
async def test_names_follow_the_setting(naming: Naming) -> None:
    async with open_stand("alpha", settings=RouterSettings(naming=naming)) as stand:
        alpha = stand.agents["alpha"]
        alpha.configure(alpha.tool("hello", HELLO))
        await stand.look()
        expected = "alpha__hello" if naming is Naming.PREFIX else "hello"
        assert [tool.name for tool in await stand.client().list_tools()] == [expected]
        assert (await stand.client().call_tool(expected, {})).text == "hello"
