"""The built-in tools: files, memory, the web, programs in the sandbox, other assistants."""

from __future__ import annotations

import pytest

from ploinky.assistants.assistant import Assistant
from ploinky.assistants.runs import Run, RunKind, RunStatus
from ploinky.assistants.sessions import Session
from ploinky.assistants.toolkit import ToolOutcome, ToolUse
from ploinky.assistants.tools.run import refusal
from ploinky.assistants.tools.web import page_text
from ploinky.base.jsontypes import JsonObject
from ploinky.base.outbound import OutboundPolicy
from ploinky.base.waits import wait_until
from ploinky.workspace.layout import Layout
from tests.assistants.home import open_home


async def use(assistant: Assistant, name: str, **arguments: object) -> ToolOutcome:
    async def on_progress(message: str, fraction: float | None) -> None:
        return

    spec = assistant.toolbox.find(name)
    assert spec is not None
    run = Run("run", Session("s"), RunKind.USER, RunStatus.RUNNING, "now")
    given: JsonObject = dict(arguments)  # type: ignore[arg-type]
    return await assistant.toolbox.call(spec, given, ToolUse(run, on_progress))


@pytest.mark.bubblewrap
async def test_a_program_sees_the_workspace_and_nothing_else(layout: Layout) -> None:
    async with open_home(layout) as home:
        assistant = home["default"]
        await use(assistant, "write_file", path="notes.txt", text="tide at six")
        seen = await use(assistant, "exec", argv=["cat", "notes.txt"])
        assert (seen.text, seen.is_error, seen.outside) == ("tide at six", False, True)
        await use(assistant, "exec", argv=["cp", "notes.txt", "copy.txt"])
        assert "copy.txt" in (await use(assistant, "list_files")).text
        outside = await use(assistant, "exec", argv=["cat", str(assistant.root / "SOUL.md")])
        assert outside.is_error
        code = "import socket; socket.create_connection(('1.1.1.1', 53), 2)"
        net = await use(assistant, "exec", argv=["python3", "-c", code])
        assert net.is_error
        slow = await use(assistant, "exec", argv=["sleep", "30"], timeout=1)
        assert "longer than 1 s" in slow.text


async def test_what_the_safety_rules_deny_is_refused_before_anybody_is_asked(layout: Layout) -> None:
    assert await refusal({"argv": ["ls", "-l"]}) is None
    denied = await refusal({"argv": ["sudo", "true"]})
    assert denied is not None
    assert "privilege" in denied
    async with open_home(layout) as home:
        answer = await home.talk('/call exec {"argv": ["sudo", "true"]}')
        assert "privilege" in answer
        assert not home["default"].approvals.recent()


async def test_a_program_needs_a_persons_word(layout: Layout) -> None:
    async with open_home(layout) as home:
        assistant = home["default"]
        run = await home.say('/call exec {"argv": ["true"]}')

        async def asked() -> bool:
            return bool(assistant.approvals.recent())

        await wait_until(asked, what="the request", timeout_s=20)
        asking = assistant.approvals.recent()[0]
        await assistant.approvals.resolve(asking.id, approve=False, by="me", reason="no")
        await assistant.wait_run(run.id, 20)
        assert "They said: no" in assistant.runs.text(run.id)


async def test_arguments_that_do_not_fit_are_told_and_nothing_runs(layout: Layout) -> None:
    async with open_home(layout) as home:
        for name, arguments in (
            ("read_file", {}),
            ("read_file", {"path": 7}),
            ("exec", {"argv": "rm"}),
            ("memory_search", {"query": "x", "limit": 0}),
            ("schedule", {"action": "explode"}),
        ):
            outcome = await use(home["default"], name, **arguments)
            assert outcome.is_error
            assert "do not fit" in outcome.text


async def test_the_web_is_public_addresses_only(layout: Layout) -> None:
    async with open_home(layout, fetching=OutboundPolicy(schemes=frozenset({"http", "https"}))) as home:
        for url in (
            "http://127.0.0.1:8080/",
            "http://169.254.169.254/latest",
            "http://[::1]/",
            "file:///etc/passwd",
        ):
            outcome = await use(home["default"], "web_fetch", url=url)
            assert outcome.is_error, url
            assert "REFUSED" in outcome.text, outcome.text


def test_a_page_is_read_as_text() -> None:
    head = "<html><head><title>t</title></head>"
    body = "<body><h1>One</h1><script>evil()</script><p>two &amp; three</p></body>"
    assert page_text(head + body) == "One\ntwo & three"


async def test_memory_is_files_and_its_edits_wait_for_a_person(layout: Layout) -> None:
    async with open_home(layout) as home:
        book = home["default"].memory
        await use(home["default"], "remember", text="The harbour master is called Ada.")
        assert "Ada" in (await use(home["default"], "memory_search", query="harbour master")).text
        await use(home["default"], "memory_write", text="# Memory\n- Ada is the harbour master.", why="tidy")
        proposal = book.proposals()[0]
        assert book.files.find("MEMORY.md") is None
        await book.settle(proposal.id, accept=True)
        assert "Ada" in (book.files.find("MEMORY.md") or "")
        stale = await book.propose("MEMORY.md", "other", "why")
        book.files.write("MEMORY.md", "a person wrote this meanwhile")
        with pytest.raises(Exception, match="changed since"):
            await book.settle(stale.id, accept=True)
        assert book.files.find("MEMORY.md") == "a person wrote this meanwhile"


async def test_the_index_follows_the_files_and_is_made_anew_at_will(layout: Layout) -> None:
    async with open_home(layout) as home:
        book = home["default"].memory
        book.files.write("memory/2026-05-01.md", "# Day\n- zebra crossing\n")
        assert [hit.path for hit in await book.search("zebra")] == ["memory/2026-05-01.md"]
        book.files.write("memory/2026-05-01.md", "# Day\n- nothing\n")
        assert await book.search("zebra") == []
        before = book.facts()
        await book.refresh(rebuild=True)
        assert book.facts() == before
        (home["default"].root / "memory" / "2026-05-01.md").unlink()
        assert await book.search("nothing") == []
        assert await book.search('"; DROP TABLE chunks; -- * NEAR(') == []


async def test_one_assistant_asks_another_after_a_persons_word(layout: Layout) -> None:
    for name in ("one", "two"):
        (layout.root / name).mkdir()
    profiles = [{"id": "one", "root": "one"}, {"id": "two", "root": "two"}]
    async with open_home(layout, profiles=profiles, tools={"trust": ["ask_assistant"]}) as home:
        answer = await home.talk('/call ask_assistant {"assistant": "two", "question": "/help"}', to="one")
        assert "/tools" in answer
        assert [facts.session.id for facts in home["two"].threads.sessions()] == ["assistant:one"]
        missing = await home.talk('/call ask_assistant {"assistant": "six", "question": "x"}', to="one")
        assert "no such assistant" in missing


async def test_a_folder_that_was_given_is_searched_and_ignore_files_count(layout: Layout) -> None:
    docs = layout.root / "docs"
    docs.mkdir()
    (docs / "a.md").write_text("the lighthouse keeper\n")
    (docs / "b.log").write_text("the lighthouse log\n")
    (docs / ".gitignore").write_text("*.log\n")
    async with open_home(layout, workspaces={"roots": [{"path": "docs"}]}) as home:
        hits = await home["default"].folders.search("lighthouse", 10)
        assert [hit.path for hit in hits] == ["docs/a.md"]
        read = await use(home["default"], "read_file", path="a.md", folder="docs")
        assert read.text.startswith("the lighthouse")
        refused = await use(home["default"], "write_file", path="a.md", folder="docs", text="x")
        assert "READ_ONLY" in refused.text
