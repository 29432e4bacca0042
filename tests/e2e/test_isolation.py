"""What an agent must not be able to do, tried from inside, through the real command, on each runtime."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests import engines
from tests.cli.stage import Done, Stage, eventually

SECRET = "correct-horse-battery-staple"
CANARY = "canary-7f3a"


@pytest.fixture(scope="module")
def stage(workspace: Stage, runtime: str, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """Three agents run: ``locked`` under prod, ``open`` under dev, ``wide`` in global mode."""
    image = engines.image(runtime) if runtime != "sandbox" else "busybox:stable"
    repo = tmp_path_factory.mktemp("repo")
    sleeper = "sh -c 'while :; do sleep 1; done'"
    for name in ("prober", "neighbour"):
        (repo / name / "code").mkdir(parents=True)
        manifest = {
            "container": image,
            "agent": sleeper,
            "health": {"readiness": {"protocol": "none"}},
            "profiles": {"default": {}, "prod": {"secrets": ["PROBE_SECRET"]}},
        }
        (repo / name / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        (repo / name / "code" / "main.txt").write_text("as delivered\n", encoding="utf-8")
    workspace.run("add", "repo", "crew", str(repo))
    workspace.run("var", "PROBE_SECRET", stdin=SECRET)
    workspace.run("enable", "agent", "prober", "as", "locked")
    workspace.run("enable", "agent", "prober", "global", "as", "wide")
    workspace.run("enable", "agent", "neighbour")
    (workspace.layout.work_dir("neighbour") / "diary.txt").write_text(CANARY, encoding="utf-8")
    (workspace.root / ".env").write_text(f"FROM_ENV_FILE={CANARY}\n", encoding="utf-8")
    home = Path(workspace.environ["HOME"])
    (home / "diary.txt").write_text(CANARY, encoding="utf-8")
    workspace.run("--profile", "prod", "start")
    return workspace


def inside(stage: Stage, agent: str, script: str) -> Done:
    return stage.run("--profile", "prod", "exec", agent, "--", "sh", "-c", script, code=None)


@pytest.fixture(params=["locked", "wide"])
def agent(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def test_no_agent_reads_the_secrets_file(stage: Stage, agent: str) -> None:
    assert SECRET in stage.layout.secrets_file.read_text(encoding="utf-8")
    seen = inside(
        stage,
        agent,
        f"cat {stage.layout.secrets_file}; cat {stage.layout.control}/*; ls -A {stage.layout.control}",
    )
    assert SECRET not in seen.out + seen.err
    assert "running" not in seen.out


def test_no_agent_reads_the_owners_token_or_the_signing_key(stage: Stage, agent: str) -> None:
    files = (stage.layout.owner_token_file, stage.layout.signing_key_file)
    assert all(path.is_file() for path in files)
    for path in files:
        assert inside(stage, agent, f"cat {path}").code != 0


def test_a_global_agent_sees_no_file_of_secrets_beside_the_workspace(stage: Stage) -> None:
    seen = inside(stage, "wide", f"cat {stage.root}/.env; echo x > {stage.root}/.env")
    assert CANARY not in seen.out
    assert CANARY in (stage.root / ".env").read_text(encoding="utf-8")


def test_a_global_agent_cannot_write_the_control_folder(stage: Stage) -> None:
    inside(stage, "wide", f"mkdir -p {stage.layout.control}; echo x > {stage.layout.control}/planted")
    assert not (stage.layout.control / "planted").exists()


def test_a_global_agent_neither_sees_nor_writes_what_assistants_keep(stage: Stage) -> None:
    root = stage.root / "assistants"
    assert (root / "default").is_dir()
    seen = inside(stage, "wide", f"ls -A {root}; echo x > {root}/planted; echo x > {root}/default/state.db")
    assert seen.out == ""
    assert not (root / "planted").exists()


def test_an_isolated_agent_sees_nothing_of_another(stage: Stage) -> None:
    other = stage.layout.work_dir("neighbour")
    assert inside(stage, "locked", f"cat {other}/diary.txt").code != 0
    assert CANARY not in inside(stage, "locked", "cat /proc/*/environ /shared/* 2>/dev/null").out


def test_no_agent_reads_the_hosts_home_or_passwords(stage: Stage, agent: str) -> None:
    home = stage.environ["HOME"]
    assert inside(stage, agent, f"cat {home}/diary.txt").code != 0
    shadow = Path("/etc/shadow").read_text(encoding="utf-8")
    lines = {line for line in shadow.splitlines() if not line.split(":")[1].startswith(("*", "!"))}
    seen = set(inside(stage, agent, "cat /etc/shadow").out.splitlines())
    assert not lines & seen
    assert not set(inside(stage, agent, "ls -A /root").out.split()) & {".ssh", ".bashrc", ".pyenv"}


def test_no_agent_sees_a_secret_where_all_processes_can_look(stage: Stage, agent: str) -> None:
    assert SECRET in inside(stage, agent, 'printf %s "$PROBE_SECRET"').out.replace("[redacted]", SECRET)
    seen = inside(stage, agent, "tr '\\0' '\\n' < /proc/1/environ; cat /proc/1/cmdline")
    assert SECRET not in seen.out
    assert "[redacted]" not in seen.out


@pytest.mark.parametrize(
    "path", ["/code/new", "/code/main.txt", "/agent/new", "/agent/manifest.json", "/Agent/new"]
)
def test_no_agent_writes_its_code_under_prod(stage: Stage, agent: str, path: str) -> None:
    assert inside(stage, agent, f"echo changed > {path}").code != 0


def test_an_agent_writes_its_own_folder_and_the_shared_one(stage: Stage) -> None:
    assert (
        inside(stage, "locked", 'echo mine > "$WORKSPACE_PATH/mine.txt" && echo ours > /shared/ours.txt').code
        == 0
    )
    assert (stage.layout.work_dir("locked") / "mine.txt").read_text(encoding="utf-8") == "mine\n"
    assert (stage.layout.shared / "ours.txt").read_text(encoding="utf-8") == "ours\n"


def test_no_agent_can_gain_privileges(stage: Stage, agent: str) -> None:
    status = inside(stage, agent, "cat /proc/self/status").out
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert facts["NoNewPrivs"] == "1"
    assert int(facts["CapEff"], 16) & (1 << 21 | 1 << 12 | 1 << 19 | 1 << 16) == 0
    attempts = (
        "mkdir -p /tmp/m && mount -t tmpfs none /tmp/m",
        "unshare -U true",
        "mknod /tmp/disk b 254 0 && cat /tmp/disk",
        "mount -o remount,rw /code",
        "chroot / true",
    )
    succeeded = [attempt for attempt in attempts if inside(stage, agent, attempt).code == 0]
    assert succeeded == []


def test_no_agent_sees_or_signals_a_process_of_the_host(stage: Stage, agent: str) -> None:
    with subprocess.Popen(["sleep", "300"]) as victim:
        try:
            done = inside(stage, agent, f"kill -9 {victim.pid}; cat /proc/*/cmdline | tr '\\0' ' '")
            assert "sleep 300" not in done.out
            assert victim.poll() is None
        finally:
            victim.send_signal(signal.SIGKILL)


def daemons(marker: str) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if marker.encode() in (folder / "cmdline").read_bytes() and int(folder.name) != os.getpid():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def test_no_process_of_an_agent_outlives_stop(stage: Stage) -> None:
    """Not even one that left its parents, its session and its group, and ignores every polite signal."""
    marker = "31415.9265"
    stubborn = f"trap '' TERM HUP INT; exec sleep {marker}"
    inside(stage, "locked", f'(setsid sh -c "{stubborn}" >/dev/null 2>&1 &); sleep 0.5')
    eventually(lambda: daemons(marker) != [], "the daemon to run")
    stage.run("--profile", "prod", "stop", "locked")
    eventually(lambda: daemons(marker) == [], "the daemon to end", timeout_s=2)
    stage.run("--profile", "prod", "start", "locked")


def test_an_agent_under_dev_may_write_its_code(stage: Stage) -> None:
    stage.run("--profile", "dev", "restart", "locked")
    assert inside(stage, "locked", "echo changed > /code/made-under-dev.txt").code == 0
    stage.run("--profile", "prod", "restart", "locked")
    assert inside(stage, "locked", "echo changed > /code/made-under-dev.txt").code != 0
