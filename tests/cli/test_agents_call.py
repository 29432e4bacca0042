"""One agent calls another from inside its sandbox, as itself."""

from __future__ import annotations

import json
import signal

import pytest

from ploinky.operations.endpoint import find_endpoint
from ploinky.workspace.layout import runtime_folder
from tests.cli.stage import Stage, eventually

pytestmark = pytest.mark.bubblewrap
PROGRAM = """
import sys; sys.path.insert(0, "/Agent/client")
from ploinky_client import PloinkyError, call_tool, list_tools
print(call_tool("echo.mood").text, [tool["name"] for tool in list_tools("echo")])
try: call_tool("worker.anything")
except PloinkyError as error: print(error.code)
"""


def test_an_agent_calls_what_its_manifest_enables_and_nothing_else(stage: Stage) -> None:
    stage.run("start", "team")
    stage.run("start", "worker")
    inside = ("exec", "team", "--")
    assert stage.run(*inside, "/Agent/ploinky-call", "echo.mood").out == "cheerful\n"
    refused = stage.run(*inside, "/Agent/ploinky-call", "worker.anything", code=1)
    assert "'worker'" in refused.err
    asked = stage.run(*inside, "python3", "-c", PROGRAM).out.splitlines()
    assert asked[0].startswith("cheerful ['")
    assert asked[1] == "-32600"


NO_WAY = """
import os, urllib.request
try: urllib.request.urlopen(os.environ["PLOINKY_ROUTER_URL"] + "/healthz", timeout=5)
except OSError as error: print("no network")
"""
IN_THE_WAY = """
import os, pathlib
door = pathlib.Path(os.environ["PLOINKY_ROUTER_SOCKET"])
door.unlink()
door.symlink_to("/etc/hostname")
"""


def cut_off(stage: Stage, agent: str) -> None:
    """Take the agent's network away."""
    file = stage.layout.repo("crew") / agent / "manifest.json"
    manifest = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**manifest, "network": "none"}), encoding="utf-8")


def test_an_agent_without_a_network_calls_others_by_the_door_in_it(stage: Stage) -> None:
    cut_off(stage, "team")
    stage.run("start", "team")
    stage.run("start", "worker")
    inside = ("exec", "team", "--")
    assert stage.run(*inside, "python3", "-c", NO_WAY).out == "no network\n"
    eventually(
        lambda: stage.run(*inside, "/Agent/ploinky-call", "echo.mood", code=None).out == "cheerful\n",
        "the door",
    )
    refused = stage.run(*inside, "/Agent/ploinky-call", "worker.anything", code=1)
    assert "'worker'" in refused.err
    asked = stage.run(*inside, "python3", "-c", PROGRAM).out.splitlines()
    assert asked[0].startswith("cheerful ['")
    assert asked[1] == "-32600"
    forged = ("sh", "-c", "PLOINKY_AGENT_TOKEN=made-up /Agent/ploinky-call echo.mood")
    assert "cheerful" not in stage.run(*inside, *forged, code=1).out


def test_the_door_is_there_again_after_the_gateway_and_the_agent_were_and_goes_with_them(
    stage: Stage,
) -> None:
    cut_off(stage, "team")
    stage.run("start", "team")

    def answers() -> bool:
        asked = stage.run("exec", "team", "--", "/Agent/ploinky-call", "echo.mood", code=None)
        return asked.out == "cheerful\n"

    eventually(answers, "the door")
    before = stage.endpoint
    before.process.signal(signal.SIGKILL)
    eventually(lambda: find_endpoint(stage.layout) not in (None, before), "the next gateway")
    eventually(answers, "its door", timeout_s=40)
    stage.run("restart", "team")
    eventually(answers, "the door in the new sandbox", timeout_s=40)
    doors = list(runtime_folder(stage.layout, stage.environ).glob("*/r.sock"))
    assert len(doors) == 1  # only who has no network has one
    stage.run("shutdown")
    assert stage.leftovers() == []


def test_what_an_agent_puts_in_the_doors_place_is_not_followed(stage: Stage) -> None:
    cut_off(stage, "team")
    stage.run("start", "team")
    folder = runtime_folder(stage.layout, stage.environ)
    eventually(lambda: len(list(folder.glob("*/r.sock"))) == 1, "the door")
    bait = stage.root / "bait"
    bait.write_text("mine", encoding="utf-8")
    bait.chmod(0o600)
    stage.run("exec", "team", "--", "python3", "-c", IN_THE_WAY.replace("/etc/hostname", str(bait)))
    stage.run("restart", "router")
    asked = ("exec", "team", "--", "/Agent/ploinky-call", "echo.mood")
    eventually(lambda: stage.run(*asked, code=None).out == "cheerful\n", "the door", timeout_s=40)
    assert (bait.read_text(encoding="utf-8"), bait.stat().st_mode & 0o777) == ("mine", 0o600)
    stage.run(
        "exec", "team", "--", "sh", "-c", 'rm "$PLOINKY_ROUTER_SOCKET"; mkdir -p "$PLOINKY_ROUTER_SOCKET/x"'
    )
    stage.run("restart", "router")
    assert stage.run("call", "echo.mood").out == "cheerful\n"  # the others do not mind
