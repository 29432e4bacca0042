"""Arguments as variables: what a shell script finds in its environment."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ploinky.base.jsontypes import JsonObject
from ploinky.base.names import is_env_name
from ploinky.toolhost.variables import LONGEST_VALUE, argument_variables

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)


def test_texts_numbers_and_truth_values_have_variables_and_nothing_else_has() -> None:
    arguments: JsonObject = {
        "text": "a b",
        "max-lines": 3,
        "Deep": True,
        "ratio": 0.5,
        "list": [1],
        "none": None,
    }
    assert argument_variables(arguments) == {
        "INPUT_TEXT": "a b",
        "INPUT_MAX_LINES": "3",
        "INPUT_DEEP": "true",
        "INPUT_RATIO": "0.5",
    }


def test_a_text_that_no_environment_can_hold_has_no_variable() -> None:
    assert argument_variables({"nul": "a\0b", "long": "x" * (LONGEST_VALUE + 1)}) == {}


@given(st.dictionaries(st.text(min_size=1), values))
def test_every_name_is_one_and_every_value_can_be_given(arguments: JsonObject) -> None:
    for name, value in argument_variables(arguments).items():
        assert is_env_name(name)
        assert name.startswith("INPUT_")
        assert "\0" not in value
