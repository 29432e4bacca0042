"""Secrets that lie in a Vault: found by token and AppRole, refused clearly, never shown, never waited for."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonObject
from ploinky.secrets.sources import SourceKind
from ploinky.secrets.stores import SecretStores
from ploinky.workspace.layout import Layout
from tests.secrets.vault_server import ROOT, Door, VaultServer, door_before, vault_server

PASSWORD = "prod-password-4711"


@pytest.fixture(scope="module")
def vault() -> Iterator[VaultServer]:
    with vault_server() as server:
        client = server.client()
        server.keep("shop/prod", DB_PASSWORD=PASSWORD, PORT=5432, OPTIONS={"tls": True})
        server.keep("shop/gone", A="b")
        client.secrets.kv.v2.delete_latest_version_of_secret("shop/gone")
        client.sys.enable_auth_method("approle")
        rule = 'path "secret/data/shop/prod" { capabilities = ["read"] }'
        client.sys.create_or_update_policy("reader", policy=rule)
        client.auth.approle.create_or_update_approle("shop", token_policies=["reader"])
        yield server


@pytest.fixture
def door(vault: VaultServer) -> Iterator[Door]:
    """Before the Vault, and with a mood of its own."""
    with door_before(vault) as made:
        yield made


def section(server: VaultServer | Door, **changes: Any) -> JsonObject:
    store: JsonObject = {"type": "vault", "address": server.address, "path": "shop/{profile}", **changes}
    if isinstance(server, VaultServer):
        store["caFile"] = str(server.ca_file)
    return {"stores": [store], "timeoutSeconds": 5}


def at(address: str) -> Door:
    """An address at which nobody is asked."""
    return Door(address)


def sign_in(vault: VaultServer) -> tuple[dict[str, str], str]:
    """A role that may read, as settings name it, and a secret id of it."""
    approle = vault.client().auth.approle
    role = approle.read_role_id("shop")["data"]["role_id"]
    return {"method": "approle", "roleId": role}, approle.generate_secret_id("shop")["data"]["secret_id"]


def stores(layout: Layout, config: JsonObject, environ: dict[str, str] | None = None) -> SecretStores:
    return SecretStores(layout, {"VAULT_TOKEN": ROOT} if environ is None else environ, lambda: config)


def failure(act: Callable[[], object]) -> PloinkyError:
    with pytest.raises(PloinkyError) as caught:
        act()
    for secret in (PASSWORD, ROOT):
        assert secret not in str(caught.value)
    return caught.value


def test_a_secret_of_the_profiles_path_is_found(layout: Layout, vault: VaultServer) -> None:
    sources = stores(layout, section(vault)).sources("prod")
    found = sources.find("DB_PASSWORD")
    assert found is not None
    assert (found.value, found.source) == (PASSWORD, SourceKind.VAULT)
    assert sources.served_by(frozenset({found.source})) == "vault"
    assert sources.find("UNKNOWN") is None
    assert [each.value for name in ("PORT", "OPTIONS") if (each := sources.find(name))] == [
        "5432",
        '{"tls": true}',
    ]


@pytest.mark.parametrize("profile", ["dev", "gone"])
def test_a_path_that_holds_nothing_sets_nothing(layout: Layout, vault: VaultServer, profile: str) -> None:
    assert stores(layout, section(vault)).sources(profile).find("A") is None


def test_what_is_nearer_wins_and_the_vault_is_not_asked(layout: Layout) -> None:
    nobody = at("http://127.0.0.1:9")
    found = stores(layout, section(nobody), {"DB_PASSWORD": "near"}).sources("prod").find("DB_PASSWORD")
    assert found is not None
    assert found.value == "near"
    (layout.root / ".env").write_text("DB_PASSWORD=file\n")
    found = stores(layout, section(nobody), {}).sources("prod").find("DB_PASSWORD")
    assert found is not None
    assert found.value == "file"


def test_a_dollar_in_a_vault_is_a_dollar(layout: Layout, vault: VaultServer) -> None:
    vault.keep("money/prod", DB_PASSWORD="$HOME")
    found = stores(layout, section(vault, path="money/{profile}")).sources("prod").find("DB_PASSWORD")
    assert found is not None
    assert found.value == "$HOME"


def test_a_namespace_has_secrets_of_its_own(layout: Layout, vault: VaultServer) -> None:
    vault.client().adapter.post("/v1/sys/namespaces/team")
    inside = vault.client("team")
    inside.sys.enable_secrets_engine("kv", path="secret", options={"version": "2"})
    inside.secrets.kv.v2.create_or_update_secret("shop/prod", secret={"DB_PASSWORD": "of-the-team"})
    for changes, value in (({"namespace": "team"}, "of-the-team"), ({}, PASSWORD)):
        found = stores(layout, section(vault, **changes)).sources("prod").find("DB_PASSWORD")
        assert found is not None
        assert found.value == value


@pytest.mark.parametrize("method", ["token", "approle"])
def test_an_engine_of_the_first_version_is_read_too(layout: Layout, vault: VaultServer, method: str) -> None:
    """A policy for exactly the secret refuses the other version's address; without one it is missed."""
    client, mount = vault.client(), f"old-{method}"
    client.sys.enable_secrets_engine("kv", path=mount, options={"version": "1"})
    client.secrets.kv.v1.create_or_update_secret("shop/prod", secret={"OLD": "word"}, mount_point=mount)
    rule = f'path "{mount}/shop/prod" {{ capabilities = ["read"] }}'
    client.sys.create_or_update_policy("old", policy=rule)
    client.auth.approle.create_or_update_approle("old", token_policies=["old"])
    role = client.auth.approle.read_role_id("old")["data"]["role_id"]
    secret = client.auth.approle.generate_secret_id("old")["data"]["secret_id"]
    auth = {"method": "approle", "roleId": role} if method == "approle" else {"method": "token"}
    environ = {"VAULT_SECRET_ID": secret} if method == "approle" else {"VAULT_TOKEN": ROOT}
    sources = stores(layout, section(vault, mount=mount, auth=auth), environ).sources("prod")
    found = sources.find("OLD")
    assert found is not None
    assert found.value == "word"
    assert sources.find("NEW") is None


def test_a_vault_that_the_named_authority_does_not_vouch_for_is_not_asked(
    layout: Layout, vault: VaultServer
) -> None:
    config = section(vault)
    stranger: Any = config["stores"]
    del stranger[0]["caFile"]
    error = failure(lambda: stores(layout, config).sources("prod").find("DB_PASSWORD"))
    assert error.code == "SECRETS_STORE_UNREACHABLE"


@pytest.mark.parametrize("place", ["env", "secrets", "file"])
def test_an_approle_reads_what_its_policy_allows(layout: Layout, vault: VaultServer, place: str) -> None:
    role, secret = sign_in(vault)
    reference = {"env": "env:OUR_ID", "secrets": "secrets:OUR_ID", "file": "file:.our-id"}[place]
    environ = {"OUR_ID": secret} if place == "env" else {}
    auth = {**role, "secretIdFrom": reference}
    opened = stores(layout, section(vault, auth=auth), environ)
    if place == "secrets":
        opened.kept.set("OUR_ID", secret)
    (layout.root / ".our-id").write_text(f"{secret}\n")
    found = opened.sources("prod").find("DB_PASSWORD")
    assert found is not None
    assert found.value == PASSWORD
    error = failure(lambda: opened.sources("qa").find("DB_PASSWORD"))
    assert error.code == "SECRETS_STORE_DENIED"
    wrong = stores(layout, section(vault, auth=auth | {"roleId": "nobody"}), environ)
    error = failure(lambda: wrong.sources("prod").find("DB_PASSWORD"))
    assert error.code == "SECRETS_STORE_DENIED"
    assert secret not in str(error)


def test_a_token_that_has_ended_is_replaced_by_signing_in_again(
    layout: Layout, vault: VaultServer, door: Door
) -> None:
    role, secret = sign_in(vault)
    opened = stores(layout, section(door, auth=role), {"VAULT_SECRET_ID": secret})
    assert opened.sources("prod").find("DB_PASSWORD") is not None
    first = door.tokens[-1]
    vault.client().sys.revoke_prefix("auth/approle/login")
    assert opened.sources("prod").find("ANOTHER") is None
    assert first == door.tokens[-3]
    assert door.tokens[-1] not in ("", first)


@pytest.mark.parametrize(
    ("changes", "environ", "code"),
    [
        ({}, {"VAULT_TOKEN": "wrong"}, "SECRETS_STORE_DENIED"),
        ({}, {}, "SECRETS_STORE_CREDENTIAL"),
        ({"mount": "nowhere"}, {"VAULT_TOKEN": ROOT}, "SECRETS_STORE_REFUSED"),
    ],
)
def test_what_is_wrong_is_told(
    layout: Layout, vault: VaultServer, changes: dict[str, str], environ: dict[str, str], code: str
) -> None:
    opened = stores(layout, section(vault, **changes), environ)
    assert failure(lambda: opened.sources("prod").find("DB_PASSWORD")).code == code


def test_a_vault_that_is_sealed_silent_overloaded_or_away_is_not_waited_for(
    layout: Layout, door: Door
) -> None:
    def ask(where: VaultServer | Door) -> PloinkyError:
        config = section(where) | {"timeoutSeconds": 1}
        return failure(lambda: stores(layout, config).sources("prod").find("DB_PASSWORD"))

    with vault_server() as sealed:
        sealed.client().sys.seal()
        error = ask(sealed)
    assert error.code == "SECRETS_STORE_UNREACHABLE"
    assert "sealed" in error.message
    door.status = 429
    assert ask(door).code == "SECRETS_STORE_UNREACHABLE"
    door.status, door.silent = None, True
    begun = time.monotonic()
    assert ask(door).code == "SECRETS_STORE_UNREACHABLE"
    assert time.monotonic() - begun < 20
    assert ask(at("http://127.0.0.1:9")).code == "SECRETS_STORE_UNREACHABLE"


def test_a_token_does_not_follow_where_an_answer_leads(layout: Layout, door: Door) -> None:
    door.status = 307
    error = failure(lambda: stores(layout, section(door)).sources("prod").find("DB_PASSWORD"))
    assert error.code == "SECRETS_STORE_REFUSED"
    assert door.tokens == [ROOT]


def test_one_question_serves_all_names_and_is_remembered_until_something_changed(
    layout: Layout, vault: VaultServer, door: Door
) -> None:
    place = uuid.uuid4().hex
    vault.keep(f"{place}/prod", DB_PASSWORD=PASSWORD, OTHER="x")
    opened = stores(layout, section(door, path=f"{place}/{{profile}}"))
    sources = opened.sources("prod")
    sources.prefetch(["DB_PASSWORD", "OTHER", "NOT_THERE"])
    assert [bool(sources.find(name)) for name in ("DB_PASSWORD", "OTHER", "NOT_THERE")] == [True, True, False]
    assert opened.sources("prod").find("OTHER") is not None
    assert door.reads == 1
    vault.keep(f"{place}/prod", OTHER="new")
    opened.changed()
    found = opened.sources("prod").find("OTHER")
    assert found is not None
    assert found.value == "new"


def test_a_running_process_goes_on_with_what_it_knows_while_the_vault_is_away(
    layout: Layout, door: Door
) -> None:
    opened = stores(layout, section(door) | {"cacheSeconds": 0})
    assert opened.sources("prod").find("DB_PASSWORD") is not None
    door.status = 503
    assert opened.sources("prod").find("DB_PASSWORD") is not None
    assert failure(lambda: opened.sources("prod").find("NEVER_SEEN")).code == "SECRETS_STORE_UNREACHABLE"


@pytest.mark.parametrize(
    "wrong",
    [
        {"address": "http://vault.example:8200"},
        {"address": "https://user:word@vault.example"},
        {"address": "vault.example"},
        {"auth": {"method": "token", "tokenFrom": "hunter2-hunter2"}},
        {"auth": {"method": "approle"}},
        {"pathh": "x"},
        {"type": "keepass"},
    ],
)
def test_settings_that_are_wrong_are_refused_with_their_key(layout: Layout, wrong: dict[str, Any]) -> None:
    config = section(at("https://vault.example"), **wrong)
    error = failure(lambda: stores(layout, config).sources("prod"))
    assert error.code == "CONFIG_INVALID"
    assert "secrets.stores.0" in error.message
    assert "hunter2" not in str(error)
    assert "word" not in str(error).replace("password", "")
