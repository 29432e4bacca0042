"""Which addresses are cloned, and how they are shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ploinky.base.errors import PloinkyError, UsageError
from ploinky.repos.urls import SourceForm, check_branch, clone_source, without_password

HERE = Path("/nonexistent")


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/PloinkyRepos/Basic.git",
        "https://user:hunter2@host.example/x.git",
        "ssh://git@host.example:22/x.git",
        "git@github.com:owner/repo.git",
        "http://127.0.0.1:8000/x.git",
        "http://localhost/x.git",
    ],
)
def test_ordinary_addresses_are_allowed(url: str) -> None:
    source = clone_source(url, relative_to=HERE)
    assert (source.url, source.form) == (url, SourceForm.GIT)
    assert "hunter2" not in source.shown


@pytest.mark.parametrize(
    "url",
    [
        "",
        "-x",
        "--upload-pack=touch /tmp/x",
        "ext::sh -c touch% /tmp/x",
        "fd::17",
        "git@-oProxyCommand=x:y",
        "-oProxyCommand=x@host:y",
        "ssh://-oProxyCommand=x/y",
        "ssh://-x@host/y",
        "git@host:-x",
        "git://host/x",
        "ftp://host/x",
        "http://host.example/x",
        "https:///x",
        "https://ho\nst/x",
        "a\0b",
        "https://[bad/x",
        "persistent-https::x@h:y",
    ],
)
def test_what_could_run_something_or_listen_in_is_refused(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        clone_source(url, relative_to=HERE)
    assert caught.value.code == "BAD_REPO_URL"


@given(st.text(max_size=30) | st.text(alphabet="-:/@agithtps.x ", max_size=20))
def test_nothing_accepted_can_be_taken_for_an_option_or_a_helper(url: str) -> None:
    try:
        source = clone_source(url, relative_to=HERE)
    except PloinkyError:
        return
    assert not source.url.startswith("-")
    if not source.url.startswith("/"):
        assert "::" not in source.url.split("/")[0]


@pytest.mark.parametrize("branch", ["main", "next/1", "v1.2.3", "feature_x"])
def test_ordinary_branches_are_allowed(branch: str) -> None:
    assert check_branch(branch) == branch


@pytest.mark.parametrize("branch", ["", "-x", "--upload-pack=x", "a..b", "a b", "x.lock", "a/", "a\n"])
def test_a_branch_that_could_be_an_option_is_refused(branch: str) -> None:
    with pytest.raises(UsageError):
        check_branch(branch)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://u:p@host/x", "https://host/x"),
        ("https://u:p@q@host/x", "https://host/x"),
        ("https://host/a@b", "https://host/a@b"),
        ("/a/path", "/a/path"),
    ],
)
def test_user_and_password_are_not_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown
