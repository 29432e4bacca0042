"""Builds the launcher's static binaries into ``src/ploinky/channel/dist/<arch>/launcher``.

Without options: for this machine, by the system's C compiler, or by zig (the ``ziglang`` package) where
there is none. ``--arch all`` builds both architectures by zig, as a wheel needs them. What is up to date
is left alone: a hash over the sources lies beside each binary. Imports only the standard library, because
the packaging hook uses it too.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

SOURCES = Path(__file__).parent
CLIENTS = SOURCES.parent / "agent" / "client"
DIST = SOURCES.parent / "src" / "ploinky" / "channel" / "dist"
ZIG_TARGETS = {"x86_64": "x86_64-linux-musl", "aarch64": "aarch64-linux-musl"}
MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}
WARNINGS = (
    *(
        "-std=c11",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-Wpedantic",
        "-Wshadow",
        "-Wconversion",
        "-Wundef",
        "-Wvla",
    ),
    *("-Wstrict-prototypes", "-Wmissing-prototypes"),
)
CALL_NAME = "ploinky-call"  # the launcher again: it looks at the name it is started by
RELEASE = ("-O2", "-static", "-s", "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections")
COMPILE_TIMEOUT_S = 600


class BuildError(Exception):
    """Nothing was built; the text says why and what to do."""


def sources() -> list[Path]:
    """The C files of the launcher (its fuzzer is another program)."""
    return sorted(SOURCES.glob("*.c"))


def source_hash() -> str:
    digest = hashlib.sha256(repr((WARNINGS, RELEASE)).encode())
    for file in [*sources(), *sorted(SOURCES.glob("*.h")), *sorted(CLIENTS.glob("*.*"))]:
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def host_arch() -> str:
    """The name of this machine's architecture, as folders of ``dist`` have it."""
    machine = platform.machine().lower()
    if machine not in MACHINES:
        raise BuildError(f"The launcher is made for {', '.join(ZIG_TARGETS)}, not for {machine}.")
    return MACHINES[machine]


def system_compiler() -> list[str] | None:
    """The system's C compiler ($CC, cc, gcc, clang), if it can make programs for this machine."""
    if sys.platform != "linux":
        return None
    for name in (os.environ.get("CC", ""), "cc", "gcc", "clang"):
        found = shutil.which(name) if name else None
        if found:
            return [found]
    return None


def zig_compiler(arch: str) -> list[str] | None:
    if importlib.util.find_spec("ziglang") is None:
        return None
    return [sys.executable, "-m", "ziglang", "cc", "-target", ZIG_TARGETS[arch]]


def up_to_date(arch: str, *, zig: bool = False, dist: Path = DIST) -> bool:
    """Whether the binary was made from these sources (and, if ``zig``, by zig)."""
    stamp = dist / f"{arch}.stamp"
    made = (dist / arch / "launcher", dist / arch / CALL_NAME)
    if not all(file.is_file() for file in (*made, stamp)):
        return False
    words = stamp.read_text(encoding="ascii").split()
    return words[:1] == [source_hash()] and (not zig or words[1:] == ["zig"])


def compile_launcher(compiler: Sequence[str], output: Path, flags: Sequence[str] = RELEASE) -> None:
    """Compile and link all sources into ``output``, which is replaced only by a finished binary.

    Raises:
        BuildError: with the compiler's own words.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".build-", dir=output.parent.parent) as folder:
        made = Path(folder) / "launcher"
        argv = [*compiler, *WARNINGS, *flags, "-o", str(made), *(str(file) for file in sources())]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=COMPILE_TIMEOUT_S, check=False)
        if done.returncode != 0:
            raise BuildError(f"{' '.join(argv[:4])} ... failed:\n{done.stderr.strip()}")
        made.chmod(0o755)
        shutil.copy2(made, made.with_name(CALL_NAME))
        made.with_name(CALL_NAME).replace(output.with_name(CALL_NAME))
        made.replace(output)
    copy_clients(output.parent / "client")


def copy_clients(folder: Path) -> None:
    """Put the clients that agents' programs may use beside the launcher."""
    folder.mkdir(exist_ok=True)
    for file in CLIENTS.iterdir():
        if file.suffix in (".py", ".mjs"):
            shutil.copyfile(file, folder / file.name)


def build(arch: str, *, zig: bool = False, dist: Path = DIST) -> str:
    """Make one binary if its sources changed; what was done, in words.

    Raises:
        BuildError: if there is no compiler, or it fails.
    """
    output = dist / arch / "launcher"
    if up_to_date(arch, zig=zig, dist=dist):
        return f"{output} is up to date"
    choices = [] if zig or arch != host_arch() else [("cc", system_compiler())]
    choices.append(("zig", zig_compiler(arch)))
    faults = []
    for name, compiler in choices:
        if compiler is None:
            continue
        try:
            compile_launcher(compiler, output)
        except BuildError as error:
            faults.append(str(error))
            continue
        (dist / f"{arch}.stamp").write_text(f"{source_hash()} {name}\n", encoding="ascii")
        return f"built {output} by {name} ({output.stat().st_size // 1024} kB)"
    raise BuildError("\n".join(faults) or _no_compiler(arch))


def _no_compiler(arch: str) -> str:
    return (
        f"There is no compiler to build the launcher for {arch}: neither cc nor the Python package ziglang.\n"
        "Install one of them (for example: pip install ziglang) and run: make launcher"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Build what the command line asks for; the exit code."""
    parser = argparse.ArgumentParser(description="Build the static launcher of sandboxes.")
    parser.add_argument("--arch", choices=[*ZIG_TARGETS, "all"], help="default: this machine's")
    parser.add_argument("--all", action="store_true", help="the same as --arch all")
    parser.add_argument("--zig", action="store_true", help="use zig even where the system has a compiler")
    options = parser.parse_args(argv)
    try:
        both = options.all or options.arch == "all"
        for arch in ZIG_TARGETS if both else [options.arch or host_arch()]:
            sys.stdout.write(build(arch, zig=options.zig or both) + "\n")
            sys.stdout.flush()
    except BuildError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
