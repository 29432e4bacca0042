"""Names that become parts of paths are narrow; guesses help."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ploinky.base.errors import UsageError
from ploinky.base.names import closest, is_env_name, is_name, require_name


@pytest.mark.parametrize("text", ["a", "node-dev", "A.b_c-9", "x" * 64])
def test_ordinary_names_are_names(text: str) -> None:
    assert require_name(text, what="an agent") == text


@pytest.mark.parametrize(
    "text", ["", ".", "..", ".hidden", "-option", "a/b", "a..b", "a b", "ü", "a\n", "a\0", "x" * 65]
)
def test_what_could_be_a_path_or_an_option_is_no_name(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        require_name(text, what="an agent")
    assert caught.value.code == "BAD_NAME"
    assert "an agent" in caught.value.message


@given(st.text(max_size=70))
def test_a_name_is_never_more_than_one_part_of_a_path(text: str) -> None:
    if is_name(text):
        assert "/" not in text
        assert text not in (".", "..")
        assert text.isascii()


def test_names_of_variables_are_the_portable_ones() -> None:
    assert [text for text in ("A", "_x1", "1A", "A-B", "", "A=B", "É") if is_env_name(text)] == ["A", "_x1"]


def test_the_nearest_choice_is_found_and_nothing_when_none_is_near() -> None:
    assert closest("explorr", ["explorer", "shell"]) == "explorer"
    assert closest("postgres", ["explorer", "shell"]) is None
