"""The command line's client against a real gateway."""

from __future__ import annotations

import anyio
import pytest

from ploinky.base.errors import DeadlineError, PloinkyError
from ploinky.base.waits import wait_until
from ploinky.router.gateway_client import GatewayAddress, GatewayClient, ToolProgress
from tests.router.stand import gone, holds, open_stand


async def test_tools_are_listed_with_their_agents_and_called_with_progress() -> None:
    async with open_stand("alpha", "beta") as stand:
        for agent in stand.agents.values():
            agent.configure(
                agent.tool("same", 'cat > /dev/null; echo \'{"progress": 1, "total": 2}\' >&2; echo ok')
            )
        await stand.look()
        client = stand.client()
        tools = await client.list_tools()
        assert [(tool.name, tool.agent) for tool in tools] == [
            ("alpha__same", "alpha"),
            ("beta__same", "beta"),
        ]
        assert [tool.name for tool in await client.list_tools("beta")] == ["same"]
        seen: list[ToolProgress] = []

        async def on_progress(progress: ToolProgress) -> None:
            seen.append(progress)

        answer = await client.call_tool("same", {}, agent="beta", on_progress=on_progress)
        assert (answer.text, answer.is_error) == ("ok", False)
        assert seen == [ToolProgress(1, 2, "")]


async def test_control_paths_answer_the_owner() -> None:
    async with open_stand("alpha") as stand:
        client = stand.client()
        assert await client.healthy()
        assert await client.status() == {"agents": ["alpha"]}
        assert await client.reconcile() == {"done": True}
        events = client.events()
        with anyio.fail_after(10):
            first = await anext(events)
        assert (first["kind"], first["message"]) == ("notice", "hello")
        await client.shutdown()
        assert stand.asked == ["reconcile", "shutdown"]
        with anyio.fail_after(10):
            assert [each async for each in events] == [], "the stream ends with the gateway"
            await stand.stopped.wait()
        assert not await client.healthy()


async def test_errors_have_codes() -> None:
    async with open_stand("alpha") as stand:
        with pytest.raises(PloinkyError) as refused:
            await stand.client("wrong").list_tools()
        assert refused.value.code == "GATEWAY_REFUSED"
        with pytest.raises(PloinkyError) as forbidden:
            await stand.client("agent:alpha").status()
        assert forbidden.value.code == "GATEWAY_REFUSED"
        with pytest.raises(PloinkyError) as unknown:
            await stand.client().call_tool("nothing", {})
        assert (unknown.value.code, unknown.value.details["mcp_code"]) == ("TOOL_CALL_FAILED", "-32602")
        with pytest.raises(PloinkyError) as missing:
            await stand.client().list_tools("nobody")
        assert "nobody" in missing.value.message
        port = stand.port
    with pytest.raises(PloinkyError) as nowhere:
        await GatewayClient(GatewayAddress(port, "x")).list_tools()
    assert nowhere.value.code == "GATEWAY_UNREACHABLE"


async def test_a_deadline_of_the_caller_ends_the_program() -> None:
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        pid_file = alpha.folder / "pid"
        alpha.configure(alpha.tool("stay", f"echo $$ > {pid_file}; exec sleep 60"))
        await stand.look()
        with pytest.raises(DeadlineError):
            await stand.client().call_tool("stay", {}, timeout_s=0.5)
        await wait_until(holds(pid_file), what="the program", timeout_s=10)
        await wait_until(gone(pid_file), what="the program's end", timeout_s=10)


def test_a_token_is_not_shown() -> None:
    assert "secret" not in repr(GatewayAddress(1, "secret"))
