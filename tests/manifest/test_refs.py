"""How ``enable`` names agents."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ploinky.base.errors import UsageError
from ploinky.manifest.refs import AgentRef, RunMode, parse_agent_ref

PROPERTY = settings(deadline=None, max_examples=150)
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,8}", fullmatch=True)
MODES = st.sampled_from([(RunMode.ISOLATED, None), (RunMode.GLOBAL, None)]) | st.tuples(
    st.just(RunMode.DEVEL), NAMES | NAMES.map(lambda name: f"../{name}")
)
REFS = st.builds(
    lambda agent, repo, mode, alias, no_wait: AgentRef(agent, repo, mode[0], mode[1], alias, no_wait),
    NAMES,
    st.none() | NAMES,
    MODES,
    st.none() | NAMES,
    st.booleans(),
)


@PROPERTY
@given(ref=REFS)
def test_a_reference_written_out_reads_back_the_same(ref: AgentRef) -> None:
    assert parse_agent_ref(str(ref)) == ref


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("notes", AgentRef("notes")),
        ("  basic/notes  ", AgentRef("notes", "basic")),
        ("explorer global", AgentRef("explorer", run_mode=RunMode.GLOBAL)),
        ("x devel repo as y no-wait", AgentRef("x", None, RunMode.DEVEL, "repo", "y", no_wait=True)),
        ("x no-wait as y global", AgentRef("x", None, RunMode.GLOBAL, None, "y", no_wait=True)),
        ("x devel ./here/there", AgentRef("x", None, RunMode.DEVEL, "./here/there")),
        ("global", AgentRef("global")),
    ],
)
def test_each_form_reads_as_its_meaning(text: str, ref: AgentRef) -> None:
    assert parse_agent_ref(text) == ref


def test_the_key_is_the_alias_or_else_the_name() -> None:
    assert parse_agent_ref("basic/x as y").key == "y"
    assert parse_agent_ref("basic/x").key == "x"


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "a/b/c", "/a", "a/", "../a", "a..b", "a b", "a globl", "a as", "a as ../b", "a as b as c",
        "a devel", "a devel ..", "a global devel r", "a global global", "a no-wait no-wait", "-a", "a\0b",
        "é",
    ],
)  # fmt: skip
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_agent_ref(text)
    assert caught.value.code == "BAD_AGENT_REF"


def test_a_mistyped_word_gets_a_suggestion() -> None:
    with pytest.raises(UsageError, match="did you mean 'global'"):
        parse_agent_ref("a globl")
