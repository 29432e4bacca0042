"""Installs by real npm and pip onto a disk that is too small, in a sandbox and in a container."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
import zipfile
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ploinky.base.errors import PloinkyError
from ploinky.lifecycle.dependencies import find_marker
from ploinky.lifecycle.starting import start_agent
from ploinky.workspace.states import AgentState
from tests import engines
from tests.lifecycle.conftest import over_bubblewrap, over_podman
from tests.lifecycle.stage import Stage, collect
from tests.lifecycle.test_dependencies import run_inside

SMALL = {"sandbox": "5m", "podman": "24m"}
"""Holds no virtual environment with pip; holds one, but not the package."""
LARGE = bytes(48 * 1024 * 1024)
"""Nothing in an archive, and twice the disk when it is unpacked."""


def write_node_package(code: Path) -> None:
    files = {"package.json": b'{"name": "heavy", "version": "1.0.0", "main": "i.js"}', "large": LARGE}
    with tarfile.open(code / "heavy.tgz", "w:gz", compresslevel=1) as archive:
        for name, data in {**files, "i.js": b"module.exports = 'hello';"}.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    package = {"name": "mine", "dependencies": {"heavy": "file:/code/heavy.tgz"}}
    (code / "package.json").write_text(json.dumps(package))


def write_python_package(code: Path) -> None:
    info = "heavy-1.0.dist-info"
    files = {
        "heavy/__init__.py": b"WORD = 'hello'\n",
        "heavy/large": LARGE,
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: heavy\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD")).encode()
    name = "heavy-1.0-py3-none-any.whl"
    with zipfile.ZipFile(code / name, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as wheel:
        for path, data in files.items():
            wheel.writestr(path, data)
    (code / "requirements.txt").write_text(f"/code/{name}\n")


@dataclass(frozen=True)
class Language:
    """How its package is written, which image runs it, and the program that says hello."""

    write: Callable[[Path], None]
    image: str
    phase: str
    hello: tuple[str, ...]


LANGUAGES: Mapping[str, Language] = {
    "node": Language(
        write_node_package,
        "node:20-alpine",
        "Agent dependencies (step 7): npm",
        ("node", "-e", "console.log(require('heavy'))"),
    ),
    "python": Language(
        write_python_package,
        "python:3.11-slim",
        "Agent dependencies (step 7): Python",
        ("python", "-c", "import heavy; print(heavy.WORD)"),
    ),
}
each_language = pytest.mark.parametrize("language", LANGUAGES.values(), ids=LANGUAGES)


@pytest.fixture(
    params=[
        pytest.param("sandbox", marks=pytest.mark.bubblewrap),
        pytest.param("podman", marks=pytest.mark.podman),
    ]
)
async def small(request: pytest.FixtureRequest, language: Language) -> AsyncIterator[Stage]:
    """A workspace whose working folders lie on a disk of their own."""
    if os.geteuid() != 0:
        pytest.skip("a disk of its own is mounted, which takes root")
    async with over_podman() if request.param == "podman" else over_bubblewrap() as made:
        disk = made.layout.agents
        mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL[request.param]}", "ploinky-test", str(disk)]
        subprocess.run(mount, check=True)
        try:
            image = engines.image("podman", language.image) if request.param == "podman" else made.image
            yield replace(made, image=image)
            for sandbox in await made.ctx.runtime.list(made.layout.id):
                await made.ctx.runtime.remove(sandbox.name)
        finally:
            subprocess.run(["umount", str(disk)], check=True)


@each_language
async def test_an_install_on_a_full_disk_says_so_and_is_done_over_once_there_is_room(
    small: Stage, language: Language
) -> None:
    code = small.add("heavy", {}) / "code"
    code.mkdir()
    language.write(code)
    await small.enable("heavy")
    small.work_file("heavy", "data.txt").write_text("kept")
    with pytest.raises(PloinkyError) as caught:
        await collect(start_agent(small.ctx, "heavy"))
    assert caught.value.code == "DEPENDENCY_INSTALL_FAILED"
    assert f"Phase: {language.phase}" in caught.value.message
    assert "ENOSPC" in caught.value.message or "No space left on device" in caught.value.message
    assert small.entry("heavy").state is AgentState.FAILED
    assert await small.ctx.runtime.list(small.layout.id) == []
    assert not find_marker(small.layout, "heavy").exists()

    subprocess.run(["mount", "-o", "remount,size=128m", str(small.layout.agents)], check=True)
    await collect(start_agent(small.ctx, "heavy"))
    assert small.entry("heavy").state is AgentState.RUNNING
    assert await run_inside(small, "heavy", *language.hello) == "hello"
    assert small.work_file("heavy", "data.txt").read_text() == "kept"
