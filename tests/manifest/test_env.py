"""The env grammar: every form, whole values, and wildcards that never pass a key on."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ploinky.base.errors import UsageError
from ploinky.manifest.env import (
    is_pattern,
    is_withheld,
    looks_like_key,
    parse_env,
    wildcard_covers,
    wildcard_matches,
)
from ploinky.manifest.values import EnvEntry

PROPERTY = settings(deadline=None, max_examples=150)
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,12}", fullmatch=True)
PATTERNS = st.from_regex(r"[A-Z_]{0,4}\*[A-Z_]{0,4}(\*[A-Z_]{0,3})?", fullmatch=True)
KEYS = ["API_KEY", "APIKEY", "TOKEN", "SECRET", "PASSWORD"]


def test_all_forms_of_a_list_may_be_mixed() -> None:
    spec = [
        "BARE",
        "GIVEN=a=b",
        "EMPTY=",
        "LLM_*",
        {"name": "IN", "varName": "OUT", "required": True, "value": "v"},
        {"name": "STRICT", "required": "true"},
        {"name": "TEAM_*"},
    ]
    assert parse_env(spec) == (
        EnvEntry("BARE", "BARE"),
        EnvEntry("GIVEN", "GIVEN", default="a=b"),
        EnvEntry("EMPTY", "EMPTY", default=""),
        EnvEntry("LLM_*", "LLM_*", is_pattern=True),
        EnvEntry("IN", "OUT", default="v", required=True),
        EnvEntry("STRICT", "STRICT", required=True),
        EnvEntry("TEAM_*", "TEAM_*", is_pattern=True),
    )


def test_in_a_map_a_text_is_a_literal_and_an_object_is_not() -> None:
    spec = {
        "A": "$B",
        "B": {"default": "x"},
        "C": {"varName": "D", "required": "false"},
        "E": None,
        "F_*": None,
    }
    assert parse_env(spec) == (
        EnvEntry("A", "A", literal="$B"),
        EnvEntry("B", "B", default="x"),
        EnvEntry("C", "D"),
        EnvEntry("E", "E"),
        EnvEntry("F_*", "F_*", is_pattern=True),
    )


@pytest.mark.parametrize(("value", "text"), [(8080, "8080"), (True, "true"), (False, "false"), (1.5, "1.5")])
def test_numbers_and_booleans_become_their_json_text(value: object, text: str) -> None:
    assert parse_env({"A": value, "B": {"default": value}}) == (
        EnvEntry("A", "A", literal=text),
        EnvEntry("B", "B", default=text),
    )


def test_no_env_is_no_variables() -> None:
    assert parse_env(None) == parse_env([]) == parse_env({}) == ()


def test_a_name_given_again_replaces_the_former_at_its_place() -> None:
    assert parse_env(["A=1", "B", "A=2"]) == (EnvEntry("A", "A", default="2"), EnvEntry("B", "B"))


@PROPERTY
@given(name=NAMES, value=st.text())
def test_any_value_survives(name: str, value: str) -> None:
    assert parse_env([f"{name}={value}"]) == (EnvEntry(name, name, default=value),)
    assert parse_env({name: value}) == (EnvEntry(name, name, literal=value),)


@pytest.mark.parametrize(
    "spec",
    [
        "A",
        7,
        [7],
        [None],
        ["1A"],
        ["A B=1"],
        ["=1"],
        [" A=1"],
        ["A-B"],
        [{}],
        [{"name": "A", "varName": "1"}],
        [{"name": "A", "varName": 1}],
        [{"name": "A", "required": "yes"}],
        [{"name": "A", "value": "1", "default": "2"}],
        [{"name": "A", "value": []}],
        [{"name": "A_*", "value": "1"}],
        [{"name": "A_*", "required": True}],
        {"A_*": "x"},
        {"1": "x"},
        {"A": []},
        ["1_*"],
    ],
    ids=str,
)
def test_what_is_no_env_is_refused(spec: object) -> None:
    with pytest.raises(UsageError) as caught:
        parse_env(spec)
    assert caught.value.code == "BAD_ENV"
    assert caught.value.hint


@pytest.mark.parametrize(
    "spec", [["BAD NAME=hunter2hunter2"], {"A_*": "hunter2hunter2"}, ["sk-" + "hunter2" * 9]]
)
def test_a_refusal_never_shows_a_value(spec: object) -> None:
    with pytest.raises(UsageError) as caught:
        parse_env(spec)
    assert "hunter2hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "name", "passed"),
    [
        ("LLM_MODEL_*", "LLM_MODEL_01", True),
        ("LLM_MODEL_*", "XLLM_MODEL_01", False),
        ("LLM_MODEL_*", "llm_model_01", False),
        ("OPENAI_*_URL", "OPENAI_BASE_URL", True),
        ("OPENAI_*_URL", "OPENAI_URL", False),
        ("OPENAI_*_URL", "OPENAI_BASE_URL_OLD", False),
        ("*_URL", "A_URL", True),
        ("*", "LANG", True),
        ("*", "A_API_KEY", False),
        ("A_*", "A_APIKEY", False),
        ("GITHUB_*", "GITHUB_TOKEN", False),
        ("GITHUB_*", "GITHUB_token", False),
        ("*", "CLIENT_SECRET_2", False),
        ("DB_*", "DB_PASSWORDS", False),
        ("*", "PLOINKY_ROUTER_URL", False),
        ("PLOINKY_*", "PLOINKY_ROUTER_URL", False),
        ("*", "PATH", False),
        ("*", "HOME", False),
        ("LD_*", "LD_PRELOAD", False),
        ("*", "PATHS", True),
    ],
)
def test_a_wildcard_passes_what_has_its_form_and_is_not_withheld(
    pattern: str, name: str, passed: bool
) -> None:
    assert wildcard_matches(pattern, name) is passed


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "DB_PASSWD", "SSH_PRIVATE_KEY", "gpg_passphrase"])
def test_names_of_other_keys_are_left_out_too(name: str) -> None:
    assert not wildcard_matches("*", name)


def test_what_a_wildcard_leaves_out_can_be_named() -> None:
    assert wildcard_covers("GITHUB_*", "GITHUB_TOKEN")
    assert is_withheld("GITHUB_TOKEN")
    assert looks_like_key("GITHUB_TOKEN")
    assert is_withheld("PATH")
    assert not looks_like_key("PATH")


@PROPERTY
@given(pattern=PATTERNS, before=st.text("ABC_", max_size=4), key=st.sampled_from(KEYS), after=st.text("ABC_"))
def test_no_wildcard_passes_a_name_that_looks_like_a_key(
    pattern: str, before: str, key: str, after: str
) -> None:
    for name in (before + key + after, (before + key + after).lower(), (before + key + after).title()):
        assert not wildcard_matches(pattern, name)


@PROPERTY
@given(pattern=PATTERNS, fillings=st.lists(st.text("AB_1", max_size=3), min_size=2, max_size=2))
def test_a_wildcard_covers_every_filling_of_its_stars(pattern: str, fillings: list[str]) -> None:
    name = pattern
    for filling in fillings:
        name = name.replace("*", filling, 1)
    assume("*" not in name)
    assert is_pattern(pattern)
    assert wildcard_covers(pattern, name)


@pytest.mark.parametrize("required", [[], {}, ["true"], "perhaps", 2])
def test_what_is_neither_true_nor_false_is_refused(required: object) -> None:
    with pytest.raises(UsageError, match="true or false"):
        parse_env([{"name": "KEY", "required": required}])
