"""Names of tools where all agents are one server."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ploinky.router.naming import Naming, Target, public_names

NAMES = st.text("ab_", min_size=1, max_size=6)
CONFIGURATIONS = st.dictionaries(NAMES, st.lists(NAMES, unique=True, max_size=4), max_size=4)


def test_a_name_is_plain_while_one_agent_alone_has_it_and_prefixed_for_both_when_shared() -> None:
    names = public_names({"x": ["one", "two"], "y": ["two", "three"]})
    assert list(names) == ["one", "x__two", "y__two", "three"]
    assert names["y__two"] == Target("y", "two")


def test_the_prefix_may_be_asked_for_always() -> None:
    assert list(public_names({"x": ["one"]}, Naming.PREFIX)) == ["x__one"]
    assert list(public_names({"x": ["one"]}, Naming.PLAIN)) == ["one"]


def test_a_plain_name_that_looks_like_a_prefixed_one_does_not_hide_it() -> None:
    names = public_names({"a": ["t"], "b": ["t"], "c": ["a__t"]})
    assert names["a__t"] == Target("a", "t")
    assert names["c__a__t"] == Target("c", "a__t")


@given(CONFIGURATIONS, st.sampled_from(Naming))
def test_every_tool_has_exactly_one_name(tools: dict[str, list[str]], naming: Naming) -> None:
    names = public_names(tools, naming)
    assert sorted(names.values()) == sorted(Target(a, t) for a, ts in tools.items() for t in ts)


@given(CONFIGURATIONS)
def test_names_do_not_depend_on_the_order_of_agents(tools: dict[str, list[str]]) -> None:
    turned = dict(reversed(list(tools.items())))
    assert public_names(tools) == public_names(turned)
