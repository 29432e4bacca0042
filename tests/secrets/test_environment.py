"""What an agent is given, what is missing, and what must not be shown."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ploinky.base.errors import EXIT_NEEDS_APPROVAL, NeedsApprovalError, PloinkyError
from ploinky.base.jsontypes import JsonObject
from ploinky.base.redaction import MASK
from ploinky.manifest.env import parse_env
from ploinky.manifest.values import EffectiveConfig
from ploinky.secrets.environment import ResolvedEnvironment, expand, expand_shown, resolve_environment
from ploinky.secrets.sources import SecretSources, SourceKind
from ploinky.secrets.store import DotSecrets
from ploinky.secrets.stores import SecretStores
from ploinky.workspace.layout import Layout

BUILTINS = {"PLOINKY_AGENT_NAME": "shell", "PORT": "7000"}


def resolved(
    layout: Layout, env: object, *, environ: Mapping[str, str] | None = None, secrets: tuple[str, ...] = ()
) -> ResolvedEnvironment:
    config = EffectiveConfig("shell", "prod", "prod", "alpine", env=parse_env(env), secrets=secrets)
    return resolve_environment(config, SecretSources(layout, environ or {}, "prod"), builtins=BUILTINS)


def test_a_literal_in_a_map_beats_the_ambient_and_a_default_yields(layout: Layout) -> None:
    env = {"LEVEL": "debug", "MODE": {"default": "slow"}, "UNSET": {"default": "given"}}
    values = resolved(layout, env, environ={"LEVEL": "ambient", "MODE": "fast"}).values
    assert (values["LEVEL"], values["MODE"], values["UNSET"]) == ("debug", "fast", "given")


def test_a_value_in_a_list_is_a_default(layout: Layout) -> None:
    values = resolved(layout, ["A=1", "B=x=y"], environ={"A": "ambient"}).values
    assert (values["A"], values["B"]) == ("ambient", "x=y")


def test_another_name_inside_than_outside(layout: Layout) -> None:
    env = [{"name": "INSIDE", "varName": "OUTSIDE", "required": True}]
    assert resolved(layout, env, environ={"OUTSIDE": "x"}).values["INSIDE"] == "x"


def test_a_bare_name_that_is_not_set_is_a_notice(layout: Layout) -> None:
    environment = resolved(layout, ["GONE"])
    assert "GONE" not in environment.values
    assert any("GONE" in notice for notice in environment.notices)


def test_an_alias_in_the_manifest_is_followed(layout: Layout) -> None:
    DotSecrets(layout, {}).set("PROD_DB", "postgres://u:hunter2@h/db")
    environment = resolved(
        layout, {"DB": "$PROD_DB", "COPY": {"default": "$PROD_DB"}, "OWN": "$OWN"}, environ={"OWN": "o"}
    )
    assert environment.values["DB"] == environment.values["COPY"] == "postgres://u:hunter2@h/db"
    assert environment.values["OWN"] == "o"
    assert {"DB", "COPY"} <= environment.secret_names


def test_the_platform_keeps_its_own_variables(layout: Layout) -> None:
    env = {"PLOINKY_AGENT_NAME": "other", "PORT": "9000"}
    environment = resolved(layout, env)
    assert environment.values["PLOINKY_AGENT_NAME"] == "shell"
    assert environment.values["PORT"] == "9000"
    assert any("PLOINKY_AGENT_NAME" in notice for notice in environment.notices)
    assert resolved(layout, ["PORT"], environ={"PORT": "1"}).values["PORT"] == "7000"


def test_wildcards_leave_out_what_looks_like_a_key_and_tell(layout: Layout) -> None:
    key = "hunter2hunter2"
    left_out = ("APP_TOKEN", "HOME", "LD_PRELOAD", "PATH", "PLOINKY_MASTER_KEY")
    environ = {"APP_MODE": "x", "OTHER": "y", **dict.fromkeys(left_out, key)}
    environment = resolved(layout, ["*", "APP_*"], environ=environ)
    given = set(environment.values) - set(BUILTINS) - {"PLOINKY_SECRETS_SOURCE"}
    assert given == {"APP_MODE", "OTHER"}
    assert environment.left_out == left_out
    assert any("APP_TOKEN" in notice for notice in environment.notices)
    assert "hunter2" not in str(environment.notices)


def test_a_key_listed_by_name_is_passed_and_not_called_left_out(layout: Layout) -> None:
    environment = resolved(layout, ["*", "APP_TOKEN"], environ={"APP_TOKEN": "hunter2hunter2"})
    assert environment.values["APP_TOKEN"] == "hunter2hunter2"
    assert environment.left_out == ()
    assert "APP_TOKEN" in environment.secret_names


def test_everything_missing_is_told_at_once_in_the_words_of_the_seed(layout: Layout) -> None:
    DotSecrets(layout, {}).set("ALIASED", "$NOWHERE")
    env = [{"name": "NEEDED", "required": True}, "OPTIONAL"]
    with pytest.raises(NeedsApprovalError) as caught:
        resolved(layout, env, secrets=("PROD_API_KEY", "ALIASED", "EMPTY"), environ={"EMPTY": ""})
    error = caught.value
    assert (error.code, error.exit_code) == ("MISSING_SECRETS", EXIT_NEEDS_APPROVAL)
    assert str(error) == (
        "Missing required secrets for profile 'prod'\n"
        "\n"
        "  The following secrets are required but not found:\n"
        "    - NEEDED\n"
        "    - PROD_API_KEY\n"
        "    - ALIASED → NOWHERE\n"
        "    - EMPTY\n"
        "\n"
        "  Ensure these secrets are:\n"
        "    1. Set in GitHub Actions repository secrets, OR\n"
        "    2. Defined in .ploinky/.secrets file, OR\n"
        "    3. Set as environment variables\n"
        "\n"
        "  Run 'ploinky profile validate prod' for more details."
    )


def test_secrets_are_given_masked_and_named(layout: Layout) -> None:
    DotSecrets(layout, {}).set("PROD_API_KEY", "hunter2-hunter2")
    environment = resolved(layout, {"LEVEL": "debug"}, secrets=("PROD_API_KEY",))
    assert environment.values["PROD_API_KEY"] == "hunter2-hunter2"
    assert environment.secret_names == {"PROD_API_KEY"}
    assert environment.values["PLOINKY_SECRETS_SOURCE"] == "local"
    assert environment.origins["PROD_API_KEY"] == ".ploinky/.secrets"
    assert "PROD_API_KEY" not in environment.public_values
    assert environment.redactor().scrub("is hunter2-hunter2, debug") == f"is {MASK}, debug"
    assert "hunter2" not in repr(environment)


def test_in_a_workflow_the_source_is_named_so(layout: Layout) -> None:
    environ = {"GITHUB_ACTIONS": "true", "KEY": "hunter2hunter2"}
    assert (
        resolved(layout, [], environ=environ, secrets=("KEY",)).values["PLOINKY_SECRETS_SOURCE"]
        == "github_actions"
    )


def test_a_key_of_several_lines_is_masked_line_by_line(layout: Layout) -> None:
    DotSecrets(layout, {}).set("PEM", "-----BEGIN-----\nMIIabcdefghijkl\n-----END-----")
    redactor = resolved(layout, [], secrets=("PEM",)).redactor()
    assert redactor.scrub("line: MIIabcdefghijkl") == f"line: {MASK}"


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("DATABASE_URL", "postgres://u:p@h/db", True),
        ("LOG_LEVEL", "debug", False),
        ("ROOT_FOLDER", "/home/me/workspace", False),
        ("RETRIES", "3", False),
        ("DB_PASSWORD", "admin", True),
        ("MAX_TOKENS", "4096", False),
    ],
)
def test_local_files_hold_secrets_and_harmless_words(
    layout: Layout, name: str, value: str, secret: bool
) -> None:
    DotSecrets(layout, {}).set(name, value)
    assert (name in resolved(layout, [name]).secret_names) is secret
    assert name in resolved(layout, [name], secrets=(name,)).secret_names


@given(value=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=6, max_size=30))
def test_no_error_and_no_notice_shows_a_value(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    layout = Layout(tmp_path_factory.mktemp("values"))
    layout.running.mkdir(parents=True)
    value = f"hunter2{value}"
    DotSecrets(layout, {}).set("A_TOKEN", value, literal=True)
    texts: list[str] = []
    for secrets in ((), ("GONE",)):
        try:
            texts += resolved(layout, ["*", "A_TOKEN", "X"], secrets=secrets, environ={"X": value}).notices
        except PloinkyError as error:
            texts += [str(error), repr(error), str(error.details)]
    assert texts
    assert not any("hunter2" in text for text in texts)


def test_variables_in_a_text_are_replaced_and_all_unknown_ones_told() -> None:
    assert expand("a/${X}:${Y}$Z", {"X": "1", "Y": "2"}, what="The image") == "a/1:2$Z"
    with pytest.raises(PloinkyError, match="The image needs A, B, which are not set") as caught:
        expand("${B}${A}${X}", {"X": "1"}, what="The image")
    assert caught.value.code == "UNRESOLVED_VARIABLE"


def test_what_engines_keep_and_show_takes_no_secret() -> None:
    given = ResolvedEnvironment({"TAG": "3", "KEY": "hunter2"}, frozenset({"KEY"}))
    assert expand_shown("alpine:${TAG}", given, what="The image") == "alpine:3"
    with pytest.raises(PloinkyError) as caught:
        expand_shown("alpine:${KEY}", given, what="The image")
    assert caught.value.code == "SECRET_SHOWN"
    assert "hunter2" not in str(caught.value)


def test_no_manifest_gets_the_keys_of_the_platform(layout: Layout) -> None:
    environ = {"PLOINKY_MASTER_KEY": "ab" * 32, "VAULT_TOKEN": "root", "OUR_ID": "role-secret"}
    store: JsonObject = {"type": "vault", "address": "https://vault.example", "path": "x"}
    approle: JsonObject = {"method": "approle", "roleId": "r", "secretIdFrom": "secrets:OUR_ID"}
    stores = SecretStores(layout, environ, lambda: {"stores": [store, {**store, "auth": approle}]})
    stores.kept.set("OUR_ID", "role-secret")
    stores.kept.set("ALIAS", "$PLOINKY_MASTER_KEY")
    sources = stores.sources("dev")
    for name in ("PLOINKY_MASTER_KEY", "VAULT_TOKEN", "OUR_ID", "ALIAS"):
        assert sources.find(name) is None
    assert sources.follow("X", "$VAULT_TOKEN", SourceKind.LITERAL) is None


def test_a_password_inside_an_address_is_a_secret(layout: Layout) -> None:
    found = resolved(
        layout,
        ["DATABASE_URL", "HOME_URL"],
        environ={"DATABASE_URL": "postgres://shop:hunter2@db/shop", "HOME_URL": "https://shop.example/a@b"},
    )
    assert "DATABASE_URL" in found.secret_names
    assert "HOME_URL" not in found.secret_names
