"""Start waves: edges are respected, and what cannot be ordered is a circle that is shown."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ploinky.manifest.graph import CycleError, Edge, plan_waves

PROPERTY = settings(deadline=None, max_examples=200)
NODES = "abcdefgh"
GRAPHS = st.dictionaries(
    st.sampled_from(NODES),
    st.lists(st.builds(Edge, st.sampled_from(NODES), st.booleans()), max_size=4),
)


def blocks(graph: dict[str, list[Edge]], source: str, target: str) -> bool:
    return any(edge.blocking and edge.target == target for edge in graph[source])


@PROPERTY
@given(graph=GRAPHS)
def test_any_graph_becomes_waves_that_respect_it_or_a_real_circle(graph: dict[str, list[Edge]]) -> None:
    try:
        waves = plan_waves(graph)
    except CycleError as error:
        circle = error.circle
        assert len(set(circle)) == len(circle) > 0
        for source, target in zip(circle, (*circle[1:], circle[0]), strict=True):
            assert blocks(graph, source, target)
        return
    wave_of = {name: index for index, wave in enumerate(waves) for name in wave}
    assert sorted(name for wave in waves for name in wave) == sorted(graph)
    for source, edges in graph.items():
        before = [wave_of[edge.target] for edge in edges if edge.blocking and edge.target in graph]
        assert wave_of[source] == max(before, default=-1) + 1


def test_agents_without_dependencies_start_together_in_the_order_given() -> None:
    assert plan_waves({"b": [], "a": []}) == (("b", "a"),)


def test_a_diamond_is_three_waves() -> None:
    graph = {
        "top": [Edge("left"), Edge("right")],
        "left": [Edge("base")],
        "right": [Edge("base")],
        "base": [],
    }
    assert plan_waves(graph) == (("base",), ("left", "right"), ("top",))


def test_a_no_wait_edge_orders_nothing_and_makes_no_circle() -> None:
    assert plan_waves({"a": [Edge("b", blocking=False)], "b": [Edge("a")]}) == (("a",), ("b",))


def test_a_blocking_edge_wins_over_a_no_wait_edge_to_the_same_agent() -> None:
    graph = {"a": [Edge("b", blocking=False), Edge("b"), Edge("b", blocking=False)], "b": []}
    assert plan_waves(graph) == (("b",), ("a",))


def test_an_agent_outside_the_graph_is_taken_as_there() -> None:
    assert plan_waves({"a": [Edge("elsewhere")]}) == (("a",),)


def test_a_circle_is_shown_from_an_agent_back_to_it() -> None:
    with pytest.raises(CycleError) as caught:
        plan_waves({"free": [], "x": [Edge("a")], "a": [Edge("b")], "b": [Edge("c")], "c": [Edge("a")]})
    assert caught.value.code == "DEPENDENCY_CYCLE"
    assert caught.value.circle == ("a", "b", "c")
    assert "a → b → c → a" in caught.value.message


def test_an_agent_that_waits_for_itself_is_a_circle() -> None:
    with pytest.raises(CycleError, match="a → a"):
        plan_waves({"a": [Edge("a")]})


def test_a_long_chain_is_planned() -> None:
    graph = {str(n): [Edge(str(n + 1))] for n in range(1500)} | {"1500": []}
    assert plan_waves(graph)[0] == ("1500",)


def test_no_agents_are_no_waves() -> None:
    assert plan_waves({}) == ()
