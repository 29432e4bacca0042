"""Tokens: made once, private, bound, and not to be forged."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ploinky.base.errors import PloinkyError, UsageError
from ploinky.secrets.tokens import CLOCK_SKEW_S, OwnerToken, TokenSigner
from ploinky.workspace.layout import Layout
from ploinky.workspace.structure import init_workspace

NOON = 1_800_000_000.0


def clock_at(moment: float) -> Callable[[], float]:
    return lambda: moment


def test_the_owners_token_is_made_once_and_private(layout: Layout) -> None:
    owner = OwnerToken(layout)
    assert owner.read() is None
    assert not owner.verify("")
    token = owner.ensure()
    assert owner.ensure() == OwnerToken(layout).ensure() == token
    assert oct(layout.owner_token_file.stat().st_mode & 0o777) == "0o600"
    assert owner.verify(token)
    assert not owner.verify(token[:-1])
    assert not owner.verify("")
    assert not owner.verify("tökén")


def test_a_token_replaced_by_another_process_counts_at_once(layout: Layout) -> None:
    gateway = OwnerToken(layout)
    old = gateway.ensure()
    assert gateway.verify(old)
    new = OwnerToken(layout).rotate()
    assert gateway.verify(new)
    assert not gateway.verify(old)
    layout.owner_token_file.unlink()
    assert not gateway.verify(new)


def test_an_empty_token_file_lets_nobody_in(layout: Layout) -> None:
    layout.owner_token_file.write_text("\n")
    assert not OwnerToken(layout).verify("")


def test_an_agents_token_names_the_agent_until_it_ends(layout: Layout) -> None:
    token = TokenSigner(layout, clock=clock_at(NOON)).mint("shell", 60)
    caller = TokenSigner(layout, clock=clock_at(NOON + 59)).verify(token)
    assert caller is not None
    assert (caller.agent, caller.expires_at) == ("shell", NOON + 60)
    within = NOON + 60 + CLOCK_SKEW_S
    assert TokenSigner(layout, clock=clock_at(within)).verify(token) is not None
    assert TokenSigner(layout, clock=clock_at(within + 1)).verify(token) is None
    assert TokenSigner(layout, clock=clock_at(NOON - CLOCK_SKEW_S)).verify(token) is not None
    assert TokenSigner(layout, clock=clock_at(NOON - CLOCK_SKEW_S - 1)).verify(token) is None


def test_a_token_of_another_workspace_counts_for_nothing_even_with_the_same_key(
    layout: Layout, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = init_workspace(tmp_path_factory.mktemp("other"))
    token = TokenSigner(layout).mint("shell", 60)
    assert TokenSigner(other).verify(token) is None
    other.signing_key_file.write_bytes(layout.signing_key_file.read_bytes())
    assert TokenSigner(other).verify(token) is None


def test_an_agent_cannot_make_its_token_another_ones(layout: Layout) -> None:
    signer = TokenSigner(layout)
    prefix, body, signature = signer.mint("shell", 60).split(".")
    payload = json.loads(base64.urlsafe_b64decode(body + "=="))
    for change in ({"a": "explorer"}, {"x": payload["x"] + 1e9}, {"w": "0" * 16}):
        forged = base64.urlsafe_b64encode(json.dumps(payload | change).encode()).rstrip(b"=").decode()
        assert signer.verify(f"{prefix}.{forged}.{signature}") is None
    assert signer.verify(f"{prefix}.{body}.") is None
    assert signer.verify(f"{prefix}.{body}") is None


@given(st.text(max_size=40), st.integers(0, 200))
def test_no_change_of_a_token_is_accepted(
    tmp_path_factory: pytest.TempPathFactory, text: str, place: int
) -> None:
    layout = init_workspace(tmp_path_factory.mktemp("tokens"))
    signer = TokenSigner(layout)
    token = signer.mint("shell", 60)
    changed = token[:place] + text + token[place + len(text) :]
    if changed != token:
        assert signer.verify(changed) is None
    assert signer.verify(text) is None


def test_the_signing_key_is_private_kept_and_checked(layout: Layout) -> None:
    TokenSigner(layout)
    key = layout.signing_key_file.read_bytes()
    TokenSigner(layout)
    assert layout.signing_key_file.read_bytes() == key
    assert oct(layout.signing_key_file.stat().st_mode & 0o777) == "0o600"
    layout.signing_key_file.write_bytes(b"")
    with pytest.raises(PloinkyError) as caught:
        TokenSigner(layout)
    assert caught.value.code == "SIGNING_KEY_INVALID"


def test_a_token_is_only_made_for_a_name(layout: Layout) -> None:
    with pytest.raises(UsageError):
        TokenSigner(layout).mint("../x", 60)
