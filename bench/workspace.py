"""A temporary workspace of identical small agents, driven by the real command line."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

PLOINKY = Path(sys.executable).with_name("ploinky")
WORKERS = 8
IMAGE = "localhost/ploinky-bench-busybox:latest"
TOOL_CONFIG = {
    "tools": [
        {
            "name": "cat",
            "description": "Gives back the line it gets.",
            "command": "/bin/cat",
            "inputSchema": {"text": {"type": "string"}},
        },
        {
            "name": "kept",
            "description": "Gives back the line it gets, by a program that is kept.",
            "command": "/bin/cat",
            "mode": "persistent",
            "workers": WORKERS,
            "inputSchema": {"text": {"type": "string"}},
        },
    ]
}


@dataclass(frozen=True)
class Timed:
    """Wall and CPU seconds (the command and the children it waited for) and what it printed."""

    wall_s: float
    cpu_s: float
    output: str


@dataclass(frozen=True)
class BenchWorkspace:
    """``names`` are the agents of its repository, none of them enabled yet."""

    root: Path
    runtime: str
    names: tuple[str, ...]
    port: int
    token: str

    def ploinky(self, *words: str, check: bool = True) -> Timed:
        """Run one command and time it; a failure ends the benchmark with what the command printed."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.perf_counter()
        argv = [str(PLOINKY), "--runtime", self.runtime, *words]
        done = subprocess.run(argv, cwd=self.root, capture_output=True, text=True, timeout=300, check=False)
        wall_s = time.perf_counter() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if check and done.returncode != 0:
            sys.exit(f"{' '.join(argv)} failed ({done.returncode}):\n{done.stdout}{done.stderr}")
        cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Timed(wall_s, cpu_s, done.stdout)

    def router(self) -> tuple[str, int, str]:
        """Host, port and owner token of the gateway, running or not."""
        return "127.0.0.1", self.port, self.token


@contextlib.contextmanager
def bench_workspace(runtime: str, agents: int, *, command: str | None = None) -> Iterator[BenchWorkspace]:
    """A workspace whose agents offer ``/bin/cat`` as a tool and run ``command``; destroyed at the end."""
    names = tuple(f"a{number:02}" for number in range(agents))
    with tempfile.TemporaryDirectory(prefix="ploinky-bench-") as folder:
        repo = Path(folder) / "repo"
        for name in names:
            code = repo / name / "code"
            code.mkdir(parents=True)
            manifest = {"container": IMAGE, **({"agent": command} if command else {})}
            (repo / name / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
            (code / "mcp-config.json").write_text(json.dumps(TOOL_CONFIG), encoding="utf-8")
        root = Path(folder) / "workspace"
        root.mkdir()
        port = free_port()
        made = BenchWorkspace(root, runtime, names, port, token="")
        made.ploinky("init")
        (root / ".ploinky" / "config.json").write_text(
            json.dumps({"gateway": {"port": port}}), encoding="utf-8"
        )
        workspace = replace(made, token=made.ploinky("token").output.strip())
        workspace.ploinky("add", "repo", "bench", str(repo))
        try:
            yield workspace
        finally:
            workspace.ploinky("destroy", "--yes", check=False)


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def has_podman() -> bool:
    """Whether Podman is here and has the image of the benchmarks (made when it is missing)."""
    if not any((Path(each) / "podman").exists() for each in os.environ["PATH"].split(os.pathsep)):
        return False
    make_image()
    return True


def make_image() -> None:
    """A busybox image from the host's static busybox, imported under a name of its own."""
    known = subprocess.run(["podman", "image", "exists", IMAGE], check=False, capture_output=True)
    if known.returncode == 0:
        return
    with tempfile.TemporaryDirectory(prefix="ploinky-image-") as folder:
        root = Path(folder)
        (root / "bin").mkdir()
        (root / "tmp").mkdir(mode=0o777)
        busybox = root / "bin" / "busybox"
        busybox.write_bytes(Path("/bin/busybox").read_bytes())
        busybox.chmod(0o755)
        for name in ("sh", "cat", "sleep", "true"):
            (root / "bin" / name).symlink_to("busybox")
        subprocess.run(["tar", "-C", folder, "-cf", f"{folder}.tar", "."], check=True)
    subprocess.run(["podman", "import", "--quiet", f"{folder}.tar", IMAGE], check=True, capture_output=True)
    Path(f"{folder}.tar").unlink()
