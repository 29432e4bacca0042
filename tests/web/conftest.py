"""One gateway with real agents, assistants and model servers, and one Chromium, for all browser tests."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from ploinky.base.jsontypes import JsonObject
from ploinky.gateway.pages import STATIC
from ploinky.repos.folders import copy_folder
from ploinky.workspace.settings_change import change_settings
from tests.cli.stage import Stage, eventually, give_back, make_stage
from tests.engines import absent
from tests.gateway.web import Web, web_of
from tests.models.llama import MODEL, LlamaServer, running_llama
from tests.models.scripted_gguf import Script
from tests.web.browser import AXE, PATIENCE_MS, Window, chromium_path, launch, open_window
from tests.web.spoken import ANSWER, GREETING, LOCK, SAID, SEARCH

Calls = Sequence[tuple[str, Mapping[str, object]]]
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="package")
def mate_model() -> Iterator[LlamaServer]:
    """A model that looks for the tide and tells the echo, then answers."""
    calls: Calls = [("files__search_text", SEARCH), ("echo__say", {"text": SAID})]
    with running_llama(Script(calls=calls, answer=ANSWER, greeting=GREETING), context=65536) as server:
        yield server


@pytest.fixture(scope="package")
def locked_model() -> Iterator[LlamaServer]:
    """A model whose server wants a key."""
    with running_llama(Script(greeting=GREETING, answer=GREETING), context=65536, key=LOCK) as server:
        yield server


@pytest.fixture(scope="package")
def harbour(
    tmp_path_factory: pytest.TempPathFactory, mate_model: LlamaServer, locked_model: LlamaServer
) -> Iterator[Stage]:
    """A workspace of a few files with ``files``, ``echo`` and what ``team`` needs running, and three
    assistants: one without a model, one whose model calls tools, one whose model's key is missing."""
    runtime = Path(tempfile.mkdtemp(prefix="pu-", dir="/tmp"))
    made = make_stage(tmp_path_factory.mktemp("harbour"), runtime)
    shutil.copytree(EXAMPLES / "tour" / "sample", made.root, dirs_exist_ok=True)
    models: JsonObject = {
        "mate": _entry(mate_model),
        "locked": {**_entry(locked_model), "apiKeyRef": "profile:openai-compatible", "retryBudgetMs": 0},
    }
    change_settings(made.layout, {"models": models})
    copy_folder(EXAMPLES, made.layout.repo("examples"), workspace=made.layout.root)
    made.run("enable", "agent", "examples/files", "global")
    made.run("enable", "agent", "crew/moody")
    made.run("start", "team")
    made.run("start", "files")
    web = web_of(made)
    eventually(
        lambda: {"mood", "search_text"} <= {tool["name"] for tool in web.call("tools.list")}, "the tools"
    )
    web.call("profile.create", id="mate", name="First mate", modelId="mate")
    web.call("profile.create", id="locked", name="Locked out", modelId="locked")
    web.call("profile.update", profileId="locked", settings={"tools": {"allow": []}})
    yield made
    give_back(made)
    shutil.rmtree(runtime)


def _entry(server: LlamaServer) -> JsonObject:
    return {"provider": "openai-compatible", "baseURL": server.openai_url, "openaiModelId": MODEL}


@pytest.fixture(scope="package")
def api(harbour: Stage) -> Web:
    """The same gateway by RPC, as a third client."""
    return web_of(harbour)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    if chromium_path() is None:
        absent("chromium", "Chromium is not installed")
    if not (STATIC / "index.html").is_file():
        absent("chromium", "the web UI is not built: make web")
    if not AXE.is_file():
        absent("chromium", "axe-core is not installed: tests/peers/install.sh")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        launched = launch(playwright)
        yield launched
        launched.close()


@pytest.fixture
def window(browser: Browser, harbour: Stage) -> Iterator[Window]:
    """A desktop browser; whatever its page complained of fails the test."""
    with open_window(browser, harbour) as opened:
        yield opened
        assert opened.faults == []
        assert opened.foreign == []
