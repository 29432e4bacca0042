"""Repositories to clone from, and a git that knows no user's configuration."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ploinky.repos.store import RepoStore
from ploinky.workspace.layout import Layout

IDENTITY = ("-c", "user.name=Test", "-c", "user.email=test@localhost", "-c", "init.defaultBranch=main")


def git(folder: Path, *args: str) -> str:
    """Run git in ``folder`` and return what it prints."""
    argv = ["git", *IDENTITY, "-C", str(folder), *args]
    environ = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(argv, check=True, capture_output=True, text=True, env=environ).stdout.strip()


def write_agents(folder: Path, *agents: str) -> Path:
    """A folder of agents, each with the smallest manifest."""
    for agent in agents:
        (folder / agent).mkdir(parents=True, exist_ok=True)
        (folder / agent / "manifest.json").write_text('{"container": "alpine"}')
    return folder


def commit(folder: Path, message: str = "change") -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def store(layout: Layout, tmp_path: Path) -> RepoStore:
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_DIR": "/nonexistent/left-by-a-hook"}
    return RepoStore(layout, environ=environ)


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """A git repository with agents shell and explorer."""
    folder = write_agents(tmp_path / "origin", "shell", "explorer")
    git(folder, "init", "--quiet")
    commit(folder, "first")
    return folder


async def said(lines: AsyncIterator[str]) -> list[str]:
    """Everything that a long operation tells."""
    return [line async for line in lines]
