"""One agent calls another from inside its sandbox, as itself."""

from __future__ import annotations

import pytest

from tests.cli.stage import Stage

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
