"""Entries of ``models``: read whole, faults named, keys never repeated."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from ploinky.providers.config import ModelConfig, Price

KEY = "sk-live-0123456789abcdef"


def test_the_entries_of_the_documentation_are_understood() -> None:
    local = ModelConfig.model_validate_json(
        '{"provider": "ollama", "ollamaModelName": "granite3.2", "baseURL": "http://127.0.0.1:11434/"}'
    )
    assert (local.ollama_model_name, local.base_url) == ("granite3.2", "http://127.0.0.1:11434")
    hosted = ModelConfig.model_validate_json(
        '{"provider": "openai-compatible", "baseURL": "https://x.test/v1", "openaiModelId": "m",'
        ' "apiKeyRef": "profile:openai-compatible", "fallbackModels": ["local"], "timeoutMs": 1500,'
        ' "price": {"input": 3, "output": 15}}'
    )
    assert (hosted.deadline_s, hosted.fallback_models) == (1.5, ("local",))
    reference = hosted.key_reference
    assert reference is not None
    assert (reference.place, reference.owner, reference.name) == ("profile", "openai-compatible", "apiKey")


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        ('{"provider": "ollama", "timeoutMs": "banana"}', "timeoutMs"),
        ('{"provider": "ollama", "timeoutMs": 0}', "timeoutMs"),
        ('{"provider": "ollama", "baseUrl": "http://x"}', "baseUrl"),
        ('{"provider": "ollama", "baseURL": "ftp://x"}', "baseURL"),
        ('{"provider": "ollama", "baseURL": "https://user:pw@x.test"}', "baseURL"),
        ('{"provider": "ollama", "apiKey": "x"}', "apiKey"),
        ('{"model": "x"}', "provider"),
    ],
)
def test_a_wrong_entry_names_its_key(entry: str, key: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ModelConfig.model_validate_json(entry)
    assert [error["loc"][0] for error in caught.value.errors()] == [key]


@pytest.mark.parametrize("key", ["apiKeyRef", "baseURL"])
def test_a_key_that_was_put_into_the_entry_is_not_repeated_in_the_error(key: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ModelConfig.model_validate({"provider": "openai-compatible", key: KEY})
    assert KEY not in str(caught.value)


def test_a_price_counts_cached_tokens_at_their_own_rate() -> None:
    price = Price(input=2.0, output=10.0, cached_input=0.5)
    assert price.cost(1_000_000, 100_000, 400_000) == pytest.approx(1.2 + 0.2 + 1.0)
    assert Price(input=2.0, output=0.0).cost(1000, 0, 500) == pytest.approx(0.002)
