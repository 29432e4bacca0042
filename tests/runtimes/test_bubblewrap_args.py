"""The command line of bwrap, piece by piece."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from ploinky.runtimes.bubblewrap_args import BwrapVersion, SandboxFiles, host_name, sandbox_args, user_ids
from ploinky.runtimes.bubblewrap_host import HostSystem, HostTool
from ploinky.runtimes.spec import Mount, Network, NetworkMode, Resources, RunSpec, Security

HOST = HostSystem(
    links=(("usr/bin", "/bin"), ("usr/lib", "/lib")),
    folders=(),
    etc=("ssl/certs", "localtime"),
    proc_read_only=("sys",),
    proc_hidden=("kcore",),
)
FILES = SandboxFiles(Path("/state/n/etc"), ("passwd", "hosts"), Path("/state/n/empty"))
SPEC = RunSpec(
    name="n",
    workspace="w",
    agent="demo agent",
    image="debian",
    socket_dir=Path("/run/p/n"),
    launcher_dir=Path("/opt/launcher"),
    log_path=Path("/log"),
)
NEW = BwrapVersion(0, 8)


def args_of(spec: RunSpec = SPEC, host: HostSystem = HOST, version: BwrapVersion = NEW) -> list[str]:
    return sandbox_args(spec, host, FILES, version)


def has(args: list[str], *words: str) -> bool:
    """Whether the words stand in the arguments one after the other."""
    size = len(words)
    return any(tuple(args[at : at + size]) == words for at in range(len(args)))


@pytest.mark.parametrize(
    "words",
    [
        ("--ro-bind", "/usr", "/usr"),
        ("--symlink", "usr/bin", "/bin"),
        ("--unshare-user",),
        ("--unshare-pid",),
        ("--unshare-ipc",),
        ("--unshare-uts",),
        ("--disable-userns",),
        ("--uid", "1000", "--gid", "1000"),
        ("--cap-drop", "ALL"),
        ("--new-session",),
        ("--as-pid-1",),
        ("--clearenv",),
        ("--hostname", "demo-agent"),
        ("--ro-bind", "/opt/launcher", "/Agent"),
        ("--bind", "/run/p/n", "/run/ploinky"),
        ("--ro-bind", "/state/n/etc/passwd", "/etc/passwd"),
        ("--ro-bind-try", "/etc/ssl/certs", "/etc/ssl/certs"),
        ("--ro-bind-try", "/proc/sys", "/proc/sys"),
        ("--ro-bind-try", "/dev/null", "/proc/kcore"),
        ("--dir", "/code"),
        ("--remount-ro", "/", "--chdir", "/"),
    ],
)
def test_every_sandbox_has(words: tuple[str, ...]) -> None:
    assert has(args_of(), *words)


@pytest.mark.parametrize(
    "word", ["--die-with-parent", "--unshare-net", "--share-net", "--cap-add", "--dev-bind"]
)
def test_no_ordinary_sandbox_has(word: str) -> None:
    assert word not in args_of()


@pytest.mark.parametrize("source", ["/etc", "/", "/home", "/root", "/var", "/run", "/tmp", "/sys"])
def test_no_shared_folder_of_the_host_is_bound(source: str) -> None:
    args = args_of()
    assert not any(first.endswith("bind") and second == source for first, second in pairwise(args))


def test_a_sandbox_without_a_network_has_its_own() -> None:
    assert "--unshare-net" in args_of(replace(SPEC, network=Network(NetworkMode.NONE)))


def test_the_spec_s_environment_comes_after_the_defaults() -> None:
    args = args_of(replace(SPEC, env=(("PATH", "/own"), ("X", "1"))))
    assert has(args, "--setenv", "PATH", "/own")
    assert has(args, "--setenv", "X", "1")
    assert args.count("PATH") == 1


def test_outer_mounts_come_before_inner_ones_and_masks_after() -> None:
    mounts = (
        Mount(Path("/h/deps"), "/code/node_modules", read_only=True),
        Mount(Path("/h/code"), "/code", read_only=False),
    )
    args = args_of(replace(SPEC, mounts=mounts, masks=("/code/.ploinky",)))
    at = [args.index(each) for each in ("/h/code", "/h/deps")]
    assert at == sorted(at)
    assert has(args, "--perms", "0555", "--size", "4096", "--tmpfs", "/code/.ploinky")
    assert has(args, "--remount-ro", "/code/.ploinky")
    assert args.index("/code/.ploinky") > args.index("/h/code")


def test_a_mount_inside_a_mask_is_made_before_the_mask_is_closed() -> None:
    mounts = (
        Mount(Path("/h/ws"), "/ws", read_only=False),
        Mount(Path("/h/repo"), "/ws/.ploinky/repos/r", read_only=False),
    )
    args = args_of(replace(SPEC, mounts=mounts, masks=("/ws/.ploinky",)))
    closed = next(at for at in range(len(args)) if args[at : at + 2] == ["--remount-ro", "/ws/.ploinky"])
    assert args.index("--tmpfs") < args.index("/h/repo") < closed


def test_a_masked_file_is_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "token").touch()
    args = args_of(replace(SPEC, mounts=(Mount(tmp_path, "/ws", read_only=False),), masks=("/ws/token",)))
    assert has(args, "--ro-bind", "/state/n/empty", "/ws/token")


def test_an_old_bwrap_is_not_asked_for_what_it_does_not_know() -> None:
    args = args_of(version=BwrapVersion(0, 6))
    assert not {"--size", "--disable-userns"} & set(args)


def test_what_lies_in_memory_is_at_most_half_of_it() -> None:
    args = args_of(replace(SPEC, resources=Resources(memory=1000)))
    assert has(args, "--size", "500", "--tmpfs", "/tmp")


def test_an_interpreter_outside_usr_is_shown_at_its_own_place() -> None:
    tool = HostTool("node", Path("/opt/node/bin/node"), Path("/opt/node"))
    args = args_of(host=replace(HOST, tools=(tool,)))
    assert has(args, "--ro-bind", "/opt/node", "/opt/node")
    assert has(args, "--symlink", "/opt/node/bin/node", "/opt/host/bin/node")
    assert any(each.startswith("/usr/local") and each.endswith(":/opt/host/bin") for each in args)


@pytest.mark.parametrize(
    ("user", "ids"),
    [(None, (1000, 1000)), ("33", (33, 33)), ("33:44", (33, 44)), ("postgres", (1000, 1000))],
)
def test_the_agent_sees_itself_as_the_spec_s_user(user: str | None, ids: tuple[int, int]) -> None:
    assert user_ids(replace(SPEC, security=Security(user=user))) == ids


@pytest.mark.parametrize(
    ("agent", "name"),
    [("demo", "demo"), ("my_agent.1", "my-agent-1"), ("___", "agent"), ("a" * 99, "a" * 63)],
)
def test_a_host_name_has_only_allowed_characters(agent: str, name: str) -> None:
    assert host_name(replace(SPEC, agent=agent)) == name
