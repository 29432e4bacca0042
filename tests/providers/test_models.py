"""Entries by id, fallbacks between them, plug-ins, and what is found when one is tested."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import aclosing
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonValue
from ploinky.providers.config import OFFLINE, ModelConfig
from ploinky.providers.credentials import Keyring
from ploinky.providers.diagnosis import Diagnosis, diagnose
from ploinky.providers.errors import ProviderCode, ProviderError
from ploinky.providers.folding import read_turn
from ploinky.providers.models import Models
from ploinky.providers.protocol import FallingBack, TextDelta, TurnOptions, UserMessage
from ploinky.providers.registry import ProviderContext, ProviderRegistry
from ploinky.secrets.sealed import SealedStore
from ploinky.workspace.layout import Layout
from tests.models.faulty import events, last_piece, piece, refusal, running_faulty
from tests.models.llama import MODEL, LlamaServer, running_llama
from tests.models.scripted_gguf import Script

ASK = [UserMessage("hello")]
OPTIONS = TurnOptions(deadline_s=60, retry_budget_s=0)
KEY = "sk-planted-0a1b2c3d4e5f"
Entry = Mapping[str, JsonValue]


def models_of(keys: Keyring | None = None, /, **entries: Entry) -> Models:
    configs = {name: ModelConfig.model_validate(entry) for name, entry in entries.items()}
    return Models(configs, ProviderRegistry.installed(), ProviderContext("", keys or Keyring()))


def openai(url: str, **more: JsonValue) -> Entry:
    return {"provider": "openai-compatible", "baseURL": url, "openaiModelId": "m", **more}


def good(text: str = "Good morning.") -> object:
    return events(piece(content=text), last_piece(), "[DONE]")


@pytest.fixture(scope="module")
def llama() -> Iterator[LlamaServer]:
    with running_llama(Script(greeting="Ready."), key=KEY) as server:
        yield server


async def test_the_next_model_is_asked_while_nothing_was_said_and_the_first_again_next_time() -> None:
    first_again = events(piece(content="First."), last_piece(), "[DONE]")
    second = events(piece(content="Second."), last_piece(), "[DONE]")
    async with running_faulty(refusal(500, ""), first_again) as a, running_faulty(second) as b:
        models = models_of(
            a=openai(a.url, retryBudgetMs=0),
            b=openai(b.url),
            both={"provider": "fallback", "fallbackModels": ["a", "b"]},
        )
        provider = models.provider("both")
        async with aclosing(provider.stream_turn(ASK, (), OPTIONS)) as turn:
            told = [event async for event in turn]
        assert told[0] == FallingBack("a", ProviderCode.OVERLOADED, "b")
        assert TextDelta("Second.") in told
        fold = await read_turn(provider.stream_turn(ASK, (), OPTIONS))
        await models.aclose()
    assert fold.message.text == "First."
    assert fold.require_done().served.model_id == "a"


async def test_what_was_begun_is_not_given_to_another_model() -> None:
    async with running_faulty(events(piece(content="Fir"), end=False)) as a, running_faulty(good()) as b:  # type: ignore[arg-type]
        models = models_of(
            a=openai(a.url), b=openai(b.url), both={"provider": "fallback", "fallbackModels": ["a", "b"]}
        )
        with pytest.raises(ProviderError):
            await read_turn(models.provider("both").stream_turn(ASK, (), OPTIONS))
        await models.aclose()
        assert b.exchanges == []


@pytest.mark.parametrize(
    ("entries", "code"),
    [
        ({"x": {"provider": "fallback"}}, "MODEL_ENTRY_INVALID"),
        ({"x": {"provider": "fallback", "fallbackModels": ["x"]}}, "MODEL_LOOP"),
        ({"x": {"provider": "fallback", "fallbackModels": ["gone"]}}, "MODEL_UNKNOWN"),
        (
            {
                "x": {"provider": "fallback", "fallbackModels": ["off"]},
                "off": {"provider": "offline", "enabled": False},
            },
            "MODEL_DISABLED",
        ),
        ({"x": {"provider": "olama"}}, "PROVIDER_UNKNOWN"),
        ({"x": {"provider": "ollama"}}, "MODEL_ENTRY_INVALID"),
        ({"x": {"provider": "anthropic"}}, "MODEL_ENTRY_INVALID"),
        ({"x": {"provider": "openai-compatible"}}, "MODEL_ENTRY_INVALID"),
        ({"x": {"provider": "openai-compatible", "preset": "lmstudio"}}, "MODEL_ENTRY_INVALID"),
        ({"y": {"provider": "offline"}}, "MODEL_UNKNOWN"),
    ],
)
async def test_a_wrong_entry_says_what_is_wrong(entries: dict[str, Entry], code: str) -> None:
    models = models_of(**entries)
    with pytest.raises(PloinkyError) as caught:
        await read_turn(models.provider("x").stream_turn(ASK, (), OPTIONS))
    assert caught.value.code == code
    assert caught.value.hint
    await models.aclose()


def test_what_was_probably_meant_is_named() -> None:
    with pytest.raises(PloinkyError, match="ollama"):
        models_of(x={"provider": "olama"}).provider("x")
    with pytest.raises(PloinkyError, match="lm-studio"):
        models_of(x={"provider": "openai-compatible", "preset": "lmstudio"}).provider("x")


def test_a_plug_in_that_cannot_be_imported_harms_only_itself() -> None:
    registry = ProviderRegistry(
        {
            "torn": EntryPoint("torn", "no_such_module:KIND", "ploinky.providers"),
            "wrong": EntryPoint("wrong", "ploinky.providers.offline:NAME", "ploinky.providers"),
            "offline": EntryPoint("offline", "ploinky.providers.offline:KIND", "ploinky.providers"),
        }
    )
    for name in ("torn", "wrong"):
        with pytest.raises(PloinkyError) as caught:
            registry.kind(name)
        assert caught.value.code == "PROVIDER_BROKEN"
    assert registry.make(OFFLINE, ProviderContext("x"))


def test_the_built_in_providers_enter_by_the_same_door_as_others() -> None:
    names = set(ProviderRegistry.installed().names)
    assert names >= {
        *("acp", "anthropic", "cursor-agent-cli", "fallback", "offline", "ollama", "openai-compatible"),
    }


async def test_a_key_of_the_encrypted_store_reaches_the_server_and_nothing_else(
    llama: LlamaServer, layout: Layout
) -> None:
    environ = {
        "XDG_CONFIG_HOME": str(layout.root.parent / "config"),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
    }
    store = SealedStore(layout, environ)
    store.set(("assistant", "main", "provider", "openai-compatible"), "apiKey", KEY)
    keys = Keyring(store, {}, "main")
    entry = openai(llama.openai_url, apiKeyRef="profile:openai-compatible")
    models = models_of(keys, m=entry)
    fold = await read_turn(models.provider("m").stream_turn(ASK, (), OPTIONS))
    assert fold.message.text == "Ready."
    await models.aclose()
    other = models_of(Keyring(store, {}, "other"), m=entry)
    with pytest.raises(ProviderError) as caught:
        await read_turn(other.provider("m").stream_turn(ASK, (), OPTIONS))
    await other.aclose()
    assert caught.value.code == ProviderCode.NO_KEY
    for file in layout.root.rglob("*"):
        assert not file.is_file() or KEY.encode() not in file.read_bytes()


async def examined(entry: Entry, environ: Mapping[str, str]) -> Diagnosis:
    keys = Keyring(None, environ)
    models = models_of(keys, m=entry)
    try:
        return await diagnose(
            "m", models.require_entry("m"), lambda: models.provider("m"), keys, timeout_s=60
        )
    finally:
        await models.aclose()


async def test_a_model_that_works_is_found_to_work(llama: LlamaServer) -> None:
    entry = openai(llama.openai_url, openaiModelId=MODEL, apiKeyRef="env:K")
    found = await examined(entry, {"K": KEY})
    assert [(each.what, each.good) for each in found.findings] == [
        ("entry", True),
        ("key", True),
        ("model", True),
        ("call", True),
    ]
    assert found.good
    assert found.served_by == MODEL
    assert found.first_piece_s is not None
    assert found.whole_s is not None
    assert "Ready." in found.findings[-1].detail
    assert KEY not in repr(found)


@pytest.mark.parametrize(
    ("change", "environ", "what", "code"),
    [
        ({"provider": "none-such"}, {}, "entry", "PROVIDER_UNKNOWN"),
        ({"apiKeyRef": "env:K"}, {}, "key", ProviderCode.NO_KEY),
        ({"apiKeyRef": "env:K"}, {"K": "wrong-key-value"}, "model", ProviderCode.KEY_REFUSED),
        ({}, {}, "model", ProviderCode.NO_KEY),
        ({"baseURL": "http://127.0.0.1:9"}, {}, "model", ProviderCode.UNREACHABLE),
        ({"apiKeyRef": "env:K", "openaiModelId": "nope"}, {"K": KEY}, "model", ProviderCode.MODEL_NOT_FOUND),
    ],
)
async def test_what_is_wrong_with_a_model_is_found_and_ends_the_list(
    llama: LlamaServer, change: Entry, environ: Mapping[str, str], what: str, code: str
) -> None:
    entry = {**openai(llama.openai_url, openaiModelId=MODEL), **change}
    found = await examined(entry, environ)
    assert not found.good
    last = found.findings[-1]
    assert (last.what, last.code) == (what, code)
    assert last.hint
    assert "wrong-key-value" not in repr(found)


def test_a_providers_package_imports_no_http_client_before_it_is_used() -> None:
    import subprocess
    import sys

    program = (
        "import sys\n"
        "from ploinky.providers.registry import ProviderRegistry\n"
        "ProviderRegistry.installed().kind('ollama')\n"
        "sys.exit('aiohttp' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", program], check=False, cwd=Path(__file__).parents[2]).returncode
        == 0
    )


def test_the_page_on_writing_a_provider_shows_the_example_that_is_tested() -> None:
    root = Path(__file__).parents[2]
    page = (root / "docs" / "write-a-provider.md").read_text()
    for name in ("ploinky_pipe.py", "pyproject.toml"):
        assert (root / "examples" / "plugins" / "ploinky-pipe" / name).read_text() in page


def test_local_models_with_16_gb_are_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "providers.md").read_text()
    section = page.split("## Local models with 16 GB")[1]
    for part in ("maxContextTokens", "tools", "ollama show", "context.preview"):
        assert part in section
