"""The real ``ploinky`` in a workspace of its own: runs commands, keeps the machine as it was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ploinky.base.process_id import ProcessId
from ploinky.operations.endpoint import Endpoint, find_endpoint, find_supervisor
from ploinky.operations.remembered_engine import remembered_engine
from ploinky.repos.folders import copy_folder
from ploinky.workspace.layout import Layout, runtime_folder
from ploinky.workspace.structure import init_workspace

AGENTS = Path(__file__).parents[1] / "data" / "agents"
PLOINKY = (sys.executable, "-m", "ploinky")
TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Done:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """NDJSON, line by line."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True)
class Stage:
    """A folder that may be a workspace, and the environment in which commands run there.

    Sockets lie in ``runtime``, a folder with a short path, so that a test sees all that is left behind.
    """

    root: Path
    runtime: Path
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def layout(self) -> Layout:
        return Layout(self.root.resolve())

    @property
    def environ(self) -> dict[str, str]:
        home = self.runtime / "home"
        home.mkdir(exist_ok=True)
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LC_ALL": "C.UTF-8",
            "XDG_RUNTIME_DIR": str(self.runtime),
            **self.extra,
        }

    def run(
        self, *words: str, stdin: str = "", code: int | None = 0, environ: Mapping[str, str] | None = None
    ) -> Done:
        """Run ``ploinky`` to its end; ``code`` is what it must end with, None: anything."""
        done = subprocess.run(
            [*PLOINKY, *words],
            cwd=self.root,
            env={**self.environ, **(environ or {})},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        shown = f"{words} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert code is None or done.returncode == code, shown
        return Done(done.returncode, done.stdout, done.stderr)

    @contextmanager
    def running(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """Run ``ploinky`` beside the test; it is ended with the context."""
        with subprocess.Popen(
            [*PLOINKY, *words],
            cwd=self.root,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGKILL)

    @property
    def endpoint(self) -> Endpoint:
        found = find_endpoint(self.layout)
        assert found is not None, "the gateway does not run"
        return found

    @property
    def gateway_processes(self) -> list[ProcessId]:
        found = find_endpoint(self.layout)
        supervisor = find_supervisor(self.layout)
        return [process for process in (supervisor, found.process if found else None) if process is not None]

    def leftovers(self) -> list[str]:
        """Processes that know this workspace, and what lies in its folder of sockets."""
        sockets = runtime_folder(self.layout, self.environ)
        return [*_processes_of(self.root), *(path.name for path in sockets.iterdir())]


def make_stage(folder: Path, runtime: Path) -> Stage:
    """A workspace with the test agents, run by bubblewrap, its gateway on a free port."""
    root = folder / "workspace"
    root.mkdir()
    stage = Stage(root.resolve(), runtime)
    layout = init_workspace(root)
    settings = {"runtime": "sandbox", "gateway": {"port": 0}}
    layout.config_file.write_text(json.dumps(settings), encoding="utf-8")
    copy_folder(AGENTS, layout.repo("crew"), workspace=layout.root)
    return stage


def give_back(stage: Stage) -> None:
    """End what the test left running."""
    if remembered_engine(stage.layout) is not None or stage.gateway_processes:
        stage.run("shutdown", code=None)


def eventually(check: Callable[[], bool], what: str, *, timeout_s: float = 20.0) -> None:
    """Wait until ``check`` is true."""
    deadline = time.monotonic() + timeout_s
    while not check():
        assert time.monotonic() < deadline, f"gave up waiting for {what}"
        time.sleep(0.02)


def _processes_of(root: Path) -> list[str]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and folder.name != str(os.getpid()):
            try:
                words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(root) in words:
                found.append(words)
    return found
