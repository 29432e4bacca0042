"""Which source serves a name, and where aliases lead."""

from __future__ import annotations

import pytest

from ploinky.base.errors import PloinkyError
from ploinky.secrets.sources import SecretSources, SourceKind
from ploinky.secrets.store import DotSecrets
from ploinky.workspace.layout import Layout


def write(layout: Layout, name: str, text: str) -> None:
    (layout.root / name).write_text(text)


def test_the_order_is_environment_secrets_profile_file_env_file(layout: Layout) -> None:
    write(layout, ".env", "A=env\nB=env\nC=env\nD=env\n")
    write(layout, ".env.dev", "A=profile\nB=profile\nC=profile\n")
    write(layout, ".env.prod", "D=other profile\n")
    for name in ("A", "B"):
        DotSecrets(layout, {}).set(name, "secrets")
    sources = SecretSources(layout, {"A": "process"}, "dev")
    found = {name: sources.find(name) for name in "ABCDE"}
    assert {name: each.source for name, each in found.items() if each} == {
        "A": SourceKind.ENVIRONMENT,
        "B": SourceKind.SECRETS_FILE,
        "C": SourceKind.PROFILE_FILE,
        "D": SourceKind.ENV_FILE,
    }
    assert found["E"] is None
    assert sources.names() == ("A", "B", "C", "D")


def test_a_variable_set_to_nothing_is_set(layout: Layout) -> None:
    write(layout, ".env", "A=something\n")
    found = SecretSources(layout, {"A": ""}, None).find("A")
    assert found is not None
    assert found.value == ""


def test_an_alias_is_followed_through_all_sources(layout: Layout) -> None:
    write(layout, ".env", "A=$B\nC=value\n")
    DotSecrets(layout, {}).set("B", "$C")
    found = SecretSources(layout, {}, None).find("A")
    assert found is not None
    assert (found.value, found.source, found.chain) == ("value", SourceKind.ENV_FILE, ("A", "B", "C"))


@pytest.mark.parametrize(
    ("text", "chain"),
    [("A=$A\n", "A → A"), ("A=$B\nB=$C\nC=$B\n", "A → B → C → B"), ("A=$B\nB=$A\n", "A → B → A")],
)
def test_a_circle_is_an_error_that_shows_the_chain(layout: Layout, text: str, chain: str) -> None:
    write(layout, ".env", text)
    with pytest.raises(PloinkyError, match=chain) as caught:
        SecretSources(layout, {}, None).find("A")
    assert caught.value.code == "CIRCULAR_ALIAS"


def test_an_alias_of_nothing_is_not_set_and_says_so(layout: Layout) -> None:
    write(layout, ".env", "A=$B\nB=$GONE\n")
    sources = SecretSources(layout, {}, None)
    assert sources.find("A") is None
    assert sources.alias_chain("A") == ("A", "B", "GONE")


def test_a_profile_that_is_a_path_reads_no_file(layout: Layout) -> None:
    write(layout, "outside", "A=1\n")
    assert SecretSources(layout, {}, "x/../../outside").find("A") is None


def test_a_fault_in_a_file_tells_file_and_line(layout: Layout) -> None:
    write(layout, ".env.qa", "A=1\nhunter2hunter2\n")
    with pytest.raises(PloinkyError, match=r"\.env\.qa, line 2") as caught:
        SecretSources(layout, {}, "qa").find("B")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "kinds", "source"),
    [
        ({"GITHUB_ACTIONS": "true"}, {SourceKind.SECRETS_FILE}, "github_actions"),
        ({}, {SourceKind.SECRETS_FILE, SourceKind.ENVIRONMENT}, "local"),
        ({}, {SourceKind.ENVIRONMENT}, "env"),
        ({}, set(), "env"),
    ],
)
def test_the_kind_of_source_is_named(
    layout: Layout, environ: dict[str, str], kinds: set[SourceKind], source: str
) -> None:
    assert SecretSources(layout, environ, None).served_by(frozenset(kinds)) == source


def test_what_is_found_shows_no_value(layout: Layout) -> None:
    assert "hunter2" not in repr(SecretSources(layout, {"A": "hunter2hunter2"}, None).find("A"))
