"""The deployment workflow of examples/ci, run for each branch in the environment that GitHub would make."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.stage import PLOINKY

pytestmark = pytest.mark.bubblewrap

PROJECT = Path(__file__).parents[2]
SECRETS = {
    name: f"value-of-{name.lower()}-1729"
    for name in (
        "DEV_API_KEY",
        "DEV_DATABASE_URL",
        "QA_API_KEY",
        "QA_DATABASE_URL",
        "QA_TEST_TOKEN",
        "PROD_API_KEY",
        "PROD_DATABASE_URL",
        "PROD_SSL_CERT",
    )
}
BRANCHES = {
    "refs/heads/develop": ("dev", "development", "writable"),
    "refs/heads/release/1.2": ("qa", "test", "read-only"),
    "refs/heads/main": ("prod", "production", "read-only"),
}


@dataclass(frozen=True)
class Checkout:
    """A copy of the example project; ``environ`` is that of a runner."""

    root: Path
    environ: Mapping[str, str]

    def deploy(self, ref: str, secrets: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        kept = self.root.parent / "secrets"
        kept.write_text("".join(f"{name}={value}\n" for name, value in secrets.items()))
        words = [
            sys.executable,
            "tools/run_workflow.py",
            str(self.root),
            "--ref",
            ref,
            "--secrets",
            str(kept),
        ]
        done = subprocess.run(
            words,
            cwd=PROJECT,
            env=dict(self.environ),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        kept.unlink()
        return done

    def ploinky(self, *words: str) -> subprocess.CompletedProcess[str]:
        argv = [*PLOINKY, *words]
        return subprocess.run(
            argv, cwd=self.root, env=dict(self.environ), capture_output=True, text=True, check=False
        )


@pytest.fixture
def checkout(tmp_path: Path, short_folder: Path) -> Iterator[Checkout]:
    root = tmp_path / "project"
    shutil.copytree(PROJECT / "examples" / "ci", root)
    (short_folder / "home").mkdir()
    environ = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(short_folder / "home"),
        "XDG_RUNTIME_DIR": str(short_folder),
        "LC_ALL": "C.UTF-8",
        "PORT": free_port(),
    }
    made = Checkout(root, environ)
    yield made
    made.ploinky("destroy", "--yes")


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def places_with(root: Path, values: Mapping[str, str]) -> list[str]:
    """Files below ``root`` and command lines of processes that hold one of the values."""
    wanted = [value.encode() for value in values.values()]
    found = []
    lines = list(Path("/proc").glob("[0-9]*/cmdline"))
    for path in [*(each for each in root.rglob("*") if each.is_file()), *lines]:
        try:
            data = path.read_bytes()
        except OSError:
            continue
        if any(value in data for value in wanted):
            found.append(str(path))
    return found


@pytest.mark.parametrize("ref", BRANCHES)
def test_a_push_deploys_the_agent_under_the_profile_of_its_branch(checkout: Checkout, ref: str) -> None:
    profile, node_env, code = BRANCHES[ref]
    done = checkout.deploy(ref, SECRETS)
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout.splitlines()
    assert f"profile={profile} node_env={node_env} secrets_from=github_actions" in said
    assert [line for line in said if line.startswith("has ")] == [
        f"has {name}" for name in sorted(SECRETS) if name.startswith(f"{profile.upper()}_")
    ]
    assert f"code is {code}" in said
    assert not any(value in done.stdout + done.stderr for value in SECRETS.values())
    assert places_with(checkout.root, SECRETS) == []


def test_a_secret_that_is_not_set_stops_the_deployment_before_anything_is_made(checkout: Checkout) -> None:
    secrets = {
        name: value for name, value in SECRETS.items() if name not in ("PROD_API_KEY", "PROD_SSL_CERT")
    }
    done = checkout.deploy("refs/heads/main", secrets)
    assert done.returncode == 4
    said = done.stdout + done.stderr
    assert "Missing required secrets for profile 'prod'" in said
    assert "    - PROD_API_KEY\n    - PROD_SSL_CERT\n" in said
    assert "Set in GitHub Actions repository secrets" in said
    assert not (checkout.root / ".ploinky" / "logs" / "my-agent.log").exists()
