"""The old form becomes profiles: nothing is lost, nothing else is touched, the meaning stays."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ploinky.base.errors import PloinkyError
from ploinky.manifest.document import parse_manifest
from ploinky.manifest.effective import effective
from ploinky.manifest.migration import add_profile, migrate
from ploinky.manifest.values import KNOWN_PROFILES, EffectiveConfig

SAMPLES = sorted((Path(__file__).parents[1] / "data" / "manifests").glob("*.json"))
OLD = """{
    "container": "node:20-bullseye",
    "x-note":  {"kept": [1, 2.50, 1e3], "as": "it stands"},
    "install": "npm install",
    "postinstall": ["npm run build", "npm test"],
    "env": {
        "MY_VAR": "value"
    },
    "about": "Grüße aus \\u00fcberall",
    "ports": [ "8000:8000" ],
    "zeta": null
}
"""
NEW = """{
    "container": "node:20-bullseye",
    "x-note": {"kept": [1, 2.50, 1e3], "as": "it stands"},
    "profiles": {
        "default": {
            "install": "npm install",
            "postinstall": ["npm run build", "npm test"],
            "env": {
                "MY_VAR": "value"
            },
            "ports": [ "8000:8000" ]
        }
    },
    "about": "Grüße aus \\u00fcberall",
    "zeta": null
}
"""

names = st.sampled_from(["A", "B", "C_KEY", "D"])
texts = st.text("abc $=:'\"\\é", max_size=6)
list_envs = st.lists(
    st.one_of(
        names,
        st.builds("{}={}".format, names, texts),
        st.fixed_dictionaries({"name": names, "value": texts}),
        st.fixed_dictionaries({"name": names, "varName": names, "required": st.booleans()}),
        st.just("PREFIX_*"),
    ),
    max_size=4,
)
map_envs = st.dictionaries(
    names,
    st.one_of(texts, st.fixed_dictionaries({"default": texts}), st.just({"required": True})),
    max_size=3,
)
envs = st.one_of(list_envs, map_envs)
hooks = st.one_of(st.just("npm ci"), st.just(""), st.lists(st.just("step"), max_size=2))
ports = st.lists(st.sampled_from(["7000", "7001:7001"]), unique=True, max_size=2)
layers = st.fixed_dictionaries(
    {},
    optional={
        "env": envs,
        "install": hooks,
        "postinstall": hooks,
        "ports": ports,
        "secrets": st.lists(names, unique=True, max_size=2),
        "hosthook_postinstall": st.just("scripts/up.sh"),
    },
)


@st.composite
def manifests(draw: st.DrawFn) -> dict[str, Any]:
    top: dict[str, Any] = {"container": "alpine:3", **draw(layers), "x-unknown": draw(texts)}
    profiles = {name: draw(layers) for name in draw(st.sets(st.sampled_from(["default", "dev", "prod"])))}
    if profiles:
        top["profiles"] = profiles
    keys = draw(st.permutations(list(top)))
    return {key: top[key] for key in keys}


def meaning(text: str, profile: str) -> EffectiveConfig | None:
    manifest = parse_manifest(text, source="m")
    if manifest.profiles and profile not in manifest.profiles and "default" not in manifest.profiles:
        return None
    config = effective(manifest, profile, agent="agent")
    return replace(config, notices=(), env=tuple(sorted(config.env, key=lambda entry: entry.name)))


def test_fields_move_and_all_else_stays_as_it_is_written() -> None:
    migration = migrate(OLD, source="manifest.json")
    assert migration.moved == ("install", "postinstall", "env", "ports")
    assert migration.text == NEW
    assert migrate(NEW, source="manifest.json").text == NEW
    assert migrate(OLD.replace("\n", "\r\n"), source="m").text == NEW.replace("\n", "\r\n")
    assert not [each for each in parse_manifest(NEW, source="m").warnings if "old form" in each.message]


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_real_manifests_mean_the_same_afterwards(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    migration = migrate(text, source=path.name)
    for profile in KNOWN_PROFILES:
        before = meaning(text, profile)
        assert before is None or meaning(migration.text, profile) == before
    if not migration.moved:
        assert migration.text == text


@given(manifest=manifests(), indent=st.sampled_from([None, 2, "\t"]))
def test_any_manifest_means_the_same_and_keeps_order_and_unknown_keys(
    manifest: dict[str, Any], indent: int | str | None
) -> None:
    text = json.dumps(manifest, indent=indent, ensure_ascii=False)
    migration = migrate(text, source="m")
    after = json.loads(migration.text)
    assert after["x-unknown"] == manifest["x-unknown"]
    kept = [key for key in manifest if key not in migration.moved]
    assert [key for key in after if key in kept] == kept
    for profile in ("dev", "qa", "prod"):
        before = meaning(text, profile)
        assert before is None or meaning(migration.text, profile) == before
    assert migrate(migration.text, source="m").moved == ()


def test_a_profile_is_added_at_the_end_and_the_rest_stays() -> None:
    text = add_profile(NEW, "prod", {"env": {"DEBUG": "false"}, "mounts": {"code": "ro"}}, source="m")
    assert (
        text.replace(
            """,
        "prod": {
            "env": {
                "DEBUG": "false"
            },
            "mounts": {
                "code": "ro"
            }
        }""",
            "",
        )
        == NEW
    )
    with pytest.raises(PloinkyError, match="already"):
        add_profile(text, "prod", {}, source="m")
    with pytest.raises(PloinkyError) as caught:
        add_profile(text, "staging", {"extends": "nothing"}, source="m")
    assert caught.value.code == "MANIFEST_INVALID"
    bare = add_profile('{"container": "alpine:3"}', "dev", {}, source="m")
    assert json.loads(bare) == {"container": "alpine:3", "profiles": {"dev": {}}}
