"""What git tells is streamed, scrubbed, and bounded in time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ploinky.base.errors import DeadlineError, PloinkyError
from ploinky.base.redaction import MASK, Redactor
from ploinky.repos.git import Git
from tests.repos.conftest import said

ENVIRON = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}


def alias(command: str) -> list[str]:
    """Arguments that let git run a shell command, as it runs its own long ones."""
    return ["-c", f"alias.say=!{command}", "say"]


async def told(command: str, *, timeout_s: float = 10) -> list[str]:
    redactor = Redactor(["hunter2hunter2"])
    return await said(Git(ENVIRON).follow(alias(command), what="say", timeout_s=timeout_s, redactor=redactor))


async def test_lines_come_one_by_one_whether_ended_by_newline_or_return() -> None:
    assert await told("printf '1%%\\r2%%\\r\\ndone' >&2") == ["1%", "2%", "done"]


async def test_a_secret_is_masked_in_what_git_tells_and_in_its_error() -> None:
    assert await told("echo is hunter2hunter2 >&2") == [f"is {MASK}"]
    with pytest.raises(PloinkyError, match="is") as caught:
        await told("echo is hunter2hunter2 >&2; false")
    assert caught.value.code == "GIT_FAILED"
    assert "hunter2" not in str(caught.value)


async def test_git_that_hangs_after_its_last_word_runs_into_the_deadline() -> None:
    with pytest.raises(DeadlineError) as caught:
        await told("exec sleep 600 2>&-", timeout_s=0.3)
    assert caught.value.code == "GIT_TIMEOUT"


async def test_a_missing_git_is_told() -> None:
    with pytest.raises(PloinkyError) as caught:
        await Git({"PATH": "/nonexistent"}).query(Path("/"), "version")
    assert caught.value.code == "GIT_MISSING"
