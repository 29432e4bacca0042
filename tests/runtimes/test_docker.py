"""Where Docker is looked for, without a daemon."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from ploinky.runtimes.docker import SYSTEM_SOCKET, DockerRuntime
from ploinky.runtimes.protocol import RuntimeHealth


@pytest.fixture
def short_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="pd-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


async def health(environ: dict[str, str]) -> RuntimeHealth:
    runtime = DockerRuntime(environ)
    try:
        return await runtime.check()
    finally:
        await runtime.aclose()


async def test_a_daemon_that_is_not_there_is_told(short_folder: Path) -> None:
    found = await health({"DOCKER_HOST": f"unix://{short_folder}/none.sock"})
    assert not found.usable
    assert f"{short_folder}/none.sock" in found.reason
    assert found.hint is not None


@pytest.mark.skipif(SYSTEM_SOCKET.exists(), reason="something listens at the system's socket")
async def test_without_an_address_the_system_s_socket_is_meant() -> None:
    found = await health({})
    assert not found.usable
    assert str(SYSTEM_SOCKET) in found.reason


async def test_an_address_of_another_kind_is_refused() -> None:
    found = await health({"DOCKER_HOST": "ssh://somewhere"})
    assert not found.usable
    assert "ssh://somewhere" in found.reason


async def test_podman_behind_docker_s_name_is_not_taken_for_docker(short_folder: Path) -> None:
    path = short_folder / "docker.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        listening.setblocking(False)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_answer_as_podman, listening)
            found = await health({"DOCKER_HOST": f"unix://{path}"})
    assert not found.usable
    assert "--runtime podman" in (found.hint or "")


async def _answer_as_podman(listening: socket.socket) -> None:
    await anyio.wait_readable(listening)
    connection, _ = listening.accept()
    with connection:
        await anyio.wait_readable(connection)
        assert connection.recv(4096).startswith(b"GET /_ping")
        head = (
            "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nLibpod-API-Version: 4.3.1\r\nContent-Length: 2\r\n\r\nOK"
        )
        connection.sendall(head.encode())
