"""What ``profile`` prints, word by word, and what ``expose`` gives an agent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from textwrap import dedent

import pytest

from tests.cli.stage import Stage

HOOKS = {
    "hosthook_aftercreation": "aftercreation",
    "preinstall": "preinstall",
    "install": "install",
    "postinstall": "postinstall",
    "hosthook_postinstall": "host_postinstall",
}
LEVELS = {"dev": ("development", "true", "debug"), "qa": ("test", "false", "info")}
PROD = ["PROD_API_KEY", "PROD_DATABASE_URL", "PROD_SSL_CERT"]
SECRETS = {
    "dev": ["DEV_API_KEY", "DEV_DATABASE_URL"],
    "qa": ["QA_API_KEY", "QA_DATABASE_URL", "QA_TEST_TOKEN"],
    "prod": PROD,
}


def add(stage: Stage, manifest: Mapping[str, object], name: str = "my-agent") -> None:
    folder = stage.layout.repo("crew") / name
    (folder / "scripts").mkdir(parents=True)
    whole = {"container": "node:20-bullseye", **manifest}
    folder.joinpath("manifest.json").write_text(json.dumps(whole), encoding="utf-8")
    stage.run("enable", "agent", name)


@pytest.fixture
def seeded(stage: Stage) -> Stage:
    """An agent with three profiles; some of its secrets are known."""
    profiles = {}
    for name, secrets in SECRETS.items():
        values = LEVELS.get(name, ("production", "false", "error"))
        env = dict(zip(("NODE_ENV", "DEBUG", "LOG_LEVEL"), values, strict=True))
        hooks = {hook: f"scripts/{name}_{script}.sh" for hook, script in HOOKS.items()}
        profiles[name] = {"env": env, "secrets": secrets, **hooks}
    add(stage, {"about": "My application agent", "profiles": profiles})
    for name in profiles:
        for script in HOOKS.values():
            if (name, script) != ("prod", "host_postinstall"):
                path = stage.layout.repo("crew") / "my-agent" / "scripts" / f"{name}_{script}.sh"
                path.write_text("#!/bin/sh\n", encoding="utf-8")
                path.chmod(0o755)
    known = [f"{name}=a-value-4711\n" for name in (*SECRETS["dev"], *SECRETS["qa"])]
    stage.run("secrets", "import", "-", stdin="".join(known))
    return stage


def test_setting_a_profile_shows_what_it_gives(seeded: Stage) -> None:
    assert seeded.run("profile", "dev").out == dedent("""\
        Profile set to: dev

        Environment:
          NODE_ENV=development
          DEBUG=true
          LOG_LEVEL=debug

        Secrets required:
          - DEV_API_KEY ✓ (found)
          - DEV_DATABASE_URL ✓ (found)

        Lifecycle hooks:
          1. hosthook_aftercreation: scripts/dev_aftercreation.sh
          2. preinstall: scripts/dev_preinstall.sh
          3. install: scripts/dev_install.sh
          4. postinstall: scripts/dev_postinstall.sh
          5. hosthook_postinstall: scripts/dev_host_postinstall.sh
        """)


def test_the_list_is_a_table_of_status_and_secrets(seeded: Stage) -> None:
    seeded.run("profile", "dev")
    environ = {"PROD_API_KEY": "from-environment", "PROD_DATABASE_URL": "from-environment"}
    assert seeded.run("profile", "list", environ=environ).out == dedent("""\
        Available profiles:

          Profile  Status   Secrets
          ───────  ──────   ───────
          dev      active   2/2 ✓
          qa       ready    3/3 ✓
          prod     missing  2/3 ✗ (PROD_SSL_CERT missing)
        """)


def test_validation_checks_everything_and_counts(seeded: Stage) -> None:
    done = seeded.run("profile", "validate", "prod", code=1, environ={"PROD_DATABASE_URL": "x"})
    assert done.out == dedent("""\
        Validating profile 'prod'...

        Manifest: ✓ Valid JSON
        Profile definition: ✓ Found in manifest

        Environment variables:
          NODE_ENV=production ✓
          DEBUG=false ✓
          LOG_LEVEL=error ✓

        Secrets:
          PROD_API_KEY: ✗ NOT FOUND
          PROD_DATABASE_URL: ✓ Found in environment
          PROD_SSL_CERT: ✗ NOT FOUND

        Scripts:
          scripts/prod_aftercreation.sh: ✓ Exists, executable
          scripts/prod_preinstall.sh: ✓ Exists, executable
          scripts/prod_install.sh: ✓ Exists, executable
          scripts/prod_postinstall.sh: ✓ Exists, executable
          scripts/prod_host_postinstall.sh: ✗ NOT FOUND

        Validation FAILED: 3 errors found
        """)
    assert "Validation passed" in seeded.run("profile", "validate", "qa").out
    seeded.run("profile", "qa")
    assert seeded.run("profile", "validate", "--json").json["profile"] == "qa"


def test_a_start_tells_all_missing_secrets_before_anything_is_made(seeded: Stage) -> None:
    done = seeded.run("--profile", "prod", "start", "my-agent", code=4)
    assert (
        dedent("""\
        Error: Missing required secrets for profile 'prod'

          The following secrets are required but not found:
            - PROD_API_KEY
            - PROD_DATABASE_URL
            - PROD_SSL_CERT

          Ensure these secrets are:
            1. Set in GitHub Actions repository secrets, OR
            2. Defined in .ploinky/.secrets file, OR
            3. Set as environment variables

          Run 'ploinky profile validate prod' for more details.
        """)
        in done.err
    )
    assert list(seeded.layout.agents.glob("my-agent/*")) == []
    assert seeded.run("status", "--json").json["agents"][0]["state"] != "RUNNING"


def test_a_profile_that_is_in_no_manifest_is_refused_with_those_that_are(seeded: Stage) -> None:
    assert (
        dedent("""\
        Error: Profile 'staging' not found in manifest

          Available profiles for agent 'my-agent':
            - dev
            - qa
            - prod

          To add a new profile, update manifest.json:
            "profiles": {
              "staging": { ... }
            }
        """)
        in seeded.run("profile", "staging", code=3).err
    )


def test_aliases_in_a_circle_and_placeholders_that_nothing_fills_are_errors(stage: Stage) -> None:
    add(
        stage,
        {
            "container": "alpine:${TAG}",
            "volumes": {"data/${AGENT_NAME}": "/data", "${WHERE}/x": "/x"},
            "env": {"ONE": "$TWO", "SAID": "plain", "MAY": {"varName": "UNKNOWN"}},
            "secrets": ["TWO"],
        },
    )
    stage.run("var", "TWO", "$THREE")
    stage.run("var", "THREE", "$TWO")
    done = stage.run("profile", "validate", "dev", code=1)
    assert "  ONE: ✗ The variable ONE stands for itself: ONE → TWO → THREE → TWO." in done.out
    assert "  TWO: ✗ The variable TWO stands for itself: TWO → THREE → TWO." in done.out
    assert "  SAID=plain ✓" in done.out
    assert "  MAY: - not set, optional" in done.out
    assert "  ${TAG} in image: ✗ NOT SET" in done.out
    assert "  ${WHERE} in volumes: ✗ NOT SET" in done.out
    assert "Validation FAILED: 4 errors found" in done.out
    assert "TWO → THREE → TWO" in stage.run("start", "my-agent", code=1).err


def test_an_agent_whose_manifest_is_torn_is_told_and_the_rest_is_shown(seeded: Stage) -> None:
    seeded.run("enable", "agent", "echo")
    path = seeded.layout.repo("crew") / "echo" / "manifest.json"
    path.write_text('{"container": ', encoding="utf-8")
    done = seeded.run("profile", "list")
    assert "Agent 'echo' is left out" in done.err
    assert "dev " in done.out
    report = seeded.run("profile", "validate", "dev", "--json", code=1).json
    assert [(agent["agent"], bool(agent["manifest"])) for agent in report["agents"]] == [
        ("my-agent", False),
        ("echo", True),
    ]


@pytest.mark.bubblewrap
def test_an_exposed_variable_reaches_one_agent_and_wins_over_its_manifest(stage: Stage) -> None:
    stage.run("var", "TEAM_KEY", stdin="team-key-4711")
    stage.run("enable", "agent", "echo", "as", "one")
    stage.run("enable", "agent", "echo", "as", "two")
    assert stage.run("expose", "COLOUR", "blue", code=2).err
    stage.run("expose", "MOOD", "quiet", "one")
    stage.run("expose", "API_KEY", "$TEAM_KEY", "--agent", "one")
    stage.run("expose", "TEAM_KEY", "--agent", "two")
    assert "looks like a secret" in stage.run("expose", "API_KEY", "clear", "one", code=2).err
    assert stage.run("expose", "PLOINKY_X", "y", "one", code=2).err
    assert stage.run("expose", "X", "y", "nobody", code=3).err
    table = stage.run("expose").out
    assert "team-key-4711" not in table
    assert ["one", "API_KEY", "$TEAM_KEY"] in [line.split() for line in table.splitlines()]
    stage.run("start", "one")
    stage.run("start", "two")
    show = ("--", "sh", "-c", "echo $MOOD/$API_KEY/$TEAM_KEY")
    assert stage.run("exec", "one", *show).out == "quiet/team-key-4711/\n"
    assert stage.run("exec", "two", *show).out == "cheerful//team-key-4711\n"
    stage.run("expose", "MOOD", "one", "--unset")
    assert stage.run("expose", "MOOD", "one", "--unset", code=3).err
    stage.run("restart", "one")
    assert stage.run("exec", "one", *show).out == "cheerful/team-key-4711/\n"
    stage.run("disable", "agent", "one")
    assert [row["agent"] for row in stage.run("expose", "--json").json] == ["two"]
