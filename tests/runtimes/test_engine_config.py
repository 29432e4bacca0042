"""A spec in the engine's words, without an engine: what is asked for and what must never be."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ploinky.base.errors import PloinkyError
from ploinky.runtimes import errors
from ploinky.runtimes.docker import DOCKER
from ploinky.runtimes.engine_bridges import NEIGHBOURS, bridge_name, isolate_ports, rule_args
from ploinky.runtimes.engine_config import Attachment, CreateBody, Facts, create_body
from ploinky.runtimes.engine_models import EngineEvent, EngineInfo
from ploinky.runtimes.engine_network import mac_address, wanted_links, wanted_subnet
from ploinky.runtimes.engine_streams import event_moment, log_parameters
from ploinky.runtimes.podman import PODMAN
from ploinky.runtimes.protocol import RuntimeEvent, RuntimeEventKind
from ploinky.runtimes.spec import Mount, Network, NetworkMode, PublishedPort, Resources, RunSpec, Security

ROOTFUL = Facts(rootless=False, limits=True, selinux=False)
ROOTLESS = Facts(rootless=True, limits=False, selinux=True)


@pytest.fixture
def spec(tmp_path: Path) -> RunSpec:
    for name in ("sockets", "launcher", "code", "deps"):
        (tmp_path / name).mkdir()
    return RunSpec(
        name="ploinky_demo_files_0",
        workspace="0" * 16,
        agent="files",
        image="busybox:stable",
        socket_dir=tmp_path / "sockets",
        launcher_dir=tmp_path / "launcher",
        log_path=tmp_path / "log",
    )


def body_of(
    spec: RunSpec, *, user: str = "0:0", facts: Facts = ROOTFUL, base: Attachment | None = None
) -> CreateBody:
    return create_body(spec, base=base, user=user, traits=PODMAN.traits, facts=facts)


def host(body: CreateBody, key: str) -> object:
    return body["HostConfig"].get(key)


def test_the_launcher_is_the_first_process_and_the_image_s_command_is_not_run(spec: RunSpec) -> None:
    body = body_of(spec)
    assert body["Entrypoint"] == ["/Agent/launcher", "serve", "--socket", "/run/ploinky/l.sock"]
    assert body["Cmd"] == []


def test_every_capability_is_dropped_and_only_named_ones_come_back(spec: RunSpec) -> None:
    body = body_of(replace(spec, security=Security(capabilities=("NET_BIND_SERVICE",))))
    assert host(body, "CapDrop") == ["ALL"]
    assert host(body, "CapAdd") == ["NET_BIND_SERVICE"]
    assert host(body, "SecurityOpt") == ["no-new-privileges"]


def test_a_host_with_selinux_does_not_hide_the_mounts(spec: RunSpec) -> None:
    assert host(body_of(spec, facts=ROOTLESS), "SecurityOpt") == ["no-new-privileges", "label=disable"]


def test_limits_are_asked_for_only_where_they_hold(spec: RunSpec) -> None:
    limited = replace(spec, resources=Resources(cpus=1.5, memory=64, pids=9))
    found = {key: host(body_of(limited), key) for key in ("Memory", "MemorySwap", "NanoCpus", "PidsLimit")}
    assert found == {"Memory": 64, "MemorySwap": 64, "NanoCpus": 1_500_000_000, "PidsLimit": 9}
    assert host(body_of(limited, facts=ROOTLESS), "Memory") is None


def test_a_rootless_podman_maps_its_user_to_the_one_wanted_inside(spec: RunSpec) -> None:
    assert host(body_of(spec, user="1000:1000", facts=ROOTLESS), "UsernsMode") == "keep-id:uid=1000,gid=1000"
    assert host(body_of(spec, user="1000:1000"), "UsernsMode") is None


def test_a_masked_folder_is_an_empty_tmpfs_that_copies_nothing_up(spec: RunSpec, tmp_path: Path) -> None:
    (tmp_path / "code" / ".control").mkdir()
    (tmp_path / "code" / "token").write_text("hidden")
    masked = replace(
        spec,
        mounts=(Mount(tmp_path / "code", "/code", read_only=False),),
        masks=("/code/.control", "/code/token", "/code/absent"),
    )
    tmpfs = host(body_of(masked), "Tmpfs")
    assert tmpfs == {"/code/.control": "ro,nosuid,nodev,noexec,size=64k,mode=0555,notmpcopyup"}
    mounts = json.dumps(host(body_of(masked), "Mounts"))
    assert '"/code/token"' in mounts
    assert "absent" not in mounts
    docker = create_body(masked, base=None, user="0:0", traits=DOCKER.traits, facts=ROOTFUL)
    assert "tmpcopyup" not in json.dumps(docker)


def test_outer_mounts_come_before_inner_ones(spec: RunSpec, tmp_path: Path) -> None:
    (tmp_path / "code" / "deps").mkdir()
    mounts = (
        Mount(tmp_path / "deps", "/code/deps", read_only=True),
        Mount(tmp_path / "code", "/code", read_only=True),
    )
    found = host(body_of(replace(spec, mounts=mounts)), "Mounts")
    assert isinstance(found, list)
    targets = [each["Target"] for each in found]
    assert targets.index("/code") < targets.index("/code/deps")


def test_a_mount_point_missing_below_a_read_only_mount_is_told_before(spec: RunSpec, tmp_path: Path) -> None:
    mounts = (
        Mount(tmp_path / "code", "/code", read_only=True),
        Mount(tmp_path / "deps", "/code/node_modules", read_only=True),
    )
    with pytest.raises(PloinkyError) as refused:
        body_of(replace(spec, mounts=mounts))
    assert refused.value.code == errors.CREATE_FAILED
    assert str(tmp_path / "code" / "node_modules") in (refused.value.hint or "")


def test_a_port_may_be_published_at_several_addresses(spec: RunSpec) -> None:
    ports = (PublishedPort(80), PublishedPort(80, 8080, "10.0.0.1"), PublishedPort(53, 53, protocol="udp"))
    assert host(body_of(replace(spec, ports=ports)), "PortBindings") == {
        "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}, {"HostIp": "10.0.0.1", "HostPort": "8080"}],
        "53/udp": [{"HostIp": "127.0.0.1", "HostPort": "53"}],
    }


@pytest.mark.parametrize(("mode", "word"), [(NetworkMode.NONE, "none"), (NetworkMode.HOST, "host")])
def test_the_other_networks_are_the_engine_s_own(spec: RunSpec, mode: NetworkMode, word: str) -> None:
    assert host(body_of(replace(spec, network=Network(mode, peers=("db",)))), "NetworkMode") == word
    assert wanted_links(replace(spec, network=Network(mode, peers=("db",)))) == {}


def test_the_folder_of_work_is_one_that_is_there(spec: RunSpec, tmp_path: Path) -> None:
    assert body_of(spec)["WorkingDir"] == "/"
    mounted = replace(spec, mounts=(Mount(tmp_path / "code", "/code", read_only=True),))
    assert body_of(mounted)["WorkingDir"] == "/code"


def test_links_join_an_agent_to_what_it_enables_and_to_a_named_network(spec: RunSpec) -> None:
    links = wanted_links(replace(spec, network=Network(peers=("db", "files"), name="team")))
    assert set(links) == {f"ploinky_{'0' * 16}_files__to__db", f"ploinky_{'0' * 16}__named__team"}


def test_a_workspace_has_one_subnet_and_a_port_one_address() -> None:
    assert wanted_subnet("a") == wanted_subnet("a") != wanted_subnet("b")
    assert wanted_subnet("a").is_private
    assert mac_address("x", "n") == mac_address("x", "n") != mac_address("y", "n")
    assert mac_address("x", "n").startswith("02:")
    assert len(bridge_name("ploinky_" + "0" * 16)) <= 15


def test_nothing_is_forwarded_from_a_bridge_to_other_containers() -> None:
    rules = rule_args("pk0")
    assert [rule[rule.index("-o") + 1] for rule in rules] == list(NEIGHBOURS)
    assert {"pk+", "pl+", "podman+", "docker0"} <= set(NEIGHBOURS)
    assert all(rule[1:3] == ["-i", "pk0"] and rule[-1] == "DROP" for rule in rules)


def test_every_port_of_a_bridge_is_isolated(tmp_path: Path) -> None:
    ports = [tmp_path / bridge_name("net") / "brif" / name for name in ("veth0", "veth1")]
    for port in ports:
        port.mkdir(parents=True)
        (port / "isolated").write_text("0")
    isolate_ports("net", tmp_path)
    assert [(port / "isolated").read_text() for port in ports] == ["1", "1"]


@pytest.mark.parametrize(
    ("line", "event"),
    [
        ({"Action": "died", "code": "containerExitCode"}, RuntimeEvent(RuntimeEventKind.DIED, "x", 137)),
        ({"Action": "die", "code": "exitCode"}, RuntimeEvent(RuntimeEventKind.DIED, "x", 137)),
        ({"Action": "destroy", "code": "exitCode"}, RuntimeEvent(RuntimeEventKind.REMOVED, "x")),
        ({"Action": "remove", "code": "exitCode"}, RuntimeEvent(RuntimeEventKind.REMOVED, "x")),
        ({"Action": "start", "code": "exitCode"}, RuntimeEvent(RuntimeEventKind.STARTED, "x")),
        ({"Action": "attach", "code": "exitCode"}, None),
    ],
)
def test_both_engines_words_for_an_event_are_one(line: dict[str, str], event: RuntimeEvent | None) -> None:
    actor = {"Attributes": {"name": "x", line["code"]: "137"}}
    found = EngineEvent.model_validate({"Action": line["Action"], "Actor": actor, "timeNano": 1})
    assert found.event() == event


@pytest.mark.parametrize(
    ("answer", "rootless", "limits"),
    [
        ({"SecurityOptions": ["name=seccomp,profile=default"], "CgroupVersion": "1"}, False, True),
        ({"SecurityOptions": ["name=rootless"], "CgroupVersion": "1"}, True, False),
        ({"SecurityOptions": None, "Rootless": True, "CgroupVersion": "1"}, True, False),
        ({"SecurityOptions": None, "Rootless": True, "CgroupVersion": "2"}, True, True),
    ],
)
def test_an_engine_s_limits_hold_or_it_is_said(
    answer: dict[str, object], rootless: bool, limits: bool
) -> None:
    info = EngineInfo.model_validate(answer)
    assert (info.rootless, info.limits) == (rootless, limits)


def test_moments_are_told_in_seconds_and_never_twice() -> None:
    assert event_moment(1_700_000_000_000_001_000) == "1700000000.000002"
    assert log_parameters(follow=False, tail=3, since="1970-01-01T00:00:01.500+00:00") == {
        "stdout": "1",
        "stderr": "1",
        "follow": "0",
        "tail": "3",
        "since": "1.500000",
    }
