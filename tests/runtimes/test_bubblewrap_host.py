"""What of a host is shown, and why it may refuse sandboxes."""

from __future__ import annotations

from pathlib import Path

import pytest

from ploinky.runtimes.bubblewrap_check import explain_refusal
from ploinky.runtimes.bubblewrap_host import find_host_system, find_tools, made_up_etc


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_a_merged_host_is_shown_by_links_and_another_by_folders(tmp_path: Path) -> None:
    (tmp_path / "usr" / "bin").mkdir(parents=True)
    (tmp_path / "bin").symlink_to("usr/bin")
    (tmp_path / "lib").mkdir()
    host = find_host_system({}, tmp_path)
    assert (host.links, host.folders) == ((("usr/bin", "/bin"),), ("/lib",))


def test_of_etc_only_what_holds_no_secret_is_shown(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    for each in ("ssl/certs/ca.pem", "ssl/private/key.pem", "shadow", "gshadow", "sudoers", "krb5.keytab",
                 "ssh/ssh_host_rsa_key", "java-17-openjdk/x", "ld.so.cache", "passwd"):  # fmt: skip
        (etc / each).parent.mkdir(parents=True, exist_ok=True)
        (etc / each).write_text("x")
    assert set(find_host_system({}, tmp_path).etc) == {"ssl/certs", "java-17-openjdk", "ld.so.cache"}


def test_an_interpreter_in_usr_needs_nothing_more(tmp_path: Path) -> None:
    program(tmp_path / "usr" / "bin" / "node")
    other = program(tmp_path / "opt" / "node" / "bin" / "node")
    assert find_tools({"PATH": str(other.parent), "HOME": "/home/me"}, tmp_path) == ()


def test_an_interpreter_elsewhere_is_shown_with_its_installation_only(tmp_path: Path) -> None:
    real = program(tmp_path / "home" / "me" / ".nvm" / "v22" / "bin" / "node")
    link = tmp_path / "bin"
    link.mkdir()
    (link / "node").symlink_to(real)
    home = tmp_path / "home" / "me"
    found = find_tools({"PATH": str(link), "HOME": str(home)}, tmp_path)
    assert [(each.name, each.executable, each.prefix) for each in found] == [
        ("node", real.resolve(), real.resolve().parent.parent)
    ]


def test_npm_comes_with_a_node_that_has_it(tmp_path: Path) -> None:
    node = program(tmp_path / "opt" / "node" / "bin" / "node")
    npm = program(tmp_path / "opt" / "node" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")
    (found,) = find_tools({"PATH": str(node.parent)}, tmp_path)
    assert found.commands == (("node", node), ("npm", npm))


def test_a_program_of_one_file_is_shown_alone_even_from_a_home_folder(tmp_path: Path) -> None:
    real = program(tmp_path / "home" / "me" / ".local" / "bin" / "uv")
    (found,) = find_tools({"PATH": str(real.parent), "HOME": str(tmp_path / "home" / "me")}, tmp_path)
    assert (found.name, found.executable, found.prefix) == ("uv", real, None)


@pytest.mark.parametrize("place", ["home/me/bin", "home/me/.local/bin", "home/bin"])
def test_an_interpreter_whose_folder_is_a_home_is_not_shown(tmp_path: Path, place: str) -> None:
    real = program(tmp_path / place / "node")
    home = tmp_path / "home" / "me"
    assert find_tools({"PATH": str(real.parent), "HOME": str(home)}, tmp_path) == ()


def test_the_made_up_users_are_the_agent_and_nobody_of_the_host() -> None:
    etc = made_up_etc("demo", uid=33, gid=44, resolv_conf="nameserver 1.2.3.4\n", hosts="10.0.0.1 db\n")
    assert "agent:x:33:44:agent:/home/agent:/bin/sh" in etc["passwd"].splitlines()
    assert {line.split(":")[0] for line in etc["passwd"].splitlines()} == {"root", "agent", "nobody"}
    assert "127.0.0.1 localhost demo" in etc["hosts"].splitlines()
    assert "10.0.0.1 db" in etc["hosts"].splitlines()
    assert etc["resolv.conf"] == "nameserver 1.2.3.4\n"


@pytest.mark.parametrize(
    ("file", "value", "words", "remedy"),
    [
        ("proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", "AppArmor", "/etc/apparmor.d/bwrap"),
        ("proc/sys/kernel/unprivileged_userns_clone", "0", "ordinary users", "unprivileged_userns_clone=1"),
        ("proc/sys/user/max_user_namespaces", "0", "limited to 0", "max_user_namespaces=15000"),
        (".dockerenv", "", "container", "--security-opt"),
        ("run/.containerenv", "", "container", "--security-opt"),
        ("other", "", "cannot make a sandbox", "bwrap"),
    ],
)
def test_a_refusal_is_explained_with_its_remedy(
    tmp_path: Path, file: str, value: str, words: str, remedy: str
) -> None:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(f"{value}\n")
    reason, hint = explain_refusal(tmp_path)
    assert words in reason
    assert remedy in hint


@pytest.mark.parametrize(
    ("file", "value"),
    [
        ("kernel/apparmor_restrict_unprivileged_userns", "0"),
        ("kernel/unprivileged_userns_clone", "1"),
        ("user/max_user_namespaces", "96365"),
    ],
)
def test_an_open_lock_is_not_blamed(tmp_path: Path, file: str, value: str) -> None:
    (tmp_path / "proc/sys" / file).parent.mkdir(parents=True)
    (tmp_path / "proc/sys" / file).write_text(value)
    assert explain_refusal(tmp_path)[0] == "bwrap cannot make a sandbox here"
