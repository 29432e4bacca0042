"""The names that an agent knows: from rows as the engine reports them, and as a file that is open."""

from __future__ import annotations

from pathlib import Path

from ploinky.runtimes.engine_config import LABEL_ALIASES
from ploinky.runtimes.engine_models import ContainerRow
from ploinky.runtimes.engine_names import HostsFiles, hosts_text, names_of

BASE, LINK = "ploinky_w", "ploinky_w_a__to__db"


def row(name: str, aliases: str, **addresses: str) -> ContainerRow:
    """A container; ``base`` and ``link`` are its addresses in the two networks."""
    networks = {BASE if word == "base" else LINK: {"IPAddress": each} for word, each in addresses.items()}
    for network in (networks[BASE],) if BASE in networks else ():
        network["Gateway"] = "10.1.0.1"
    return ContainerRow.model_validate(
        {
            "Id": f"{name:0<64}",
            "Names": [f"/{name}"],
            "Labels": {LABEL_ALIASES: aliases},
            "NetworkSettings": {"Networks": networks},
        }
    )


def test_an_agent_knows_the_host_itself_and_those_at_the_other_end_of_a_link() -> None:
    asking = row("ca", "a", base="10.1.0.2", link="10.2.0.2")
    database = row("cd", "db,postgres", base="10.1.0.3", link="10.2.0.3")
    stranger = row("cs", "c", base="10.1.0.4")
    known = names_of(asking, [asking, database, stranger], {LINK})
    assert known["10.1.0.1"] == ["host.containers.internal", "host.docker.internal"]
    assert known["10.2.0.3"][:2] == ["db", "postgres"]
    assert not {"10.1.0.3", "10.1.0.4"} & set(known)


def test_an_agent_that_does_not_run_has_no_name() -> None:
    asking = row("ca", "a", link="10.2.0.2")
    assert list(names_of(asking, [asking, row("cd", "db", link="")], {LINK})) == ["10.2.0.2"]


def test_nobody_takes_a_name_that_the_agent_has_itself() -> None:
    asking = row("ca", "db", link="10.2.0.2")
    known = names_of(asking, [asking, row("cd", "db", link="10.2.0.3")], {LINK})
    assert "db" not in known["10.2.0.3"]


def test_further_names_of_this_machine_are_kept_and_its_own_are_not() -> None:
    of_host = "127.0.1.1 laptop\n# 10.9.9.8 off\n10.9.9.9 registry.corp  # inside\n10.9.9.7 db\nbroken\n"
    text = hosts_text({"10.2.0.3": ["db"]}, of_host)
    assert text.splitlines()[2:] == ["10.2.0.3 db", "10.9.9.9 registry.corp"]


def test_a_file_that_is_open_sees_new_names_and_never_half_of_them(tmp_path: Path) -> None:
    files = HostsFiles(tmp_path, of_host=tmp_path / "none")
    path = files.ensure("w", "ca")
    files.write("w", "ca", {"10.2.0.3": [f"name{number}" for number in range(900)]})
    with path.open() as reader:
        files.write("w", "ca", {"10.2.0.4": ["db"]})
        assert (
            reader.read().rstrip()
            == "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n10.2.0.4 db"
        )
    assert path.stat().st_size % 4096 == 0


def test_files_of_containers_that_are_gone_are_removed(tmp_path: Path) -> None:
    files = HostsFiles(tmp_path, of_host=tmp_path / "none")
    for name in ("ca", "cd"):
        files.ensure("w", name)
    files.keep("w", {"cd"})
    assert [path.name for path in (tmp_path / "names" / "w").iterdir()] == ["cd"]
    files.keep("w", set())
    assert list((tmp_path / "names").iterdir()) == []
