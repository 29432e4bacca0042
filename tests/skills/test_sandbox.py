"""The sandbox holds against programs that try, and real installs work in it. Run for real."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ploinky.base.errors import PloinkyError
from ploinky.skills.runs import Bounds, Ending
from tests.engines import absent
from tests.skills.registry import serving
from tests.skills.sandboxes import Trial, trial

__all__ = ["trial"]


@pytest.fixture(scope="module")
async def port() -> AsyncIterator[int]:
    async with serving() as port:
        yield port


@pytest.fixture
def curl() -> None:
    if shutil.which("curl") is None:
        absent("curl", "it is not installed")


async def test_only_its_folder_can_be_written(trial: Trial, tmp_path: Path) -> None:
    paths = "/x /usr/x /etc/x /home/x /var/x /run/x /skill/../x"
    script = f"for p in {paths}; do touch $p && echo wrote $p; done; echo in > ok"
    ran = await trial.shell(script)
    assert ran.stdout == b""
    assert (trial.folder / "ok").read_text() == "in\n"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["skill"]


async def test_links_lead_to_the_sandboxs_own_files_only(trial: Trial, tmp_path: Path) -> None:
    """A link that a program leaves behind and one that it swaps all the time: both resolve inside."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (trial.folder / "link").symlink_to(victim)
    ran = await trial.shell(
        f"cat link; echo evil > link; ln -sfn {tmp_path} up; ls up; echo evil > up/victim"
    )
    assert b"mine" not in ran.stdout
    assert victim.read_text() == "mine"
    swap = (
        "import os, threading, time\n"
        "def swap():\n"
        "    while True:\n"
        f"        os.symlink({str(tmp_path)!r}, 's'); os.unlink('s'); os.mkdir('s'); os.rmdir('s')\n"
        "threading.Thread(target=swap, daemon=True).start()\n"
        "end = time.time() + 1\n"
        "while time.time() < end:\n"
        "    try: open('s/victim', 'w').write('evil')\n"
        "    except OSError: pass\n"
    )
    await trial.python(swap)
    assert victim.read_text() == "mine"


async def test_a_home_that_became_a_link_leads_nowhere(trial: Trial, tmp_path: Path) -> None:
    await trial.shell(f"rm -rf .home; ln -s {tmp_path}/made .home")
    ran = await trial.shell("mkdir -p $HOME/x; echo still here")
    assert ran.stdout == b"still here\n"
    assert not (tmp_path / "made").exists()


async def test_the_folder_itself_may_not_be_a_link(trial: Trial, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(PloinkyError, match="cannot be given"):
        await Trial(trial.engine, tmp_path / "link").shell("true")


async def test_homes_secrets_and_the_environment_stay_outside(trial: Trial, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("planted-value")
    os.environ["PLOINKY_TEST_PLANTED"] = "planted-value"
    try:
        script = (
            f"env; cat {secret}; cat /etc/shadow; ls {Path.home()}; cat /proc/1/environ; cat /proc/*/cmdline"
        )
        ran = await trial.shell(script)
    finally:
        del os.environ["PLOINKY_TEST_PLANTED"]
    assert b"planted-value" not in ran.stdout
    assert b"root:" not in ran.stdout


async def test_a_variable_reaches_the_program_and_no_command_line(trial: Trial) -> None:
    script = 'test "$TIDE_KEY" = planted-value && echo arrived; cat /proc/*/cmdline'
    ran = await trial.run("sh", "-c", script, env={"TIDE_KEY": "planted-value"})
    assert ran.stdout.startswith(b"arrived\n")
    assert b"planted-value" not in ran.stdout.removeprefix(b"arrived\n").replace(
        b'test "$TIDE_KEY" = planted-value', b""
    )


async def test_other_processes_are_neither_seen_nor_reached(trial: Trial) -> None:
    ran = await trial.shell(f"ls -d /proc/[0-9]* | wc -l; kill -0 {os.getpid()} 2>/dev/null && echo reached")
    assert int(ran.stdout.split()[0]) < 10
    assert b"reached" not in ran.stdout


async def test_there_is_no_network_and_no_name_service(trial: Trial, port: int) -> None:
    program = (
        "import socket\n"
        f"for family, to in ((socket.AF_INET, ('127.0.0.1', {port})), (socket.AF_INET, ('1.1.1.1', 53))):\n"
        "    s = socket.socket(family); s.settimeout(2)\n"
        "    try: s.connect(to); print('connected', to)\n"
        "    except OSError: pass\n"
        "try: print('resolved', socket.getaddrinfo('example.com', 80))\n"
        "except OSError: pass\n"
        "try: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1); print('raw')\n"
        "except OSError: pass\n"
        "u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "try: u.sendto(b'x', ('1.1.1.1', 53)); print('sent')\n"
        "except OSError: pass\n"
    )
    ran = await trial.python(program)
    assert (ran.returncode, ran.stdout) == (0, b"")


@pytest.mark.usefixtures("curl")
async def test_the_proxy_lets_only_the_named_hosts_through(trial: Trial, port: int) -> None:
    here = f"127.0.0.1:{port}"
    script = (
        f"curl -sS http://{here}/tool; curl -sS https://example.com/; curl -sS http://127.0.0.1:1/x; "
        "curl -sS https://data.tunnel.example.com/; curl -sS http://169.254.169.254/"
    )
    ran = await trial.shell(script, hosts=here)
    assert ran.stdout.startswith(b"#!/bin/sh")
    assert ran.refused[:2] == ("example.com:443", "127.0.0.1:1")
    assert "data.tunnel.example.com:443" in ran.refused


@pytest.mark.usefixtures("curl")
async def test_a_named_host_that_leads_inside_is_refused(trial: Trial, port: int) -> None:
    ran = await trial.shell(
        f"curl -sS -p -x $HTTP_PROXY http://localhost:{port}/tool", hosts=f"localhost:{port}"
    )
    assert b"#!/bin/sh" not in ran.stdout


async def test_a_fork_bomb_ends_with_its_time(trial: Trial) -> None:
    started = time.monotonic()
    ran = await trial.shell("f() { f | f & }; f; sleep 60", bounds=Bounds(timeout_s=3, processes=64))
    assert ran.ending is Ending.TIME or ran.returncode != 0
    assert time.monotonic() - started < 30


async def test_a_filled_disk_ends_the_run(trial: Trial) -> None:
    ran = await trial.shell(
        "while :; do head -c 4000000 /dev/zero > f$n; n=$((n+1)); done",
        bounds=Bounds(timeout_s=90, disk=20_000_000),
    )
    assert ran.ending is Ending.DISK
    for each in trial.folder.glob("f*"):
        each.unlink()
    one_file = await trial.shell(
        "head -c 99000000 /dev/zero > f", bounds=Bounds(timeout_s=90, disk=20_000_000)
    )
    assert not one_file.succeeded
    assert (trial.folder / "f").stat().st_size <= 21_000_000


async def test_nothing_survives_the_time_limit(trial: Trial) -> None:
    mark = f"ploinky-survivor-{os.getpid()}"
    stubborn = f"setsid sh -c 'trap \"\" TERM INT HUP; : {mark}; while :; do sleep 1; done'"
    script = f"({stubborn} &); nohup sleep 99 & sleep 99"
    ran = await trial.shell(script, bounds=Bounds(timeout_s=1))
    assert ran.ending is Ending.TIME
    alive = [each for each in Path("/proc").glob("[0-9]*/cmdline") if mark.encode() in _read(each)]
    assert alive == []


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


async def test_background_processes_end_with_the_run(trial: Trial) -> None:
    ran = await trial.shell("sleep 98 >/dev/null 2>&1 & echo done")
    assert ran.stdout == b"done\n"


async def test_privileges_cannot_be_gained(trial: Trial) -> None:
    script = (
        "cp /bin/sh s; chmod 4755 s; ./s -p -c 'id -u'; unshare -r id -u; unshare -m true && echo unshared; "
        "mount -t tmpfs x /tmp && echo mounted; mknod d b 8 0 && echo made; "
        "grep -E '^(CapEff|CapBnd):' /proc/self/status"
    )
    ran = await trial.shell(script)
    lines = ran.stdout.decode().split("\n")
    assert int(lines[0]) >= 1000
    assert [each for each in lines if each in ("0", "unshared", "mounted", "made")] == []
    assert all(each.split()[1].strip("0") == "" for each in lines if each.startswith("Cap"))


async def test_output_is_bounded(trial: Trial) -> None:
    ran = await trial.shell("head -c 5000000 /dev/zero", bounds=Bounds(timeout_s=90, output=1000))
    assert len(ran.stdout) == 1000


async def test_a_python_package_is_installed_through_the_proxy(trial: Trial, port: int) -> None:
    here = f"127.0.0.1:{port}"
    script = (
        "python3 -m pip install -q --no-cache-dir --disable-pip-version-check --target lib "
        f"--trusted-host 127.0.0.1 --index-url http://{here}/simple tide "
        "&& PYTHONPATH=lib python3 -c 'import tide; print(tide.HEIGHT)'"
    )
    ran = await trial.shell(script, hosts=here)
    if b"No module named pip" in ran.stderr:
        absent("pip", "the sandbox's Python has none")
    assert (ran.stdout, ran.succeeded) == (b"3\n", True), ran.stderr


async def test_a_node_package_is_installed_through_the_proxy(trial: Trial, port: int) -> None:
    if shutil.which("npm") is None:
        absent("npm", "it is not installed")
    here = f"127.0.0.1:{port}"
    script = (
        "npm install --no-audit --no-fund --ignore-scripts "
        f"--registry http://{here}/ tide-node "
        "&& node -e 'console.log(require(\"tide-node\"))'"
    )
    ran = await trial.shell(script, hosts=here)
    assert ran.succeeded, (ran.ending, ran.returncode, ran.stderr, ran.refused)
    assert ran.stdout.endswith(b"3\n")


@pytest.mark.usefixtures("curl")
async def test_a_download_is_used_only_if_its_digest_is_right(trial: Trial, port: int) -> None:
    import hashlib

    from tests.skills.registry import TOOL

    here = f"127.0.0.1:{port}"
    digest = hashlib.sha256(TOOL).hexdigest()
    for given, succeeds in ((digest, True), ("0" * 64, False)):
        script = f"curl -fsSo t http://{here}/tool && echo '{given}  t' | sha256sum -c - && sh t"
        ran = await trial.shell(script, hosts=here)
        assert (b"tide-tool" in ran.stdout) is succeeds
