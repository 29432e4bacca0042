"""Names of tools where all agents are one server."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ploinky.router.naming import Naming, Target, Template, Urls, public_names

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


LITERALS = st.text("ab/.:", max_size=3)
VALUES = st.text("xyz09", min_size=1, max_size=5)


@given(st.text("ab:", min_size=1, max_size=4), st.lists(st.tuples(LITERALS, VALUES), min_size=1, max_size=5))
def test_what_a_template_makes_fits_it_whatever_stands_between_its_variables(
    first: str, parts: list[tuple[str, str]]
) -> None:
    text = first + "".join(f"{{v{number}}}{literal}" for number, (literal, _) in enumerate(parts))
    uri = first + "".join(value + literal for literal, value in parts)
    assert Template.parse(text).fits(uri)
    assert Urls({}, {text: Target("agent", text)}).find(uri) == Target("agent", uri)


@given(st.text("{}/?#&;+,*ab%.", max_size=20), st.text("{}/?#&ab%.", max_size=40))
def test_no_template_of_an_agent_and_no_uri_of_a_client_is_a_failure(text: str, uri: str) -> None:
    assert Template.parse(text).fits(uri) in (True, False)


def test_a_template_that_is_made_to_be_slow_is_not() -> None:
    template = Template.parse("a" + "{x}a" * 500)
    assert not template.fits("a" * 100_000 + "b")
