"""What Podman adds to the contract: networks, rights, nothing stored, a service that comes and goes."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, closing
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from ploinky.base.errors import PloinkyError
from ploinky.base.waits import wait_until
from ploinky.channel.client import open_channel
from ploinky.channel.model import LaunchRequest
from ploinky.runtimes import errors
from ploinky.runtimes.podman import PodmanRuntime
from ploinky.runtimes.podman_service import OwnService
from ploinky.runtimes.protocol import RuntimeEventKind, SandboxState
from ploinky.runtimes.spec import Mount, Network, NetworkMode, PublishedPort, RunSpec
from tests import engines
from tests.contract import engine_podman
from tests.contract.engine_under_test import EngineUnderTest, create
from tests.contract.inside import DEADLINE_S, events_of, launch, sh, text_of

pytestmark = pytest.mark.podman
ANSWER = "while :; do echo {word} | nc -l -p 9000; done"
IP_FREEBIND = 15


@pytest.fixture
def short_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="pp-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
async def engine(short_folder: Path) -> AsyncIterator[EngineUnderTest]:
    reason = engine_podman.unusable()
    if reason is not None:
        engines.absent("podman", reason)
    async with engine_podman.engine(short_folder) as under_test:
        yield under_test
        runtime = under_test.open_runtime()
        for each in under_test.names:
            await runtime.remove(each)
        await runtime.aclose()


@pytest.fixture
async def runtime(engine: EngineUnderTest) -> AsyncIterator[PodmanRuntime]:
    made = engine.open_runtime()
    assert isinstance(made, PodmanRuntime)
    yield made
    await made.aclose()


async def started(runtime: PodmanRuntime, spec: RunSpec) -> RunSpec:
    await create(runtime, spec)
    await runtime.start(spec.name)
    return spec


async def address(spec: RunSpec, network: str) -> str:
    """The agent's own IPv4 address in a network."""
    form = f"{{{{(index .NetworkSettings.Networks {network!r}).IPAddress}}}}".replace("'", '"')
    return subprocess.run(
        ["podman", "inspect", "--format", form, spec.name], capture_output=True, text=True, check=True
    ).stdout.strip()


async def asked(spec: RunSpec, host: str, port: int = 9000) -> str:
    """What something at ``host`` says to an agent within a second."""
    return await text_of(spec, f"nc -w 1 {host} {port} </dev/null 2>/dev/null; true")


async def heard(spec: RunSpec, host: str, word: str) -> bool:
    """Whether ``word`` is said at ``host``, which is deaf for a moment after each answer."""

    async def said() -> bool:
        return await asked(spec, host) == word

    await wait_until(said, what=f"{word} from {host}", timeout_s=DEADLINE_S)
    return True


async def serving(spec: RunSpec, word: str) -> None:
    await launch(spec, ANSWER.format(word=word))
    await heard(spec, "127.0.0.1", word)


async def test_agents_do_not_reach_each_other(engine: EngineUnderTest, runtime: PodmanRuntime) -> None:
    asking, other = [await started(runtime, engine.spec(each)) for each in ("a", "b")]
    await serving(other, "other")
    target = await address(other, f"ploinky_{other.workspace}")
    assert await asked(asking, target) == ""
    assert await heard(other, target, "other")


async def test_agents_of_two_workspaces_do_not_reach_each_other(
    engine: EngineUnderTest, runtime: PodmanRuntime
) -> None:
    asking = await started(runtime, engine.spec("a"))
    other = await started(runtime, engine.spec("b", workspace=f"{engine.base.workspace}-other"))
    third = await started(runtime, engine.spec("c", workspace=f"{engine.base.workspace}-third"))
    await serving(other, "other")
    await runtime.remove(third.name)  # netavark forgets all isolation when one isolated network ends
    assert await asked(asking, await address(other, f"ploinky_{other.workspace}")) == ""


async def test_an_agent_reaches_what_it_enables_by_name_after_a_restart_too(
    engine: EngineUnderTest, runtime: PodmanRuntime
) -> None:
    asking = await started(runtime, engine.spec("a", network=Network(peers=("db",))))
    database = await started(runtime, engine.spec("db", network=Network(aliases=("postgres",))))
    stranger = await started(runtime, engine.spec("c"))
    await serving(database, "rows")
    assert await heard(asking, "db", "rows")
    assert await heard(asking, "postgres", "rows")
    assert await asked(stranger, "db") == ""
    await runtime.stop(database.name, grace_s=1)
    await runtime.start(database.name)
    await serving(database, "rows")
    assert await heard(asking, "db", "rows")


async def test_a_container_starts_again_after_a_reboot_has_emptied_the_runtime_folder(
    engine: EngineUnderTest, runtime: PodmanRuntime
) -> None:
    spec = await started(runtime, engine.spec("a"))
    await runtime.stop(spec.name, grace_s=1)
    shutil.rmtree(spec.socket_dir)
    shutil.rmtree(engine.folder / "engine" / "names")
    await runtime.start(spec.name)
    assert "localhost" in await text_of(spec, "cat /etc/hosts")


async def test_agents_that_name_one_network_reach_each_other(
    engine: EngineUnderTest, runtime: PodmanRuntime
) -> None:
    team = Network(name="team")
    first, second = [await started(runtime, engine.spec(each, network=team)) for each in ("a", "b")]
    await serving(second, "hello")
    assert await heard(first, "b", "hello")


async def test_agents_reach_the_router_and_not_the_host_s_loopback(
    engine: EngineUnderTest, runtime: PodmanRuntime
) -> None:
    host = await runtime.router_host(engine.base.workspace)
    spec = await started(runtime, engine.spec("a"))
    assert await runtime.router_host(engine.base.workspace) == host
    with closing(listener(host)) as router, closing(listener("127.0.0.1")) as private:
        for name in (host, "host.containers.internal"):
            for port in (router.getsockname()[1], private.getsockname()[1]):
                await sh(spec, f"timeout 2 nc -w 1 {name} {port} </dev/null")
        router.accept()[0].close()
        with pytest.raises(BlockingIOError):
            private.accept()


def listener(host: str) -> socket.socket:
    """A socket that accepts, on an address that need not be there yet."""
    made = socket.socket()
    made.setsockopt(socket.SOL_IP, IP_FREEBIND, 1)
    made.bind((host, 0))
    made.listen()
    made.setblocking(False)
    return made


async def test_asking_for_the_router_makes_no_network(
    engine: EngineUnderTest, runtime: PodmanRuntime
) -> None:
    await runtime.router_host(engine.base.workspace)
    assert engine.leftovers(f"{engine.base.name}-nobody") == []


async def test_a_port_is_published_on_the_loopback_only(
    engine: EngineUnderTest, runtime: PodmanRuntime
) -> None:
    spec = await started(runtime, engine.spec("a", ports=(PublishedPort(9000),)))
    await serving(spec, "published")
    sandbox = await runtime.inspect(spec.name)
    assert sandbox is not None
    (port,) = sandbox.ports
    assert (port.container_port, port.host_ip, port.protocol) == (9000, "127.0.0.1", "tcp")
    async with await anyio.connect_tcp("127.0.0.1", port.host_port) as stream:
        assert await stream.receive() == b"published\n"


async def test_an_agent_has_no_capability_and_can_gain_none(
    engine: EngineUnderTest, runtime: PodmanRuntime
) -> None:
    spec = await started(runtime, engine.spec("a"))
    status = await text_of(spec, "grep -E 'CapPrm|CapBnd|NoNewPrivs|Seccomp:' /proc/self/status")
    assert status.split() == ["CapPrm:", "0" * 16, "CapBnd:", "0" * 16, "NoNewPrivs:", "1", "Seccomp:", "2"]


async def test_an_agent_sees_nothing_of_the_host_but_its_mounts(
    engine: EngineUnderTest, runtime: PodmanRuntime
) -> None:
    private = engine.folder / "workspace"
    for name in ("agents/a", "agents/other", ".ploinky"):
        (private / name).mkdir(parents=True)
    (private / ".ploinky" / ".secrets").write_text("KEY=hidden")
    mounts = (Mount(private / "agents" / "a", str(private / "agents" / "a"), read_only=False),)
    spec = await started(runtime, engine.spec("a", mounts=mounts))
    found = await text_of(spec, f"find {private} | sort; ls -A {Path.home()}")
    assert found.split() == [str(private), f"{private}/agents", f"{private}/agents/a"]


@pytest.mark.parametrize("target", ["/code", "/opt/code"])
async def test_a_folder_that_became_a_link_after_it_was_checked_is_not_shown(
    engine: EngineUnderTest, runtime: PodmanRuntime, target: str
) -> None:
    meant, private = engine.folder / "workspace" / "agents", engine.folder / "private"
    for each in (meant, private):
        each.mkdir(parents=True)
    (private / "key").write_text("hidden")
    spec = engine.spec("a", mounts=(Mount(meant, target, read_only=False),))
    await create(runtime, spec)
    meant.rmdir()
    meant.symlink_to(private)
    with pytest.raises(PloinkyError) as refused:
        await runtime.start(spec.name)
    assert (refused.value.code, str(meant) in refused.value.message) == ("CONTAINER_START_FAILED", True)
    sandbox = await runtime.inspect(spec.name)
    assert sandbox is not None
    assert sandbox.state is SandboxState.EXITED
    meant.unlink()
    meant.mkdir()
    await runtime.start(spec.name)
    assert await text_of(spec, f"ls {target}") == ""


async def test_a_person_s_own_links_lead_to_the_launcher_and_the_sockets(
    engine: EngineUnderTest, runtime: PodmanRuntime
) -> None:
    for name, folder in (("tools", engine.base.launcher_dir), ("sockets", engine.folder / "s")):
        (engine.folder / name).symlink_to(folder)
    (engine.folder / "s" / "linked").mkdir()
    spec = engine.spec(
        "a", launcher_dir=engine.folder / "tools", socket_dir=engine.folder / "sockets" / "linked"
    )
    await started(runtime, spec)
    assert await text_of(spec, "echo here") == "here"


async def test_a_user_of_one_s_own_and_a_read_only_root(
    engine: EngineUnderTest, runtime: PodmanRuntime
) -> None:
    security = replace(engine.base.security, user="1000", read_only_root=True)
    spec = await started(runtime, engine.spec("a", security=security))
    assert await text_of(spec, "id -u; echo kept > /tmp/x; cat /tmp/x") == "1000\nkept"
    assert not (await sh(spec, "echo x > /etc/x")).exit.ok


async def test_the_engine_stores_no_secret(engine: EngineUnderTest, runtime: PodmanRuntime) -> None:
    spec = await started(runtime, engine.spec("a", network=Network(NetworkMode.NONE)))
    async with open_channel(spec.socket_path) as channel:
        request = LaunchRequest(("/bin/sleep", "60"), env=(("PATH", "/bin"), ("API_KEY", "s3cr3t-value")))
        await channel.launch(request)
    stored = subprocess.run(["podman", "inspect", spec.name], capture_output=True, text=True, check=True)
    assert "/Agent/launcher" in stored.stdout
    assert "s3cr3t-value" not in stored.stdout


async def test_an_image_that_cannot_be_had_is_named(engine: EngineUnderTest, runtime: PodmanRuntime) -> None:
    spec = engine.spec("a", image="localhost:9/ploinky/none:1")
    lines: list[str] = []
    with pytest.raises(PloinkyError) as refused:
        lines.extend([line async for line in runtime.create(spec)])
    assert (refused.value.code, refused.value.details) == (errors.IMAGE_NOT_FOUND, {"image": spec.image})
    assert refused.value.hint is not None
    assert engine.leftovers(spec.name) == []


async def test_the_death_of_the_service_is_told_and_mended(
    engine: EngineUnderTest, runtime: PodmanRuntime
) -> None:
    spec = await started(runtime, engine.spec("a"))
    async with events_of(runtime, spec.workspace) as events:
        await events.wait_for(RuntimeEventKind.STARTED, (await started(runtime, engine.spec("b"))).name)
        service = OwnService(engine.folder / "engine", os.environ).find()
        assert service is not None
        assert service.signal(signal.SIGKILL)
        await events.wait_for(RuntimeEventKind.RESYNC, "")
        await runtime.stop(spec.name, grace_s=1)
        await events.wait_for(RuntimeEventKind.DIED, spec.name)
    assert await text_of(engine.spec("b"), "echo alive") == "alive"


async def test_a_call_after_the_service_ended_starts_it_again(
    engine: EngineUnderTest, runtime: PodmanRuntime
) -> None:
    spec = await started(runtime, engine.spec("a"))
    service = OwnService(engine.folder / "engine", os.environ)
    before = service.find()
    assert before is not None
    assert before.signal(signal.SIGKILL)
    await runtime.stop(spec.name, grace_s=1)
    assert service.find() not in (None, before)


async def test_commands_share_one_service(engine: EngineUnderTest, runtime: PodmanRuntime) -> None:
    service = OwnService(engine.folder / "engine", os.environ)
    others = [engine.open_runtime() for _ in range(3)]
    async with anyio.create_task_group() as tasks:
        for each in (runtime, *others):
            tasks.start_soon(each.check)
    running = service.find()
    for each in others:
        await each.aclose()
    assert (await runtime.check()).usable
    assert service.find() == running


async def test_logs_of_both_streams_come_in_order(engine: EngineUnderTest, runtime: PodmanRuntime) -> None:
    spec = await started(runtime, engine.spec("a"))
    await launch(spec, "echo out; echo err >&2; exec sleep 60")
    seen = b""
    with anyio.fail_after(DEADLINE_S):
        async with aclosing(runtime.logs(spec.name, follow=True)) as chunks:
            async for chunk in chunks:
                seen += chunk
                if b"out\n" in seen and b"err\n" in seen:
                    break
    assert sorted(seen.split()) == [b"err", b"out"]


async def test_without_podman_the_reason_is_told(short_folder: Path) -> None:
    runtime = PodmanRuntime(short_folder / "engine", {"PATH": str(short_folder)})
    if Path("/run/podman/podman.sock").is_socket():
        pytest.skip("the system's own service runs")
    health = await runtime.check()
    await runtime.aclose()
    assert not health.usable
    assert "not installed" in health.reason
    assert "apt install podman" in (health.hint or "")


async def test_an_address_where_nobody_listens_is_refused(short_folder: Path) -> None:
    nobody = f"unix://{short_folder}/nobody.sock"
    runtime = PodmanRuntime(short_folder / "engine", {"CONTAINER_HOST": nobody})
    health = await runtime.check()
    await runtime.aclose()
    assert not health.usable
    assert nobody in health.reason
