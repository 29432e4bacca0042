"""Secrets that lie in a Vault: found by token and AppRole, refused clearly, never shown, never waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import hvac
import pytest

from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonObject
from ploinky.secrets.sources import SourceKind
from ploinky.secrets.stores import SecretStores
from ploinky.workspace.layout import Layout
from tests.secrets.vault_server import ROOT, State, VaultServer, emulated_vault, vault_server

PASSWORD = "prod-password-4711"


@pytest.fixture(scope="module")
def vault() -> Iterator[VaultServer]:
    with vault_server() as server:
        client = hvac.Client(url=server.address, token=ROOT)
        kept: dict[str, object] = {"DB_PASSWORD": PASSWORD, "PORT": 5432, "OPTIONS": {"tls": True}}
        client.secrets.kv.v2.create_or_update_secret("shop/prod", secret=kept)
        client.secrets.kv.v2.create_or_update_secret("shop/gone", secret={"A": "b"})
        client.secrets.kv.v2.delete_latest_version_of_secret("shop/gone")
        client.sys.enable_auth_method("approle")
        rule = 'path "secret/data/shop/prod" { capabilities = ["read"] }'
        client.sys.create_or_update_acl_policy("reader", policy=rule)
        client.auth.approle.create_or_update_approle("shop", token_policies=["reader"])
        yield server


@pytest.fixture
def moody() -> Iterator[tuple[VaultServer, State]]:
    """An emulated one of its own, whose mood a test may change."""
    with emulated_vault() as server:
        assert server.state is not None
        hvac.Client(url=server.address, token=ROOT).secrets.kv.v2.create_or_update_secret(
            "shop/prod", secret={"DB_PASSWORD": PASSWORD, "OTHER": "x"}
        )
        yield server, server.state


def section(server: VaultServer, **changes: Any) -> JsonObject:
    store: JsonObject = {"type": "vault", "address": server.address, "path": "shop/{profile}", **changes}
    return {"stores": [store], "timeoutSeconds": 5}


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
    nobody = VaultServer("http://127.0.0.1:9", None)
    found = stores(layout, section(nobody), {"DB_PASSWORD": "near"}).sources("prod").find("DB_PASSWORD")
    assert found is not None
    assert found.value == "near"
    (layout.root / ".env").write_text("DB_PASSWORD=file\n")
    found = stores(layout, section(nobody), {}).sources("prod").find("DB_PASSWORD")
    assert found is not None
    assert found.value == "file"


def test_a_dollar_in_a_vault_is_a_dollar(layout: Layout, moody: tuple[VaultServer, State]) -> None:
    server, state = moody
    state.data["shop/prod"].append({"DB_PASSWORD": "$HOME"})
    found = stores(layout, section(server)).sources("prod").find("DB_PASSWORD")
    assert found is not None
    assert found.value == "$HOME"


@pytest.mark.parametrize("place", ["env", "secrets", "file"])
def test_an_approle_reads_what_its_policy_allows(layout: Layout, vault: VaultServer, place: str) -> None:
    client = hvac.Client(url=vault.address, token=ROOT)
    role = client.auth.approle.read_role_id("shop")["data"]["role_id"]
    secret = client.auth.approle.generate_secret_id("shop")["data"]["secret_id"]
    reference = {"env": "env:OUR_ID", "secrets": "secrets:OUR_ID", "file": "file:.our-id"}[place]
    environ = {"OUR_ID": secret} if place == "env" else {}
    auth = {"method": "approle", "roleId": role, "secretIdFrom": reference}
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
    layout: Layout, moody: tuple[VaultServer, State]
) -> None:
    server, state = moody
    client = hvac.Client(url=server.address, token=ROOT)
    rule = 'path "secret/data/shop/*" { capabilities = ["read"] }'
    client.sys.create_or_update_acl_policy("reader", policy=rule)
    client.auth.approle.create_or_update_approle("shop", token_policies=["reader"])
    role = client.auth.approle.read_role_id("shop")["data"]["role_id"]
    secret = client.auth.approle.generate_secret_id("shop")["data"]["secret_id"]
    auth = {"method": "approle", "roleId": role}
    opened = stores(layout, section(server, auth=auth), {"VAULT_SECRET_ID": secret})
    assert opened.sources("prod").find("DB_PASSWORD") is not None
    state.tokens = {ROOT: ("root",)}
    assert opened.sources("prod").find("ANOTHER") is None


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


def test_a_vault_that_is_sealed_silent_or_away_is_not_waited_for(
    layout: Layout, moody: tuple[VaultServer, State]
) -> None:
    server, state = moody
    config = section(server) | {"timeoutSeconds": 1}

    def ask() -> object:
        return stores(layout, config).sources("prod").find("DB_PASSWORD")

    state.sealed = True
    assert failure(ask).code == "SECRETS_STORE_UNREACHABLE"
    state.sealed, state.silent = False, True
    begun = time.monotonic()
    assert failure(ask).code == "SECRETS_STORE_UNREACHABLE"
    assert time.monotonic() - begun < 20
    state.silent = False
    state.released.set()
    away = section(VaultServer("http://127.0.0.1:9", None))
    error = failure(lambda: stores(layout, away).sources("prod").find("X"))
    assert error.code == "SECRETS_STORE_UNREACHABLE"


def test_one_question_serves_all_names_and_is_remembered_until_something_changed(
    layout: Layout, moody: tuple[VaultServer, State]
) -> None:
    server, state = moody
    opened = stores(layout, section(server))
    sources = opened.sources("prod")
    sources.prefetch(["DB_PASSWORD", "OTHER", "NOT_THERE"])
    assert [bool(sources.find(name)) for name in ("DB_PASSWORD", "OTHER", "NOT_THERE")] == [True, True, False]
    assert opened.sources("prod").find("OTHER") is not None
    assert state.reads == 1
    state.data["shop/prod"].append({"OTHER": "new"})
    opened.changed()
    found = opened.sources("prod").find("OTHER")
    assert found is not None
    assert found.value == "new"


def test_a_running_process_goes_on_with_what_it_knows_while_the_vault_is_away(
    layout: Layout, moody: tuple[VaultServer, State]
) -> None:
    server, state = moody
    opened = stores(layout, section(server) | {"cacheSeconds": 0})
    assert opened.sources("prod").find("DB_PASSWORD") is not None
    state.sealed = True
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
    config = section(VaultServer("https://vault.example", None), **wrong)
    error = failure(lambda: stores(layout, config).sources("prod"))
    assert error.code == "CONFIG_INVALID"
    assert "secrets.stores.0" in error.message
    assert "hunter2" not in str(error)
    assert "word" not in str(error).replace("password", "")
