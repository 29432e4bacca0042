"""Trust is asked once, remembered with the commit, and belongs to the address."""

from __future__ import annotations

from pathlib import Path

import pytest

from ploinky.base.errors import PloinkyError
from ploinky.repos.store import RepoStore
from ploinky.workspace.layout import Layout
from tests.repos.conftest import commit, git, said


async def test_a_trusted_repository_stays_trusted_over_updates(store: RepoStore, origin: Path) -> None:
    await said(store.add("demo", str(origin)))
    assert not await store.is_trusted("demo")
    record = await store.trust("demo")
    assert (record.url, record.commit) == (str(origin), git(origin, "rev-parse", "HEAD"))
    (origin / "more").write_text("x")
    commit(origin)
    await said(store.update("demo"))
    assert await store.is_trusted("demo")
    assert store.trust_book.record("demo") == record


async def test_another_repository_under_the_same_name_is_not_trusted(
    store: RepoStore, layout: Layout, origin: Path
) -> None:
    await said(store.add("demo", str(origin)))
    await store.trust("demo")
    git(layout.repo("demo"), "remote", "set-url", "origin", "https://example.org/other.git")
    assert not await store.is_trusted("demo")


async def test_trust_can_be_withdrawn(store: RepoStore, origin: Path) -> None:
    await said(store.add("demo", str(origin)))
    await store.trust("demo")
    assert store.trust_book.forget("demo")
    assert not store.trust_book.forget("demo")
    assert not await store.is_trusted("demo")


async def test_a_record_that_cannot_be_read_trusts_nobody_and_stays(
    store: RepoStore, layout: Layout, origin: Path
) -> None:
    await said(store.add("demo", str(origin)))
    layout.trust_file.write_text('{"demo": ')
    with pytest.raises(PloinkyError) as caught:
        await store.trust("demo")
    assert caught.value.code == "TRUST_INVALID"
    assert layout.trust_file.read_text() == '{"demo": '
