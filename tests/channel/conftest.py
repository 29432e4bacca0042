"""Real launchers, as ordinary processes: each test gets its own, in the release and in a sanitized build."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

from ploinky.channel.binary import launcher_folder
from ploinky.channel.client import Channel, await_channel
from tests.engines import absent

ROOT = Path(__file__).parents[2]
SANITIZE = (
    "-O1",
    "-g",
    "-fno-omit-frame-pointer",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
)


def load_builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("launcher_build", ROOT / "launcher" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class RunningLauncher:
    """A launcher that was started by a test: its process, its socket and what it printed."""

    def __init__(self, process: subprocess.Popen[bytes], socket: Path, log: Path) -> None:
        self.process = process
        self.socket = socket
        self.log = log
        self.killed = False

    def kill(self) -> None:
        """End it without a chance to clean up."""
        self.killed = True
        self.process.kill()
        self.process.wait(10)

    @property
    def pid(self) -> int:
        return self.process.pid

    def memory_kb(self) -> int:
        """Resident memory now."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])

    def children(self) -> list[int]:
        """Pids of its children, zombies included."""
        return [int(word) for word in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    async def connect(self) -> Channel:
        return await await_channel(self.socket, timeout_s=10)


@contextmanager
def started(argv: Sequence[str], *, extra: Sequence[str] = ()) -> Iterator[RunningLauncher]:
    """Run a launcher in a folder of its own; its end must be clean (a sanitizer's report is a failure)."""
    with tempfile.TemporaryDirectory(prefix="pl-") as name:
        folder = Path(name)
        log = folder / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*argv, "serve", "--socket", str(folder / "l.sock"), *extra],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={"UBSAN_OPTIONS": "print_stacktrace=1"},
            )
        launcher = RunningLauncher(process, folder / "l.sock", log)
        try:
            yield launcher
            if launcher.process.returncode is None:
                launcher.process.send_signal(signal.SIGTERM)
            code = launcher.process.wait(20)
        finally:
            launcher.process.kill()
            launcher.process.wait(10)
        said = log.read_text(errors="replace")
        assert "Sanitizer" not in said
        assert "runtime error" not in said
        assert code >= 0 or launcher.killed, said


@pytest.fixture(scope="session")
def launcher_binary() -> Path:
    """The release build for this machine."""
    builder = load_builder()
    builder.build(builder.host_arch())
    return launcher_folder({}) / "launcher"


@pytest.fixture(scope="session")
def sanitized_binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build with the address and undefined-behaviour sanitizers."""
    builder = load_builder()
    compiler = builder.system_compiler()
    if compiler is None:
        absent("compiler", "there is no C compiler")
    output = tmp_path_factory.mktemp("sanitized") / "bin" / "launcher"
    builder.compile_launcher(compiler, output, SANITIZE)
    assert isinstance(output, Path)
    return output


@pytest.fixture(params=["release", "sanitized"])
def launcher(request: pytest.FixtureRequest) -> Iterator[RunningLauncher]:
    name = "launcher_binary" if request.param == "release" else "sanitized_binary"
    with started([str(request.getfixturevalue(name))]) as running:
        yield running


@pytest.fixture
def release_launcher(launcher_binary: Path) -> Iterator[RunningLauncher]:
    with started([str(launcher_binary)]) as running:
        yield running


@pytest.fixture
async def channel(launcher: RunningLauncher) -> AsyncIterator[Channel]:
    async with await launcher.connect() as opened:
        yield opened


def python(code: str) -> tuple[str, ...]:
    """The argv of a Python program without start-up ballast."""
    return (sys.executable, "-I", "-S", "-c", code)
