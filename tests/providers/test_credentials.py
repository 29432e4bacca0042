"""Keys come from where ``apiKeyRef`` says, when they are needed, and are told to nobody."""

from __future__ import annotations

import pytest

from ploinky.providers.credentials import CredentialStore, Keyring, read_key_reference
from ploinky.providers.errors import ProviderCode, ProviderError

KEY = "sk-live-0123456789abcdef"


class Kept:
    """A store with fixed contents."""

    def __init__(self, values: dict[tuple[tuple[str, ...], str], str]) -> None:
        self._values = values

    def get(self, scope: tuple[str, ...], name: str) -> str | None:
        return self._values.get((scope, name))


STORE: CredentialStore = Kept(
    {
        (("assistant", "main", "provider", "anthropic"), "apiKey"): f" {KEY}\n",
        (("assistant", "main", "provider", "anthropic"), "second"): "other-key-value",
        (("workspace",), "shared"): "workspace-key",
    }
)


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("env:MODEL_KEY", "from-environment"),
        ("profile:anthropic", KEY),
        ("profile:anthropic.second", "other-key-value"),
        ("workspace:shared", "workspace-key"),
    ],
)
def test_a_key_is_found_where_the_reference_says(reference: str, expected: str) -> None:
    keys = Keyring(STORE, {"MODEL_KEY": "from-environment"}, "main")
    assert keys.require(read_key_reference(reference)) == expected


@pytest.mark.parametrize(
    "reference", ["env:NOT_THERE", "profile:anthropic.third", "profile:openai-compatible", "workspace:none"]
)
def test_a_missing_key_is_an_error_that_names_the_place_and_what_to_do(reference: str) -> None:
    with pytest.raises(ProviderError) as caught:
        Keyring(STORE, {}, "main").require(read_key_reference(reference))
    assert caught.value.code == ProviderCode.NO_KEY
    assert read_key_reference(reference).place in caught.value.message
    assert caught.value.hint


def test_one_assistant_does_not_get_the_key_of_another() -> None:
    for assistant in ("other", None):
        assert Keyring(STORE, {}, assistant).find(read_key_reference("profile:anthropic")) is None


@pytest.mark.parametrize(
    "text", [KEY, "env:", "env:A B", "file:/etc/passwd", "profile:", "profile:a.b.c", ""]
)
def test_a_reference_that_is_none_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="env:NAME") as caught:
        read_key_reference(text)
    assert KEY not in str(caught.value)


def test_a_key_that_would_break_the_header_is_refused_and_not_shown() -> None:
    keys = Keyring(None, {"K": "abc\r\nX-Other: 1"})
    with pytest.raises(ProviderError) as caught:
        keys.require(read_key_reference("env:K"))
    assert "X-Other" not in str(caught.value)


def test_no_repr_shows_a_key() -> None:
    assert KEY not in repr(Keyring(STORE, {"K": KEY}, "main"))
