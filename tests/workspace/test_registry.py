"""The registry keeps what it is given, keeps what it does not know, never overwrites what it cannot read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ploinky.base.errors import NotFoundError, PloinkyError
from ploinky.base.files import FileLock
from ploinky.manifest.refs import RunMode
from ploinky.workspace.layout import Layout
from ploinky.workspace.registry import HISTORY_KEPT, Registry, RegistryEntry
from ploinky.workspace.states import AgentState, Desired
from ploinky.workspace.structure import init_workspace

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,12}", fullmatch=True)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
ENTRIES = st.fixed_dictionaries(
    {"agentName": NAMES, "repoName": NAMES},
    optional={
        "alias": NAMES,
        "containerImage": TEXTS,
        "projectPath": TEXTS,
        "runMode": st.sampled_from(RunMode),
        "profile": NAMES,
        "state": st.sampled_from([each for each in AgentState if each is not AgentState.UNKNOWN]),
        "desired": st.sampled_from(Desired),
        "profileConfig": st.fixed_dictionaries(
            {"env": st.dictionaries(TEXTS, TEXTS, max_size=3), "secretsLoaded": st.lists(TEXTS, max_size=3)}
        ),
        "binds": st.lists(st.fixed_dictionaries({"source": TEXTS, "target": TEXTS, "ro": st.booleans()})),
        "ports": st.lists(st.fixed_dictionaries({"containerPort": st.integers(1, 65535)})),
        "order": st.integers(0, 100),
    },
).map(RegistryEntry.model_validate)


def entry(name: str = "shell", repo: str = "basic", **more: object) -> RegistryEntry:
    return RegistryEntry.model_validate({"agentName": name, "repoName": repo} | more)


def test_a_fresh_workspace_has_no_agents(layout: Layout) -> None:
    assert Registry(layout).read() == {}


@settings(max_examples=40)
@given(entries=st.lists(ENTRIES, max_size=4, unique_by=lambda each: each.key))
def test_entries_come_back_as_they_were_stored(
    tmp_path_factory: pytest.TempPathFactory, entries: list[RegistryEntry]
) -> None:
    registry = Registry(init_workspace(tmp_path_factory.mktemp("registry")))
    for each in entries:
        registry.put(each)
    assert list(registry.read().values()) == entries


@settings(max_examples=40)
@given(inside=st.dictionaries(TEXTS.map("x{}".format), JSON, max_size=3), beside=JSON)
def test_keys_that_are_not_known_survive_a_change(
    tmp_path_factory: pytest.TempPathFactory, inside: dict[str, object], beside: object
) -> None:
    layout = init_workspace(tmp_path_factory.mktemp("registry"))
    shell = {"agentName": "shell", "repoName": "basic", **inside}
    layout.registry_file.write_text(json.dumps({"_config": beside, "shell": shell}))
    Registry(layout).move("shell", AgentState.CREATING, "started")
    stored = json.loads(layout.registry_file.read_text())
    assert stored["_config"] == beside
    assert {name: stored["shell"][name] for name in inside} == inside
    assert stored["shell"]["state"] == "CREATING"


def test_the_file_has_the_names_that_the_specification_gives(layout: Layout) -> None:
    Registry(layout).put(entry(alias="sh", profileConfig={"secretsLoaded": ["KEY"]}))
    stored = json.loads(layout.registry_file.read_text())["sh"]
    assert stored["agentName"] == "shell"
    assert stored["profileConfig"] == {"env": {}, "secretsLoaded": ["KEY"]}
    assert {"containerImage", "containerName", "containerId", "createdAt", "projectPath", "runMode"} <= set(
        stored
    )


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"shell": {,}}', "line 1, column 12"),
        ('{\n"shell": ', "line 2, column 10"),
        ("", "line 1, column 1"),
        ("[]", "the top level must be an object"),
        ('{"shell": 5}', "shell: must be an object"),
        ('{"shell": {"repoName": "b", "state": "ASLEEP"}}', "shell.state"),
        ('{"shell": {"repoName": "b", "ports": [{"hostPort": "banana"}]}}', "shell.ports.0.containerPort"),
        ('{"shell": {"repoName": "../../etc"}}', "shell.repoName: must be a name"),
        (
            '{"x": {"agentName": "a", "repoName": "b"}, "a": {"repoName": "b", "alias": "a"}}',
            "a second entry",
        ),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_file_that_cannot_be_understood_stops_the_change_and_stays(
    layout: Layout, text: str, place: str
) -> None:
    layout.registry_file.write_text(text)
    with pytest.raises(PloinkyError) as caught:
        Registry(layout).put(entry())
    assert caught.value.code == "REGISTRY_INVALID"
    assert str(layout.registry_file) in caught.value.message
    assert place in caught.value.message
    assert layout.registry_file.read_text() == text


def test_a_change_that_fails_changes_nothing(layout: Layout) -> None:
    registry = Registry(layout)
    registry.put(entry())
    before = layout.registry_file.read_bytes()

    def change(entries: dict[str, RegistryEntry]) -> None:
        entries.clear()
        raise KeyError

    with pytest.raises(KeyError):
        registry.update(change)
    assert layout.registry_file.read_bytes() == before


def test_a_change_that_alters_nothing_does_not_touch_the_file(layout: Layout) -> None:
    registry = Registry(layout)
    registry.put(entry())
    before = layout.registry_file.stat().st_ino
    assert registry.update(len) == 1
    assert layout.registry_file.stat().st_ino == before


@pytest.mark.parametrize(
    "fields", [{"agentName": ""}, {"agentName": "a/b"}, {"alias": "../x"}, {"repoName": ".x"}]
)
def test_an_entry_with_a_name_that_could_be_a_path_cannot_be_made(fields: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="must be a name"):
        entry(**fields)


def test_an_agent_that_is_not_enabled_is_told_with_the_nearest_that_is(layout: Layout) -> None:
    registry = Registry(layout)
    registry.put(entry("explorer"))
    with pytest.raises(NotFoundError, match="Did you mean 'explorer'") as caught:
        registry.require("explorr")
    assert caught.value.code == "AGENT_NOT_ENABLED"
    with pytest.raises(NotFoundError):
        registry.move("shell", AgentState.CREATING)
    assert registry.get("shell") is None
    assert registry.require("explorer").repo_name == "basic"


def test_an_agent_that_is_removed_is_gone(layout: Layout) -> None:
    registry = Registry(layout)
    registry.put(entry())
    removed = registry.remove("shell")
    assert removed is not None
    assert removed.agent_name == "shell"
    assert registry.remove("shell") is None


def test_the_history_keeps_the_last_changes_with_their_reasons() -> None:
    moving = entry()
    for turn in range(HISTORY_KEPT):
        moving = moving.moved_to(AgentState.CREATING, f"start {turn}").moved_to(AgentState.FAILED, "broke")
    assert len(moving.history) == HISTORY_KEPT
    assert moving.history[-1].reason == moving.state_reason == "broke"
    assert moving.history[-2].reason == f"start {HISTORY_KEPT - 1}"
    assert moving.history[-1].at == moving.state_since


def test_staying_in_a_state_for_the_same_reason_is_no_change() -> None:
    failed = entry().moved_to(AgentState.FAILED, "broke")
    assert failed.moved_to(AgentState.FAILED, "broke") is failed
    assert len(failed.moved_to(AgentState.FAILED, "broke again").history) == 2


def test_a_step_that_the_table_does_not_have_is_refused(layout: Layout) -> None:
    registry = Registry(layout)
    registry.put(entry())
    with pytest.raises(PloinkyError, match="from ENABLED to RUNNING") as caught:
        registry.move("shell", AgentState.RUNNING)
    assert caught.value.code == "ILLEGAL_TRANSITION"
    assert registry.require("shell").state is AgentState.ENABLED


OLD_FORM = {
    "ploinky_basic_shell_a1b2c3d4": {
        "agentName": "shell",
        "repoName": "basic",
        "containerImage": "alpine",
        "type": "interactive",
        "config": {
            "binds": [{"source": "/a", "target": "/b"}],
            "env": [{"name": "X"}],
            "ports": [{"containerPort": 7000, "hostPort": 9000}],
        },
    },
    "_config": {"static": {"agent": "shell"}},
}


def test_the_older_file_is_read_while_there_is_no_new_one(layout: Layout) -> None:
    layout.old_registry_file.write_text(json.dumps(OLD_FORM))
    registry = Registry(layout)
    shell = registry.require("shell")
    assert shell.container_name == "ploinky_basic_shell_a1b2c3d4"
    assert shell.ports[0].host_port == 9000
    assert shell.binds[0].target == "/b"
    registry.put(entry("explorer"))
    assert sorted(registry.read()) == ["explorer", "shell"]
    assert json.loads(layout.old_registry_file.read_text()) == OLD_FORM
    assert json.loads(layout.registry_file.read_text())["_config"] == OLD_FORM["_config"]


def test_one_name_from_two_repositories_in_the_older_form_gets_an_alias(layout: Layout) -> None:
    both = {
        "c1": {"agentName": "shell", "repoName": "basic"},
        "c2": {"agentName": "shell", "repoName": "demo"},
    }
    layout.registry_file.write_text(json.dumps(both))
    assert sorted(Registry(layout).read()) == ["demo-shell", "shell"]


def test_what_a_killed_writer_left_is_removed_by_the_next_change(layout: Layout) -> None:
    left = layout.control / ".tmp-agents-x1y2"
    other = layout.control / ".tmp-config.json-x1y2"
    left.write_text("half")
    other.write_text("of another file")
    Registry(layout).put(entry())
    assert not left.exists()
    assert other.exists()


def test_a_registry_that_somebody_holds_runs_into_the_deadline(layout: Layout) -> None:
    with FileLock(layout.lock("registry")), pytest.raises(PloinkyError) as caught:
        Registry(layout, lock_timeout_s=0.05).put(entry())
    assert caught.value.code == "FILE_LOCKED"


def test_the_file_is_private(layout: Layout) -> None:
    Registry(layout).put(entry())
    assert oct(Path(layout.registry_file).stat().st_mode & 0o777) == "0o600"
