"""The quick look at the registry shows the same and loads nothing heavy."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from ploinky.base.errors import PloinkyError
from ploinky.workspace.layout import Layout
from ploinky.workspace.registry import BoundPort, Registry, RegistryEntry
from ploinky.workspace.states import AgentState, Desired
from ploinky.workspace.summary import PortSummary, read_summaries


def test_the_quick_look_shows_what_the_registry_holds(layout: Layout) -> None:
    ports = (BoundPort(container_port=7000, host_port=9000),)
    entry = RegistryEntry(
        agent_name="shell", repo_name="basic", alias="sh", desired=Desired.RUNNING, ports=ports
    )
    Registry(layout).put(entry.moved_to(AgentState.FAILED, "broke"))
    (shown,) = read_summaries(layout)
    assert (shown.key, shown.agent, shown.repo) == ("sh", "shell", "basic")
    assert (shown.state, shown.reason, shown.desired) == (AgentState.FAILED, "broke", Desired.RUNNING)
    assert shown.ports == (PortSummary(7000, 9000, "127.0.0.1"),)


def test_odd_fields_show_as_empty_but_a_torn_file_is_an_error(layout: Layout) -> None:
    layout.registry_file.write_text(json.dumps({"shell": {"repoName": "b", "state": 5, "ports": [1, {}]}}))
    (shown,) = read_summaries(layout)
    assert (shown.state, shown.ports) == (AgentState.ENABLED, ())
    layout.registry_file.write_text("{")
    with pytest.raises(PloinkyError, match="line 1, column 2"):
        read_summaries(layout)


@pytest.mark.parametrize("module", ["layout", "profiles", "summary", "states", "links", "structure"])
def test_what_every_command_imports_loads_no_pydantic(module: str) -> None:
    code = f"import sys, ploinky.workspace.{module}; print('pydantic' in sys.modules, 'anyio' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "False"]
