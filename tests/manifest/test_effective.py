"""A profile applied: which layer wins, what is added up, and what is said about it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ploinky.base.errors import EXIT_NOT_FOUND, NotFoundError
from ploinky.manifest.document import parse_manifest
from ploinky.manifest.effective import EffectiveConfig, effective
from ploinky.manifest.refs import AgentRef, RunMode
from ploinky.manifest.values import (
    Commands,
    EnvEntry,
    Health,
    Hook,
    HookName,
    NetworkMode,
    NetworkSpec,
    PortSpec,
    Probe,
    ReadinessProtocol,
    RepoSource,
    ResourceSpec,
    SecuritySpec,
    VolumeOptions,
    VolumeSpec,
    When,
)

DATA = Path(__file__).parents[1] / "data" / "manifests"
PROPERTY = settings(deadline=None, max_examples=100)


def config(document: Mapping[str, object], profile: str | None = None) -> EffectiveConfig:
    text = json.dumps({"container": "busybox:1", **document})
    return effective(parse_manifest(text, source="manifest.json"), profile, agent="my-agent")


def from_file(name: str, profile: str | None = None) -> EffectiveConfig:
    text = (DATA / f"{name}.json").read_bytes()
    return effective(parse_manifest(text, source=name), profile, agent=name)


def test_a_manifest_that_says_nothing_has_the_built_in_defaults() -> None:
    assert config({}) == EffectiveConfig(
        agent="my-agent",
        profile="dev",
        profile_env="dev",
        image="busybox:1",
        code_writable=True,
        skills_writable=True,
        commands=Commands(workdir="/code"),
    )


def test_the_agents_port_is_the_first_declared_or_the_platforms() -> None:
    assert config({}).main_port == 7000
    assert config({"ports": ["8000:80", 90]}).main_port == 80


def test_the_seeds_example_merges_as_it_says() -> None:
    dev = from_file("environments", "dev")
    assert dev.env == (
        EnvEntry("MY_VAR", "MY_VAR", literal="value"),
        EnvEntry("API_KEY", "API_KEY", literal="$MAIN_API_KEY", required=True),
        EnvEntry("NODE_ENV", "NODE_ENV", literal="development"),
        EnvEntry("API_URL", "API_URL", literal="http://api:7000"),
    )
    assert dev.hooks == {
        HookName.PREINSTALL: Hook(("scripts/dev-setup.sh", "npm run prepare")),
        HookName.INSTALL: Hook(("npm install",)),
        HookName.POSTINSTALL: Hook(("scripts/setup.sh",)),
    }
    assert dev.secrets == ("DEV_API_KEY",)
    assert (dev.code_writable, dev.skills_writable) == (True, False)
    assert dev.dependencies == {"nodemon": "^3.0.0"}
    assert dev.image == "${BASE_IMAGE}:${BASE_TAG}"


def test_top_level_fields_read_as_values() -> None:
    dev = from_file("environments", "dev")
    assert dev.about == "Every profile field"
    assert dev.network == NetworkSpec(NetworkMode.WORKSPACE, "api", ("api-v1", "api-v2"))
    assert dev.resources == ResourceSpec(1.5, 512 * 1024**2, 256)
    assert dev.security == SecuritySpec(False, ("NET_BIND_SERVICE", "CHOWN"), True, "1000:1000")
    given = {entry.name: entry.literal for entry in dev.env}
    assert given["API_URL"] == "http://api:7000"
    assert given["API_KEY"] == "$MAIN_API_KEY"


def test_a_profile_lies_over_the_one_that_it_extends() -> None:
    qa = from_file("environments", "qa")
    assert {entry.name: entry for entry in qa.env}["NODE_ENV"] == EnvEntry(
        "NODE_ENV", "NODE_ENV", default="test"
    )
    assert qa.secrets == ("DEV_API_KEY",)
    assert qa.health == Health(readiness=Probe(http="/healthz", port=8080))
    assert qa.network == NetworkSpec(NetworkMode.NONE)
    assert qa.profile_env == "qa"


def test_every_form_of_a_hook_reads_as_steps_and_conditions() -> None:
    prod = from_file("environments", "prod")
    assert prod.hooks == {
        HookName.HOSTHOOK_PREINSTALL: Hook(("scripts/check-host.sh",)),
        HookName.HOSTHOOK_AFTERCREATION: Hook(("scripts/announce.sh prod",)),
        HookName.INSTALL: Hook(("npm ci",), When((("CI", "true"),), ("package.json",))),
        HookName.POSTINSTALL: Hook(("scripts/setup.sh",)),
        HookName.HOSTHOOK_POSTINSTALL: Hook(("scripts/register.sh",), When((("REGISTER", "yes"),))),
    }
    assert prod.health == Health(protocol=ReadinessProtocol.MCP)
    assert prod.enable == (AgentRef("audit", no_wait=True),)
    assert prod.ports == (
        PortSpec(9000),
        *(PortSpec(port, port) for port in (9100, 9101, 9102)),
        PortSpec(9443, 0, "0.0.0.0"),
    )


def test_a_grandchild_has_what_its_line_says_and_the_environment_of_its_known_ancestor() -> None:
    eu = from_file("environments", "eu-west_1")
    assert eu.secrets == ("PROD_API_KEY",)
    assert eu.volumes == (VolumeSpec("eu", "/eu"),)
    assert (eu.profile, eu.profile_env) == ("eu-west_1", "prod")
    assert not eu.code_writable


def test_a_database_reads_as_its_values() -> None:
    database = from_file("database")
    assert database.env == (
        EnvEntry("DB_PORT", "SITE_DB_PORT", default="5432"),
        EnvEntry("DB_ADMIN", "SITE_DB_ADMIN", required=True),
        EnvEntry("DB_URL", "DB_URL", default="db://127.0.0.1:5432", required=True),
        EnvEntry("DB_SCOPE", "SITE_DB_SCOPE"),
        EnvEntry("DB_OPTIONS", "DB_OPTIONS", literal="-Xms256m -Xmx512m"),
        EnvEntry("DB_POOL", "DB_POOL", literal="8"),
        EnvEntry("DB_TRACE", "DB_TRACE", literal="false"),
        EnvEntry("DB_HINT", "DB_HINT"),
    )
    assert database.health == Health(
        Probe(tcp=5432, interval_s=10, failure_threshold=3),
        Probe("scripts/ready.sh", timeout_s=2.5, failure_threshold=4, success_threshold=2, start_period_s=30),
    )
    assert database.volumes == (
        VolumeSpec(".ploinky/data/db/files", "/var/lib/db"),
        VolumeSpec("exchange", "/srv/exchange", read_only=True),
    )
    assert database.volume_options == {"/var/lib/db": VolumeOptions(0o777, ("tmp",))}
    assert (database.sandbox_allowed, database.sso_provider, database.lite_sandbox) == (False, True, False)
    assert database.commands.start == "serve --listen=0.0.0.0"
    assert [str(port) for port in from_file("database", "prod").ports] == [
        "5432:5432",
        "9187:9187",
        "[::1]:5353:53/udp",
    ]


def test_dependents_read_as_references_and_repositories() -> None:
    dependents = from_file("dependents")
    assert dependents.enable == (
        AgentRef("notes"),
        AgentRef("explorer", run_mode=RunMode.GLOBAL),
        AgentRef("search", "basic", RunMode.DEVEL, "basic", "finder"),
        AgentRef("indexer", no_wait=True),
    )
    assert dependents.repos == {
        "site": RepoSource("https://git.example.org/site/agents.git"),
        "labs": RepoSource("../labs.git", "next"),
    }
    assert dependents.lite_sandbox


def test_the_older_place_of_commands_yields_to_the_newer() -> None:
    assert from_file("legacy-commands").commands == Commands(
        cli="ash", run="top", entrypoint="/bin/sh -c 'exec sleep infinity'", workdir="/srv/app"
    )
    assert config({"run": "new", "commands": {"run": "old"}}).commands.run == "new"


@pytest.mark.parametrize(
    ("document", "shown"),
    [({}, "/bin/sh"), ({"run": "r"}, "r"), ({"run": "r", "cli": "c"}, "c"), ({"cli": "", "run": "r"}, "r")],
)
def test_interactive_use_gets_cli_or_run_or_a_shell(document: dict[str, object], shown: str) -> None:
    assert config(document).commands.interactive == shown


def test_empty_commands_count_as_absent() -> None:
    assert from_file("shell").commands == Commands(cli="sh", workdir="/code")


def test_an_empty_word_in_a_higher_layer_takes_the_lower_one_away() -> None:
    document = {
        "agent": "serve",
        "install": "npm ci",
        "ports": [80],
        "profiles": {"dev": {"agent": "", "install": "", "ports": []}},
    }
    dev = config(document)
    assert (dev.commands.agent, dev.hooks, dev.ports) == (None, {}, ())


def test_the_old_form_is_the_lowest_layer() -> None:
    document = {
        "install": "top",
        "env": ["A=top", "B=top"],
        "port": 1000,
        "profiles": {"default": {"install": "default", "env": {"A": "default"}, "ports": [2000]}},
    }
    dev = config(document)
    assert dev.hooks == {HookName.INSTALL: Hook(("default",))}
    assert dev.env == (EnvEntry("A", "A", literal="default"), EnvEntry("B", "B", default="top"))
    assert dev.ports == (PortSpec(2000),)


def test_health_network_and_security_are_taken_whole_and_limits_one_by_one() -> None:
    document = {
        "health": {"liveness": {"tcp": 1}},
        "network": {"name": "x"},
        "containerSecurity": {"privileged": True},
        "resources": {"cpus": 1, "memory": "1g"},
        "profiles": {
            "dev": {
                "health": {"readiness": {"tcp": 2}},
                "network": {"aliases": ["y"]},
                "containerSecurity": {"user": 5},
                "resources": {"memory": "2g"},
            }
        },
    }
    dev = config(document)
    assert dev.health == Health(readiness=Probe(tcp=2))
    assert dev.network == NetworkSpec(aliases=("y",))
    assert dev.security == SecuritySpec(user="5")
    assert dev.resources == ResourceSpec(1, 2 * 1024**3)


def test_enable_is_added_up_by_key_and_a_blocking_entry_stays_blocking() -> None:
    document = {
        "enable": ["a", "b no-wait", "c no-wait"],
        "profiles": {"default": {"enable": ["a global no-wait", "b"]}, "dev": {"enable": ["d", "c no-wait"]}},
    }
    assert list(map(str, config(document).enable)) == ["a global", "b", "c no-wait", "d"]


@pytest.mark.parametrize(
    ("profile", "writable"), [("dev", True), ("qa", False), ("prod", False), ("other", False)]
)
def test_only_dev_may_write_code_and_skills_unless_mounts_say_otherwise(profile: str, writable: bool) -> None:
    plain = config({}, profile)
    assert (plain.code_writable, plain.skills_writable) == (writable, writable)
    said = config({"profiles": {profile: {"mounts": {"skills": "ro" if writable else "rw"}}}}, profile)
    assert (said.code_writable, said.skills_writable) == (writable, not writable)


def test_mounts_merge_by_key() -> None:
    document = {"profiles": {"default": {"mounts": {"code": "ro"}}, "dev": {"mounts": {"skills": "ro"}}}}
    dev = config(document)
    assert (dev.code_writable, dev.skills_writable) == (False, False)


@pytest.mark.parametrize(
    ("profile", "environment"),
    [("dev", "dev"), ("qa", "qa"), ("prod", "prod"), ("test", "qa"), ("deep", "qa"), ("alien", "prod")],
)
def test_the_profiles_environment_is_a_known_one(profile: str, environment: str) -> None:
    profiles = {"default": {}, "qa": {"extends": "dev"}, "dev": {}, "test": {"extends": "qa"}}
    document = {"profiles": {**profiles, "deep": {"extends": "test"}, "alien": {}}}
    assert config(document, profile).profile_env == environment


def test_without_a_word_the_manifests_own_default_profile_is_active() -> None:
    assert config({"defaultProfile": "qa", "profiles": {"qa": {}}}).profile == "qa"
    assert config({"defaultProfile": "qa", "profiles": {"qa": {}, "dev": {}}}, "dev").profile == "dev"


def test_a_profile_that_is_missing_is_served_by_default_and_said_aloud() -> None:
    staged = config({"profiles": {"default": {"install": "x"}}}, "staging")
    assert staged.hooks == {HookName.INSTALL: Hook(("x",))}
    assert staged.profile == "staging"
    assert config({"profiles": {"default": {"install": "x"}}}).notices == ()
    assert staged.notices == ("Agent 'my-agent' has no profile 'staging'; its profile 'default' is used.",)


def test_a_manifest_without_profiles_serves_every_profile_in_silence() -> None:
    assert config({}, "staging").notices == ()


def test_a_profile_that_is_missing_without_default_is_an_error_that_lists_the_others() -> None:
    with pytest.raises(NotFoundError) as caught:
        config({"profiles": {"dev": {}, "qa": {}, "prod": {}}}, "staging")
    error = caught.value
    assert (error.code, error.exit_code) == ("PROFILE_NOT_FOUND", EXIT_NOT_FOUND)
    assert str(error) == (
        "Profile 'staging' not found in manifest\n"
        "\n"
        "  Available profiles for agent 'my-agent':\n"
        "    - dev\n"
        "    - qa\n"
        "    - prod\n"
        "\n"
        "  To add a new profile, update manifest.json:\n"
        '    "profiles": {\n'
        '      "staging": { ... }\n'
        "    }"
    )


NAMES = st.sampled_from(["A", "B", "C", "D"])
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=3)
ENVS = st.dictionaries(NAMES, TEXTS | st.fixed_dictionaries({"default": TEXTS}))
LAYERS = st.fixed_dictionaries(
    {},
    optional={
        "env": ENVS,
        "secrets": st.lists(NAMES, max_size=4),
        "install": st.text("xyz", min_size=1, max_size=2),
        "dependencies": st.dictionaries(NAMES, st.text("123", min_size=1, max_size=2)),
        "enable": st.lists(st.sampled_from(["a", "b", "a no-wait", "b as c"]), max_size=3),
        "ports": st.lists(st.integers(1, 65535), max_size=3, unique=True),
    },
)


@PROPERTY
@given(top=LAYERS, default=LAYERS, parent=LAYERS, active=LAYERS)
def test_the_highest_layer_that_speaks_wins_and_lists_add_up(
    top: dict[str, Any], default: dict[str, Any], parent: dict[str, Any], active: dict[str, Any]
) -> None:
    profiles = {"default": default, "dev": parent, "qa": {**active, "extends": "dev"}}
    merged = config({**top, "profiles": profiles}, "qa")
    layers = [top, default, parent, active]

    env = {name: value for layer in layers for name, value in layer.get("env", {}).items()}
    assert {entry.name: entry.literal for entry in merged.env} == {
        name: value if isinstance(value, str) else None for name, value in env.items()
    }
    secrets = [name for layer in layers for name in layer.get("secrets", [])]
    assert list(merged.secrets) == list(dict.fromkeys(secrets))
    installs = [layer["install"] for layer in layers if "install" in layer]
    assert [hook.steps for hook in merged.hooks.values()] == [(step,) for step in installs[-1:]]
    ports = [layer["ports"] for layer in layers if "ports" in layer]
    assert [port.container_port for port in merged.ports] == (ports[-1] if ports else [])
    packages = {name: value for layer in layers for name, value in layer.get("dependencies", {}).items()}
    assert merged.dependencies == packages
    keys = [
        text.split()[-1] if " as " in text else text[0]
        for layer in layers
        for text in layer.get("enable", [])
    ]
    assert [ref.key for ref in merged.enable] == list(dict.fromkeys(keys))


@PROPERTY
@given(layer=LAYERS, other=LAYERS)
def test_a_layer_laid_over_itself_changes_nothing(layer: dict[str, Any], other: dict[str, Any]) -> None:
    once = config({"profiles": {"default": other, "dev": layer}})
    twice = config({"profiles": {"default": other, "qa": layer, "dev": {**layer, "extends": "qa"}}})
    assert once == twice


def _squashed(lower: dict[str, Any], upper: dict[str, Any]) -> dict[str, Any]:
    """Two layers as one, written down again by the rules that people are told."""
    one: dict[str, Any] = {**lower, **upper}
    for field in ("env", "dependencies"):
        if field in lower or field in upper:
            one[field] = {**lower.get(field, {}), **upper.get(field, {})}
    for field in ("secrets", "enable"):
        if field in lower or field in upper:
            one[field] = [*lower.get(field, []), *upper.get(field, [])]
    return one


@PROPERTY
@given(low=LAYERS, middle=LAYERS, high=LAYERS)
def test_merging_is_associative(low: dict[str, Any], middle: dict[str, Any], high: dict[str, Any]) -> None:
    apart = config({"profiles": {"default": low, "qa": middle, "dev": {**high, "extends": "qa"}}})
    assert config({"profiles": {"default": _squashed(low, middle), "dev": high}}) == apart
    assert config({"profiles": {"default": low, "dev": _squashed(middle, high)}}) == apart
    assert len(set(apart.secrets)) == len(apart.secrets)
