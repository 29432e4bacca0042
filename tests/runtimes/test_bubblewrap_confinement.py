"""An agent in bubblewrap tries to get out, and to see what is not its own."""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
import pytest

from ploinky.base.errors import PloinkyError
from ploinky.base.waits import wait_until
from ploinky.runtimes import errors
from ploinky.runtimes.bubblewrap import BubblewrapRuntime
from ploinky.runtimes.bubblewrap_check import find_bwrap
from ploinky.runtimes.bubblewrap_host import find_tools
from ploinky.runtimes.spec import Mount, RunSpec
from tests.contract import engine_bubblewrap
from tests.contract.inside import sh, text_of

pytestmark = pytest.mark.bubblewrap
SECRET = "hunter2-hunter2"


@dataclass(frozen=True)
class Cell:
    """A running sandbox in global mode, and what lies around it on the host."""

    spec: RunSpec
    workspace: Path
    outside: Path


@pytest.fixture
async def cell(short_folder: Path) -> AsyncIterator[Cell]:
    reason = await anyio.to_thread.run_sync(engine_bubblewrap.unusable)
    if reason is not None:
        pytest.skip(reason)
    workspace, outside = short_folder / "ws", short_folder / "outside"
    for folder in (workspace / ".ploinky", workspace / "agents" / "me", outside):
        folder.mkdir(parents=True)
    for file in (workspace / ".ploinky" / ".secrets", outside / "secret"):
        file.write_text(SECRET)
    repository = short_folder / "code"
    repository.mkdir()
    (repository / "manifest.json").write_text("{}")
    base = engine_bubblewrap.base_spec(short_folder)
    base.socket_dir.mkdir()
    mounts = (
        Mount(repository, "/code", read_only=True),
        Mount(repository, "/agent", read_only=True),
        Mount(workspace, str(workspace), read_only=False),
    )
    spec = replace(base, mounts=mounts, masks=(str(workspace / ".ploinky"),))
    runtime = BubblewrapRuntime(short_folder / "state", os.environ)
    _ = [line async for line in runtime.create(spec)]
    await runtime.start(spec.name)
    yield Cell(spec, workspace, outside)
    await runtime.remove(spec.name)


REFUSED = {
    "read the secrets of the workspace": "cat {workspace}/.ploinky/.secrets",
    "write where the workspace is managed": "echo x > {workspace}/.ploinky/x",
    "put another folder in its place": "mv {workspace}/.ploinky {workspace}/gone",
    "unmount the mask": "umount {workspace}/.ploinky || umount -l {workspace}/.ploinky",
    "read beside the workspace": "cat {outside}/secret",
    "read the home of root": "find /root -maxdepth 1 -type f | grep .",
    "read the password file": "cat /etc/shadow",
    "write the code": "echo x > /code/x || echo x >> /code/manifest.json",
    "make the code writable": "chmod u+w /code && touch /code/x",
    "remount the code": "mount -o remount,rw /code",
    "write the system": "touch /usr/x /etc/x /x",
    "write the launcher": "echo x >> /Agent/launcher",
    "mount anything": "mount -t tmpfs none /tmp",
    "make a user namespace": "unshare -U true",
    "make a mount namespace": "unshare -m true",
    "become root": "su -c true root || sudo -n true",
    "change the kernel's settings": "cat /proc/sys/kernel/core_pattern > /proc/sys/kernel/core_pattern",
    "press the magic key": "echo h > /proc/sysrq-trigger",
    "make a device": "mknod /tmp/sda b 8 0",
    "read the kernel's messages": "dmesg",
    "leave by the root of the first process": "cat /proc/1/root{outside}/secret",
    "leave by its own root": "cat /proc/self/root{outside}/secret",
    "change the host's name": "hostname other",
    "load a module": "modprobe dummy",
    "write into control groups": "echo 0 > /sys/fs/cgroup/memory/cgroup.procs",
    "read the kernel's keys": "cat /proc/keys",
}


@pytest.mark.parametrize("attempt", REFUSED)
async def test_an_agent_cannot(cell: Cell, attempt: str) -> None:
    script = REFUSED[attempt].format(workspace=cell.workspace, outside=cell.outside)
    done = await sh(cell.spec, script)
    assert not done.exit.ok, done.stdout
    assert SECRET.encode() not in done.stdout
    assert (cell.workspace / ".ploinky" / ".secrets").read_text() == SECRET


async def test_an_agent_has_no_rights_to_give_up(cell: Cell) -> None:
    status = await text_of(cell.spec, "cat /proc/self/status")
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    rights = {name: facts[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
    assert set(rights.values()) == {"0000000000000000"}
    assert (facts["NoNewPrivs"], facts["Seccomp"]) == ("1", "2")


async def test_an_agent_sees_only_its_own_processes(cell: Cell) -> None:
    mine = os.getpid()
    pids = [int(each) for each in (await text_of(cell.spec, "ls /proc")).split() if each.isdigit()]
    assert len(pids) < 10
    lines = await text_of(cell.spec, "cat /proc/[0-9]*/cmdline | tr '\\0' '\\n'")
    assert "pytest" not in lines
    assert not (await sh(cell.spec, f"kill -0 {mine} 2>&1 && test {mine} -gt 100")).exit.ok


async def test_programs_with_the_setuid_bit_stay_what_they_are(cell: Cell) -> None:
    assert await text_of(cell.spec, "cp /usr/bin/id /tmp/id; chmod 4755 /tmp/id; /tmp/id -u") == "1000"
    assert await text_of(cell.spec, "awk '$5 == \"/usr\"' /proc/self/mountinfo | grep -c nosuid") == "1"


async def test_an_agent_sees_no_file_system_but_its_own(cell: Cell) -> None:
    points = (await text_of(cell.spec, "cut -d' ' -f5 /proc/self/mountinfo")).splitlines()
    own = (
        "/usr",
        "/etc/",
        "/proc",
        "/dev",
        "/tmp",
        "/home/agent",
        "/code",
        "/agent",
        "/Agent",
        "/run/ploinky",
        "/opt/host/bin/uv",
        *(str(each.prefix) for each in find_tools(os.environ) if each.prefix is not None),
    )
    strangers = [each for each in points if each != "/" and not each.startswith((*own, str(cell.workspace)))]
    assert strangers == []


async def test_the_root_holds_nothing_of_the_host(cell: Cell) -> None:
    shown = {each.prefix.parts[1] for each in find_tools(os.environ) if each.prefix is not None}
    names = set((await text_of(cell.spec, "ls -A /")).split())
    own = "Agent agent code bin sbin lib lib32 lib64 libx32 usr etc opt dev proc tmp var run home"
    assert names - shown <= set(own.split())
    assert await text_of(cell.spec, "ls -A /home /home/agent /run /var") != ""
    assert await text_of(cell.spec, "ls -A /run") == "ploinky"
    assert await text_of(cell.spec, "find /opt -type f 2>/dev/null || true") in ("", "/opt/host/bin/uv")
    assert await text_of(cell.spec, "cut -d: -f1 /etc/passwd | tr '\\n' ' '") == "root agent nobody "


async def test_private_places_can_be_written_and_are_gone_after(cell: Cell) -> None:
    assert (
        await text_of(
            cell.spec,
            "for d in /tmp /var/tmp /dev/shm $HOME /home/agent; do "
            "echo x > ${d:-/tmp}/made-here; done; ls /tmp/made-here",
        )
        == "/tmp/made-here"
    )
    assert not Path("/tmp/made-here").exists()


def processes_with(word: str) -> list[str]:
    """Pids of this machine's processes whose command line has the word."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if word.encode() in words:
            found.append(folder.name)
    return found


async def test_what_an_agent_starts_dies_with_it_even_as_an_orphan(cell: Cell, short_folder: Path) -> None:
    script = "import os,sys,time\nchild = os.fork()\nif child: sys.exit(os.waitpid(child, 0)[1])\n"
    script += "os.setsid()\nif os.fork(): sys.exit()\n"
    script += f"open({str(cell.workspace / 'up')!r}, 'w').close()\ntime.sleep(600)"
    (cell.workspace / "daemon.py").write_text(script)
    await sh(cell.spec, f"/usr/bin/python3 {cell.workspace}/daemon.py < /dev/null > /dev/null 2>&1")

    async def up() -> bool:
        return (cell.workspace / "up").exists()

    await wait_until(up, what="the daemon", timeout_s=10)
    assert processes_with(f"{cell.workspace}/daemon.py") != []
    await BubblewrapRuntime(short_folder / "state", os.environ).stop(cell.spec.name, grace_s=0.1)
    assert processes_with(f"{cell.workspace}/daemon.py") == []


async def test_the_host_s_interpreters_are_there(cell: Cell) -> None:
    if not Path("/usr/bin/python3").exists():
        pytest.skip("no Python under /usr")
    assert await text_of(cell.spec, "/usr/bin/python3 -c 'import ssl, sqlite3; print(1)'") == "1"


async def test_a_terminal_can_be_had(cell: Cell) -> None:
    done = await text_of(cell.spec, "/usr/bin/python3 -c 'import pty; pty.spawn([\"/usr/bin/tty\"])'")
    assert done.strip() == "/dev/pts/0"


async def test_an_agent_cannot_lead_the_host_to_another_launcher(cell: Cell, short_folder: Path) -> None:
    other = replace(cell.spec, name=f"{cell.spec.name}-other", socket_dir=short_folder / "sockets" / "other")
    other.socket_dir.mkdir()
    runtime = BubblewrapRuntime(short_folder / "state", os.environ)
    _ = [line async for line in runtime.create(other)]
    await runtime.start(other.name)
    await sh(cell.spec, f"rm /run/ploinky/l.sock; ln -s {other.socket_path} /run/ploinky/l.sock")
    with pytest.raises(PloinkyError) as refused:
        await sh(cell.spec, "true")
    assert refused.value.code == "CHANNEL_UNREACHABLE"
    await runtime.remove(cell.spec.name)
    assert await text_of(other, "echo unharmed") == "unharmed"
    await runtime.remove(other.name)


async def test_an_agent_cannot_keep_itself_from_being_removed(cell: Cell, short_folder: Path) -> None:
    deep = "import os\nos.mkdir('l.sock')\nos.chdir('l.sock')\n"
    deep += "for _ in range(3000):\n    os.mkdir('d' * 99)\n    os.chdir('d' * 99)\nos.chmod('.', 0)"
    (cell.workspace / "deep.py").write_text(deep)
    script = (
        f"cd /run/ploinky; mkdir other; touch other/x; chmod 0 other; rm l.sock; python3 {cell.workspace}"
    )
    await text_of(cell.spec, f"{script}/deep.py; chmod 0 l.sock")
    runtime = BubblewrapRuntime(short_folder / "state", os.environ)
    await runtime.remove(cell.spec.name)
    assert list(cell.spec.socket_dir.iterdir()) == []


async def test_an_agent_reaches_no_abstract_socket_of_the_host_but_its_own(cell: Cell) -> None:
    """In the host's network such a socket has no file that could be hidden, and trusts by user."""
    if not _scopes_sockets():
        pytest.skip("this kernel cannot confine abstract sockets")
    name = f"ploinky-{cell.workspace.parent.name}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{name}")
        listener.listen()
        connect = "import socket; socket.socket(socket.AF_UNIX).connect"
        done = await sh(cell.spec, f"python3 -c '{connect}(\"\\0{name}\")'")
        assert not done.exit.ok
        assert b"PermissionError" in done.stderr
    serve = f's = socket.socket(socket.AF_UNIX); s.bind("\\0{name}"); s.listen(); '
    own = f"import socket; {serve}socket.socket(socket.AF_UNIX).connect('\\0{name}')"
    (cell.workspace / "own.py").write_text(own)
    assert (await sh(cell.spec, f"python3 {cell.workspace}/own.py")).exit.ok


def _scopes_sockets() -> bool:
    """Landlock's version 6 or later (Linux 6.12)."""
    return int(ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1)) >= 6


@pytest.mark.parametrize("kind", ["folder", "file"])
async def test_a_source_that_became_a_link_while_the_sandbox_was_made_is_not_followed(
    short_folder: Path, kind: str
) -> None:
    """Another agent may replace it between the last look at it and the mount; here bwrap's caller does."""
    reason = await anyio.to_thread.run_sync(engine_bubblewrap.unusable)
    real = await find_bwrap(os.environ)
    if reason is not None or not real.knows_bind_fd:
        pytest.skip(reason or "this bwrap does not know --bind-fd")
    data, outside = short_folder / "data", short_folder / "outside"
    for folder, text in ((data, "own"), (outside, SECRET)):
        folder.mkdir()
        (folder / "word").write_text(text)
    swapper = short_folder / "bin" / "bwrap"
    swapper.parent.mkdir()
    swap = f'mv "{data}" "{data}.former"; ln -s "{outside}" "{data}"'
    swapper.write_text(f'#!/bin/sh\ncase "$*" in *--args*) {swap};; esac\nexec {real.path} "$@"\n')
    swapper.chmod(0o755)
    base = engine_bubblewrap.base_spec(short_folder)
    base.socket_dir.mkdir()
    source, target = (data, "/data") if kind == "folder" else (data / "word", "/data/word")
    spec = replace(base, mounts=(Mount(source, target, read_only=False),))
    path = f"{swapper.parent}:{os.environ['PATH']}"
    runtime = BubblewrapRuntime(short_folder / "state", {**os.environ, "PATH": path})
    _ = [line async for line in runtime.create(spec)]
    try:
        await runtime.start(spec.name)
        assert data.is_symlink(), "the swap happened"
        assert await text_of(spec, "cat /data/word") == "own"
    finally:
        await runtime.remove(spec.name)


async def test_a_source_that_is_a_link_is_refused(short_folder: Path) -> None:
    (short_folder / "way").symlink_to("/etc")
    base = engine_bubblewrap.base_spec(short_folder)
    spec = replace(base, mounts=(Mount(short_folder / "way", "/data", read_only=True),))
    runtime = BubblewrapRuntime(short_folder / "state", os.environ)
    with pytest.raises(PloinkyError) as refused:
        _ = [line async for line in runtime.create(spec)]
    assert refused.value.code == errors.CREATE_FAILED
