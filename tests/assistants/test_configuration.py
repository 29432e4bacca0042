"""Which assistants there are: roots, ids, overlays, faults that name their key, changes while running."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import pytest

from ploinky.assistants.configuration import read_configuration
from ploinky.base.errors import NotFoundError, PloinkyError
from ploinky.base.waits import wait_until
from ploinky.workspace.layout import Layout
from tests.assistants.home import open_home


def configure(layout: Layout, **document: object) -> None:
    layout.config_file.write_text(json.dumps(document), encoding="utf-8")


def folder(layout: Layout, name: str) -> Path:
    made = layout.root / name
    made.mkdir(parents=True, exist_ok=True)
    return made


def test_without_configuration_there_is_one_assistant_with_a_root_of_its_own(layout: Layout) -> None:
    found = read_configuration(layout)
    assert [(each.id, each.root.path) for each in found.assistants] == [
        ("default", layout.root / "assistants" / "default")
    ]
    assert found.is_single
    assert found.assistants[0].model_id == "offline"


def test_a_root_may_lie_in_another_and_is_then_closed_to_it(layout: Layout) -> None:
    inner = folder(layout, "profiles/assistant")
    configure(
        layout, profiles=[{"id": "main", "root": "."}, {"id": "assistant", "root": "./profiles/assistant"}]
    )
    main, assistant = read_configuration(layout).assistants
    assert inner in main.root.closed
    assert layout.root not in assistant.root.closed
    assert layout.root in assistant.root.shielded


@pytest.mark.parametrize(
    ("root", "why"),
    [
        ("/etc", "outside the workspace"),
        ("../elsewhere", "outside the workspace"),
        ("link-out", "outside the workspace"),
        ("missing", "no such folder"),
        (".ploinky/inside", "not for assistants"),
        ("same", "already"),
        ("link-same", "already"),
    ],
)
def test_a_bad_root_leaves_that_assistant_out_or_fails_everything(
    layout: Layout, root: str, why: str
) -> None:
    folder(layout, "same")
    folder(layout, ".ploinky/inside")
    (layout.root / "link-out").symlink_to("/tmp")
    (layout.root / "link-same").symlink_to(layout.root / "same")
    profiles = [{"id": "good", "root": "same"}, {"id": "bad", "root": root}]
    configure(layout, profiles=profiles)
    found = read_configuration(layout)
    assert [each.id for each in found.assistants] == ["good"]
    assert found.faults[0].id == "bad"
    assert why in found.faults[0].error.message
    configure(layout, profiles=profiles, profilesOnError="fail")
    with pytest.raises(PloinkyError, match="'bad' is left out"):
        read_configuration(layout)


def test_every_folder_of_a_common_one_is_an_assistant(layout: Layout) -> None:
    for name in ("one", "two", "_hidden", "Not An Id"):
        folder(layout, f"crew/{name}")
    configure(layout, agentProfilesRoot="crew")
    found = read_configuration(layout)
    assert [each.id for each in found.assistants] == ["one", "two"]
    assert [each.id for each in found.faults] == ["Not An Id"]


@pytest.mark.parametrize(
    ("document", "key"),
    [
        ({"heartbeat": {"every": "banana"}}, "heartbeat.every"),
        ({"turn": {"maxRounds": "banana"}}, "turn.maxRounds"),
        ({"turn": {"maxRounds": 0}}, "turn.maxRounds"),
        ({"heartbeat": {"evry": "5m"}}, "heartbeat.evry"),
        ({"cron": {"timeZone": "Mars/Olympus"}}, "cron.timeZone"),
        ({"profiles": [{"id": "UP", "root": "."}]}, "profiles.0.id"),
        ({"profiles": [{"id": "a", "root": "."}, {"id": "a", "root": "b"}]}, "profiles"),
        ({"profiles": "banana"}, "profiles"),
        ({"profiles": [], "agentProfilesRoot": "x"}, "agentProfilesRoot"),
        ({"models": {"m": {"provider": "ollama", "apiKey": "hush"}}}, "models.m.apiKey"),
        ({"models": {"m": {"provider": "ollama", "timeoutMs": "banana"}}}, "models.m.timeoutMs"),
        ({"defaultModel": "nobody"}, "defaultModel"),
        ({"budgets": {"costPerDay": -1}}, "budgets.costPerDay"),
    ],
)
def test_a_fault_names_its_file_and_key_and_never_the_value(
    layout: Layout, document: dict[str, object], key: str
) -> None:
    configure(layout, **document)
    with pytest.raises(PloinkyError) as fault:
        read_configuration(layout)
    assert fault.value.code == "CONFIG_INVALID"
    assert key in fault.value.details["keys"]
    assert str(layout.config_file) in fault.value.message
    assert "hush" not in str(fault.value)


def test_an_overlay_counts_for_its_assistant_alone(layout: Layout) -> None:
    for name in ("a", "b"):
        folder(layout, name)
    models = {"one": {"provider": "ollama", "model": "x"}, "two": {"provider": "ollama", "model": "y"}}
    configure(
        layout,
        models=models,
        defaultModel="one",
        turn={"maxRounds": 5},
        profiles=[{"id": "a", "root": "a"}, {"id": "b", "root": "b", "modelId": "two"}],
    )
    (layout.root / "a" / "config.json").write_text('{"turn": {"queue": 3}, "name": "Ada"}')
    a, b = read_configuration(layout).assistants
    assert (a.settings.turn.max_rounds, a.settings.turn.queue, a.settings.name) == (5, 3, "Ada")
    assert (b.settings.turn.max_rounds, b.settings.turn.queue) == (5, 16)
    assert (a.model_id, b.model_id) == ("one", "two")
    (layout.root / "a" / "config.json").write_text('{"modelId": "nobody"}')
    found = read_configuration(layout)
    assert [each.id for each in found.assistants] == ["b"]
    assert "nobody" in found.faults[0].error.message


async def test_a_change_takes_effect_without_a_restart_and_a_faulty_one_does_not(layout: Layout) -> None:
    async with open_home(layout) as home:
        first = home["default"]
        folder(layout, "second")
        profiles = [{"id": "default", "root": "assistants/default"}, {"id": "second", "root": "second"}]
        home.configure(profiles=profiles, turn={"maxRounds": 3})

        async def adopted() -> bool:
            return [each.id for each in home.household.assistants()] == ["default", "second"]

        await wait_until(adopted, what="the second assistant", timeout_s=15)
        assert home["default"] is first
        assert first.settings.turn.max_rounds == 3
        home.configure(profiles=profiles, turn={"maxRounds": "banana"})

        async def noticed() -> bool:
            return home.household.problem is not None

        await wait_until(noticed, what="the fault", timeout_s=15)
        assert first.settings.turn.max_rounds == 3
        assert "/tools" in await home.talk("/help", to="second")
        home.configure(profiles=profiles[:1])

        async def gone() -> bool:
            return home.household.names() == ["default"]

        await wait_until(gone, what="the second to go", timeout_s=15)
        with pytest.raises(NotFoundError):
            home["second"]


async def test_a_faulty_configuration_at_the_start_is_an_error(layout: Layout) -> None:
    with pytest.raises(ExceptionGroup) as fault:
        async with open_home(layout, heartbeat={"every": "banana"}):
            await anyio.sleep(0)
    assert fault.group_contains(PloinkyError, match="heartbeat.every")
