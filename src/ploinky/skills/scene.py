"""What the sandboxes of skills have in common: a private folder for one run, the paths, the first program.

``run/`` of that folder is seen read-only at ``NET``: the first program, the filter of system calls that it
puts on in a container and, if there is one, the proxy's socket. Knows no engine.
"""

from __future__ import annotations

import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ploinky.base.errors import PloinkyError
from ploinky.base.files import hold_path
from ploinky.runtimes.bubblewrap_host import HOST_TOOLS, made_up_etc
from ploinky.runtimes.seccomp import filter_program
from ploinky.skills.runs import FOLDER, Ran, RunPlan

NET = "/run/ploinky"
TMP = "/tmp"  # noqa: S108 (inside: a tmpfs of its own)
INSIDE = "inside.py"
FILTER = "filter"
PROXY = "proxy.sock"
LEASH = "leash.sock"
_PATH = f"{FOLDER}/bin:{FOLDER}/.venv/bin:{FOLDER}/node_modules/.bin:/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True)
class Scene:
    """The folder of one run, private to this user; its path is short, because sockets lie in it."""

    folder: Path
    proxied: bool

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def etc(self) -> Path:
        return self.folder / "etc"


class Box(Protocol):
    """One way to run a plan. To add one: implement it and pass tests/skills/test_sandbox.py."""

    async def require(self) -> None:
        """See that it works here.

        Raises:
            PloinkyError: ``RUNTIME_UNAVAILABLE`` saying why not and what to do.
        """

    async def run(self, plan: RunPlan, scene: Scene) -> Ran:
        """Run ``plan`` to its end or its bounds; no process of it is left when this returns or is cancelled.

        Raises:
            PloinkyError: ``SKILL_FOLDER`` if a path of the plan is a link; what the engine says.
        """


def make_scene(folder: Path, *, proxied: bool) -> Scene:
    """Fill an empty folder with what every run needs."""
    scene = Scene(folder, proxied)
    scene.run.mkdir(mode=0o755)
    scene.etc.mkdir(mode=0o755)
    shutil.copyfile(Path(__file__).with_name(INSIDE), scene.run / INSIDE)
    (scene.run / INSIDE).chmod(0o644)
    program = filter_program(platform.machine())
    if program is not None:
        (scene.run / FILTER).write_bytes(program)
        (scene.run / FILTER).chmod(0o644)
    return scene


def write_etc(scene: Scene, plan: RunPlan, *, uid: int, gid: int) -> tuple[str, ...]:
    """Write the files of ``/etc`` that a run sees; their names."""
    texts = made_up_etc("skill", uid=uid, gid=gid, resolv_conf="", hosts="")
    texts["passwd"] = texts["passwd"].replace("/home/agent", home(plan))
    for name, text in texts.items():
        (scene.etc / name).write_text(text, encoding="utf-8")
        (scene.etc / name).chmod(0o644)
    return tuple(texts)


def home(plan: RunPlan) -> str:
    return f"{plan.seen_at}/.home"


def seen_env(plan: RunPlan) -> dict[str, str]:
    """The whole environment of the program."""
    own = {
        "PATH": f"{_PATH}:{HOST_TOOLS}",
        "HOME": home(plan),
        "LANG": "C.UTF-8",
        "TMPDIR": TMP,
        "SKILL_DIR": FOLDER,
    }
    return {**own, **plan.env}


@dataclass(frozen=True)
class First:
    """The first program: the Python that runs it, how many processes it allows, whether it has a leash."""

    python: str
    processes: int
    leashed: bool = False


def inner_args(plan: RunPlan, first: First, *, proxied: bool) -> list[str]:
    """The command line inside: the first program with its bounds, then the plan's own."""
    bounds = [str(plan.bounds.memory), str(first.processes), str(plan.bounds.disk)]
    proxy = f"{NET}/{PROXY}" if proxied else "-"
    leash = f"{NET}/{LEASH}" if first.leashed else "-"
    return [first.python, "-I", "-S", f"{NET}/{INSIDE}", *bounds, proxy, leash, "--", *plan.argv]


def host_python() -> str:
    """The Python of this machine that runs the first program."""
    return f"{Path(sys.base_prefix).resolve()}/bin/python3"


def python_prefix() -> Path | None:
    """The installation of this Python, if ``/usr`` does not show it anyway."""
    prefix = Path(sys.base_prefix).resolve()
    return None if prefix == Path("/usr") or Path("/usr") in prefix.parents else prefix


def held(path: Path) -> int:
    """A descriptor of a path of a plan: nobody can put a link in its place any more.

    Raises:
        PloinkyError: ``SKILL_FOLDER`` if it is not there or a part of it is a link.
    """
    try:
        return hold_path(path)
    except OSError as error:
        raise PloinkyError(
            "SKILL_FOLDER",
            f"{path} cannot be given to a sandbox: {error.strerror}.",
            hint="No part of this path may be a link.",
        ) from error
