"""Memory found by what is meant, too: vectors by a real model server, made once, and no loss without it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ollama import AsyncClient

from ploinky.providers.config import ModelConfig
from ploinky.providers.embedding import Embeds
from ploinky.providers.errors import ProviderError
from ploinky.providers.ollama import OllamaProvider
from ploinky.providers.openai_compatible import OpenAiCompatibleProvider
from ploinky.providers.registry import ProviderContext, ProviderRegistry
from ploinky.workspace.layout import Layout
from tests.assistants.home import open_home
from tests.models.faulty import refusal, running_faulty
from tests.models.llama import MODEL, LlamaServer, running_llama
from tests.models.scripted_gguf import Script
from tests.models.witness import witnessed

NOTES = "# Day\n- The harbour master is Ada.\n"
OTHER = "# Day\n- 1234567890 + 42 = %%%\n"


@pytest.fixture(scope="module")
def llama() -> Iterator[LlamaServer]:
    with running_llama(Script(), embeddings=True) as server:
        yield server


NEAR = {"embeddings": "near"}


def models(url: str) -> dict[str, object]:
    return {"near": {"provider": "openai-compatible", "baseURL": url, "openaiModelId": MODEL}}


async def test_what_no_word_fits_is_found_by_its_vector(layout: Layout, llama: LlamaServer) -> None:
    async with open_home(layout, models=models(llama.openai_url), memory=NEAR) as home:
        book = home["default"].memory
        book.files.write("memory/2026-05-01.md", NOTES)
        book.files.write("memory/2026-05-02.md", OTHER)
        found = await book.search("harbuor mastre ada's", 1)  # no word of it stands there but one that is cut
        assert [hit.path for hit in found] == ["memory/2026-05-01.md"]
        assert book.remark is None
        assert book.facts()["embeddings"] == {"model": MODEL, "vectors": 2, "remark": None}
        home.configure(models=models(llama.openai_url))
        await home.household.reload()
        assert await book.search("harbuor mastre") == []  # off by default
        assert [hit.path for hit in await book.search("harbour")] == ["memory/2026-05-01.md"]


async def test_a_piece_is_embedded_once_and_forgotten_with_its_text(
    layout: Layout, llama: LlamaServer
) -> None:
    with witnessed(llama.url) as witness:
        async with open_home(layout, models=models(f"{witness.url}/v1"), memory=NEAR) as home:
            home.secrets["key"] = "sk-planted-0123456789"
            book = home["default"].memory
            book.files.write("memory/2026-05-01.md", NOTES + "- the key is sk-planted-0123456789\n")
            await book.search("harbour")
            await book.refresh(rebuild=True)
            await book.search("master")
            asked = [body for body in witness.asked if b"harbour master" in body]
            assert len(asked) == 1
            assert not any(b"sk-planted" in body for body in witness.asked)
            assert home["default"].spending.wire(home["default"].settings.budgets)["tokensToday"]
            book.files.write("memory/2026-05-01.md", OTHER)
            await book.search("harbour")
            facts = book.facts()["embeddings"]
            assert isinstance(facts, dict)
            assert facts["vectors"] == 1


async def test_without_the_model_words_are_found_and_the_fault_is_told(layout: Layout) -> None:
    with running_llama(Script(), embeddings=True) as server:
        async with open_home(layout, models=models(server.openai_url), memory=NEAR) as home:
            book = home["default"].memory
            book.files.write("memory/2026-05-01.md", NOTES)
            await book.search("harbour")
            server.die()
            assert [hit.path for hit in await book.search("harbour")] == ["memory/2026-05-01.md"]
            assert book.remark is not None
            assert "words only" in book.remark
            home.configure(memory={"embeddings": "nobody"})
            await home.household.reload()
            assert [hit.path for hit in await book.search("harbour")] == ["memory/2026-05-01.md"]
            assert "nobody" in (book.remark or "")


async def test_a_spent_budget_embeds_nothing(layout: Layout, llama: LlamaServer) -> None:
    limit = {"tokensPerDay": 10}
    async with open_home(layout, models=models(llama.openai_url), memory=NEAR, budgets=limit) as home:
        await home["default"].spending.add_turn("run", 10, 0.0)
        book = home["default"].memory
        book.files.write("memory/2026-05-01.md", NOTES)
        assert len(await book.search("harbour")) == 1
        assert "tokensPerDay" in (book.remark or "")


def provider(**entry: object) -> OllamaProvider | OpenAiCompatibleProvider:
    made = ProviderRegistry.installed().make(ModelConfig.model_validate(entry), ProviderContext("near"))
    assert isinstance(made, Embeds)
    assert isinstance(made, (OllamaProvider, OpenAiCompatibleProvider))
    return made


async def test_ollama_makes_vectors_by_its_own_route_as_its_own_client_reads_them() -> None:
    rows = [[0.6, 0.8, 0.0], [0.0, 1.0, 0.0]]
    answer = {"model": "nomic", "embeddings": rows, "total_duration": 14, "prompt_eval_count": 8}
    async with running_faulty(refusal(200, answer), refusal(200, answer)) as server:
        made = provider(provider="ollama", baseURL=server.url, ollamaModelName="nomic")
        done = await made.embed(["one", "two"])
        official = await AsyncClient(host=server.url).embed(model="nomic", input=["one", "two"])
        assert [list(vector) for vector in done.vectors] == official.embeddings == rows
        assert done.tokens == official.prompt_eval_count == 8
        ours, theirs = server.exchanges
        assert all(each.head.startswith("POST /api/embed ") for each in (ours, theirs))
        assert ours.body["input"] == theirs.body["input"] == ["one", "two"]
        await made.aclose()


@pytest.mark.parametrize(
    "answer",
    [
        {"data": [{"index": 0, "embedding": [1.0]}]},
        {"data": [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0, 2.0]}]},
        {"data": [{"index": 0, "embedding": ["x"]}, {"index": 1, "embedding": [True]}]},
        {"data": "banana"},
        {},
    ],
)
async def test_what_is_no_vector_for_each_text_is_malformed(answer: object) -> None:
    async with running_faulty(refusal(200, answer)) as server:
        made = provider(provider="openai-compatible", baseURL=server.url, openaiModelId="x")
        with pytest.raises(ProviderError) as fault:
            await made.embed(["one", "two"])
        await made.aclose()
        assert fault.value.code == "PROVIDER_MALFORMED"
