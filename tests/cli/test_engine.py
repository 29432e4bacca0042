"""The same commands on a container engine: an image, a network of its own, and the router from inside."""

from __future__ import annotations

import json
import subprocess

import pytest

from ploinky.runtimes.spec import LABEL_WORKSPACE
from tests import engines
from tests.cli.stage import Stage, eventually


def podman(*words: str) -> str:
    done = subprocess.run(["podman", *words], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


@pytest.mark.podman
@pytest.mark.parametrize("words", [("shutdown",), ("destroy", "--yes")])
def test_a_network_that_a_killed_start_left_is_removed(stage: Stage, words: tuple[str, ...]) -> None:
    reason = engines.missing_engine("podman")
    if reason is not None:
        engines.absent("podman", reason)
    label = f"{LABEL_WORKSPACE}={stage.layout.id}"
    podman("network", "create", "--label", label, f"ploinky_{stage.layout.id}")
    stage.run("--runtime", "podman", *words)
    assert podman("network", "ls", "--quiet", "--filter", f"label={label}") == ""


@pytest.mark.podman
def test_an_agent_in_a_container_answers_and_reaches_the_router(stage: Stage) -> None:
    reason = engines.missing_engine("podman")
    if reason is not None:
        engines.absent("podman", reason)
    folder = stage.layout.repo("crew") / "echo"
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["container"] = engines.image("podman")
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    stage.run("--runtime", "podman", "start", "echo")
    row = stage.run("status", "--json").json["agents"][0]
    assert (row["state"], row["health"], row["runtime"]) == ("RUNNING", "ready", "podman")
    assert stage.run("call", "echo.mood").out == "cheerful\n"
    asked = 'wget -qO- "http://$ROUTER_HOST:$PLOINKY_ROUTER_PORT/healthz"'
    assert stage.run("exec", "echo", "--", "sh", "-c", asked).out
    asker = stage.layout.repo("crew") / "asker"
    asker.mkdir()
    manifest = {"container": engines.image("podman"), "enable": ["echo"]}
    (asker / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    stage.run("--runtime", "podman", "start", "asker")
    assert stage.run("exec", "asker", "--", "/Agent/ploinky-call", "echo.mood").out == "cheerful\n"
    lonely = stage.layout.repo("crew") / "lonely"
    lonely.mkdir()
    (lonely / "manifest.json").write_text(json.dumps({**manifest, "network": "none"}), encoding="utf-8")
    stage.run("--runtime", "podman", "start", "lonely")
    assert not stage.run("exec", "lonely", "--", "sh", "-c", asked, code=None).out
    by_door = ("exec", "lonely", "--", "/Agent/ploinky-call", "echo.mood")
    eventually(lambda: stage.run(*by_door, code=None).out == "cheerful\n", "the door")
    stage.run("shutdown")
    assert stage.run("status", "--json").json["agents"][0]["state"] in ("ENABLED", "STOPPED")
