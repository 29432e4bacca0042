"""The launcher's binaries: where they are found, how they are built, what a wheel holds."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ploinky.base.errors import PloinkyError
from ploinky.base.waits import wait_until
from ploinky.channel.binary import launcher_folder
from ploinky.channel.client import SpawnRequest
from tests.channel.conftest import ROOT, load_builder, started
from tests.engines import absent

ELF_MACHINES = {"x86_64": 62, "aarch64": 183}


def test_the_folder_of_this_machines_launcher_is_found(launcher_binary: Path) -> None:
    folder = launcher_folder({})
    assert folder.is_absolute()
    assert folder / "launcher" == launcher_binary
    assert os.access(launcher_binary, os.X_OK)


def test_the_same_machine_has_several_names() -> None:
    assert launcher_folder({}, machine="x86_64").parent == launcher_folder({}, machine="AMD64").parent


@pytest.mark.parametrize("state", ["absent", "not executable"])
def test_a_missing_launcher_is_explained(tmp_path: Path, state: str) -> None:
    if state == "not executable":
        (tmp_path / "launcher").touch(mode=0o644)
    with pytest.raises(PloinkyError) as missing:
        launcher_folder({"PLOINKY_LAUNCHER_DIR": str(tmp_path)})
    assert missing.value.code == "LAUNCHER_MISSING"
    assert "make launcher" in str(missing.value.hint)


def test_a_machine_without_a_launcher_is_told() -> None:
    with pytest.raises(PloinkyError, match="riscv64"):
        launcher_folder({}, machine="riscv64")


def test_a_launcher_built_elsewhere_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "launcher").touch(mode=0o755)
    assert launcher_folder({"PLOINKY_LAUNCHER_DIR": str(tmp_path)}) == tmp_path.resolve()


def test_what_is_up_to_date_is_not_built_again(tmp_path: Path) -> None:
    builder = load_builder()
    arch = builder.host_arch()
    assert "built" in builder.build(arch, dist=tmp_path)
    before = (tmp_path / arch / "launcher").stat().st_mtime_ns
    assert "up to date" in builder.build(arch, dist=tmp_path)
    assert (tmp_path / arch / "launcher").stat().st_mtime_ns == before
    stamp = tmp_path / f"{arch}.stamp"
    stamp.write_text(stamp.read_text().replace(stamp.read_text()[0], "?"))
    assert "built" in builder.build(arch, dist=tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == [arch, f"{arch}.stamp"]


def test_without_any_compiler_the_build_says_what_to_install(tmp_path: Path) -> None:
    copy = tmp_path / "launcher"
    shutil.copytree(ROOT / "launcher", copy)
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(copy / "build.py")],  # -S: no packages, so no zig either
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert "pip install ziglang" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arch", ELF_MACHINES)
async def test_zig_builds_a_static_launcher_for_each_architecture(arch: str, tmp_path: Path) -> None:
    builder = load_builder()
    if builder.zig_compiler(arch) is None:
        absent("zig", "the package ziglang is not installed")
    dist = builder.DIST
    builder.build(arch, zig=True, dist=dist)
    binary = dist / arch / "launcher"
    header = binary.read_bytes()[:64]
    assert header[:5] == b"\x7fELF\x02"
    assert int.from_bytes(header[18:20], "little") == ELF_MACHINES[arch]
    assert not has_interpreter(binary.read_bytes())
    assert binary.stat().st_size < 200_000
    emulator = [] if arch == builder.host_arch() else [shutil.which(f"qemu-{arch}-static") or ""]
    if emulator == [""]:
        return  # its header is all that this machine can check
    with started([*emulator, str(binary)]) as launcher:
        await wait_until(lambda: exists(launcher.socket), what="the launcher to listen", timeout_s=20)
        async with await launcher.connect() as channel:
            assert (await channel.run(SpawnRequest(("cat",)), b"through zig")).stdout == b"through zig"


async def exists(path: Path) -> bool:
    return path.exists()


def has_interpreter(elf: bytes) -> bool:
    """Whether a program header asks for a dynamic loader (PT_INTERP)."""
    offset = int.from_bytes(elf[32:40], "little")
    size, count = int.from_bytes(elf[54:56], "little"), int.from_bytes(elf[56:58], "little")
    kinds = [int.from_bytes(elf[offset + i * size : offset + i * size + 4], "little") for i in range(count)]
    return 3 in kinds


def test_a_wheel_holds_the_launchers_of_both_architectures(tmp_path: Path) -> None:
    for package in ("hatchling", "ziglang"):
        if importlib.util.find_spec(package) is None:
            absent("wheel", f"the package {package} is not installed")
    code = "import sys, hatch_build as backend; print(backend.build_wheel(sys.argv[1]))"
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        for arch in ELF_MACHINES:
            for name in ("launcher", "ploinky-call"):
                info = wheel.getinfo(f"ploinky/channel/dist/{arch}/{name}")
                assert info.external_attr >> 16 & 0o111, "the executable bit is lost"
                assert wheel.read(info)[:4] == b"\x7fELF"
            for name in ("ploinky_client.py", "ploinky_client.mjs"):
                assert wheel.read(f"ploinky/channel/dist/{arch}/client/{name}")
        assert wheel.read("ploinky/gateway/mcp_browser_client.js")
