"""Assistants from the command line: made, asked, approved, scheduled, remembered."""

from __future__ import annotations

import pytest

from tests.cli.stage import Stage

pytestmark = pytest.mark.bubblewrap


def test_the_default_assistant_answers_and_its_memory_is_a_file(town: Stage) -> None:
    assert "/tools" in town.run("ask", "/help").out
    assert town.run("ask", "default", "/memory remember The tide turns at six").code == 0
    found = town.run("memory", "search", "tide", "--json").json
    assert "The tide turns at six" in found[0]["text"]
    name = found[0]["path"]
    assert "The tide turns at six" in (town.root / "assistants" / "default" / name).read_text("utf-8")
    assert "tide turns" in town.run("memory", "show", name).out


def test_notes_are_not_consolidated_without_a_model(town: Stage) -> None:
    town.run("ask", "/memory remember The tide turns at six")
    refused = town.run("memory", "consolidate", code=1)
    assert "No model is configured" in refused.err
    assert "ploinky model use" in refused.err


def test_what_comes_by_a_pipe_goes_with_the_question(town: Stage) -> None:
    assert "/tools" in town.run("ask", stdin="/help").out
    refused = town.run("ask", stdin="", code=2)
    assert "nothing to ask" in refused.err
    assert "'default' is an assistant" in town.run("ask", "default", code=2).err
    assert "no such assistant" in town.run("chat", "nobody", code=3).err


def test_a_risky_tool_ends_ask_with_four_and_is_asked_for_in_chat(town: Stage) -> None:
    refused = town.run("ask", '/call echo.say {"text": "hi"}', code=4)
    assert "echo.say" in refused.err
    talk = '/call echo.say {"text": "hello there"}\ny\n'
    assert "hello there" in town.run("chat", stdin=talk).out
    denied = town.run("chat", stdin='/call echo.say {"text": "again"}\nn\n')
    assert "denied" in denied.err


def test_assistants_are_made_shown_and_removed(town: Stage) -> None:
    town.run("assistant", "create", "helper", "--name", "Ada")
    ids = [row["id"] for row in town.run("assistant", "list", "--json").json]
    assert ids == ["default", "helper"]
    assert "Ada" in (town.root / "assistants" / "helper" / "IDENTITY.md").read_text("utf-8")
    assert town.run("--json", "assistant", "show", "helper").json["settings"]["name"] == "Ada"
    again = town.run("assistant", "create", "helper", code=2)
    assert "already" in again.err
    town.run("assistant", "delete", "helper", "--purge")
    assert not (town.root / "assistants" / "helper").exists()
    missing = town.run("assistant", "show", "helpr", code=3)
    assert "no assistant" in missing.err


def test_jobs_and_the_heartbeat_are_looked_after_from_here(town: Stage) -> None:
    town.run("cron", "add", "morning", "--cron", "0 9 * * *", "--time-zone", "Europe/Paris", "-m", "/help")
    job = town.run("cron", "list", "--json").json[0]
    assert job["nextAt"].endswith("Z")
    assert "done" in town.run("cron", "run", job["id"]).out
    assert town.run("cron", "history", "--json").json[0]["outcome"] == "done"
    town.run("cron", "remove", job["id"])
    assert "comments" in town.run("heartbeat", "run").out
    assert "nothing is done" in town.run("heartbeat", "show").out


def test_the_context_is_shown_with_the_size_of_each_part(town: Stage) -> None:
    shown = town.run("assistant", "context", "-m", "hello", "--json").json
    names = [part["name"] for part in shown["parts"]]
    assert {"rules", "substrate:AGENTS.md", "tools", "thread"} <= set(names)
    assert shown["messages"][-1]["text"] == "hello"
    assert "substrate:SOUL.md" in town.run("assistant", "context").out
