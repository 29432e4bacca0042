"""Steps 6 and 7: packages of Node and Python, installed inside the sandbox into the working folder.

Commands are plain shell of what images bring: ``npm``, ``uv`` if it is there, else ``pip``. They run
without the agent's secrets, with the host's way to the registries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import anyio

from ploinky.base.files import write_atomic
from ploinky.channel.client import Channel
from ploinky.channel.model import SpawnRequest
from ploinky.lifecycle.dependencies import Dependencies
from ploinky.lifecycle.failures import Ending, install_failed
from ploinky.lifecycle.hooks import described, run_streamed
from ploinky.lifecycle.python_deps import PythonPackages
from ploinky.lifecycle.registries import RegistryAccess, certificates_inside
from ploinky.lifecycle.transcript import Transcript

REQUIREMENTS_NAME = ".install-requirements.txt"
CONSTRAINTS_NAME = ".install-constraints.txt"

_NPM = "exec npm install --no-audit --no-fund --no-progress --loglevel=warn"
_WITH_GIT = """command -v git >/dev/null 2>&1 || {
  if command -v apk >/dev/null 2>&1; then apk add --no-cache git python3 make g++
  elif command -v apt-get >/dev/null 2>&1; then apt-get update && apt-get install -y git python3 make g++
  fi
}
"""
_PYTHON = """set -e
if command -v uv >/dev/null 2>&1; then
  uv venv --quiet venv
  exec uv pip install --quiet --python venv/bin/python "$@"
fi
python=$(command -v python3 || command -v python) || {
  echo "There is neither uv nor python in this image." >&2
  exit 127
}
"$python" -m venv --without-pip venv
if said=$(venv/bin/python -m ensurepip --upgrade --default-pip 2>&1); then
  exec venv/bin/python -m pip install --quiet --disable-pip-version-check "$@"
fi
"$python" -m pip --version >/dev/null 2>&1 || {
  printf '%s\n' "$said" >&2
  exit 1
}
rm -rf venv
"$python" -m venv --without-pip venv
exec "$python" -m pip --python venv/bin/python install --quiet --disable-pip-version-check "$@"
"""
# caches that live as long as the sandbox, and not in the agent's folder
_CACHES = {
    "npm_config_cache": "/tmp/.npm",  # noqa: S108 (inside the sandbox)
    "npm_config_update_notifier": "false",
    "UV_CACHE_DIR": "/tmp/.uv",  # noqa: S108
    "UV_LINK_MODE": "copy",
    "UV_NO_PROGRESS": "1",
    "UV_PYTHON_DOWNLOADS": "never",
    "PIP_NO_CACHE_DIR": "1",
}


@dataclass(frozen=True)
class Installer:
    """What installing for one agent takes; ``environment`` holds no secrets of the agent."""

    dependencies: Dependencies
    channel: Channel
    environment: Mapping[str, str]
    access: RegistryAccess
    transcript: Transcript
    timeout_s: float

    async def install_core(self) -> str | None:
        """Step 6; why there was nothing to do, or None if packages were installed.

        Raises:
            PloinkyError: DEPENDENCY_INSTALL_FAILED.
        """
        if (reason := await self._nothing_to_do()) is not None:
            return reason
        await anyio.to_thread.run_sync(self.dependencies.begin)
        node = self.dependencies.node
        if node is None or not node.core:
            return "no core dependencies"
        self._write("package.json", node.core_json)
        await self._run("Core dependencies (step 6)", self._npm(), ())
        return None

    async def install_own(self) -> str | None:
        """Step 7; why there was nothing to do, or None if packages were installed.

        Raises:
            PloinkyError: DEPENDENCY_INSTALL_FAILED.
        """
        if (reason := await self._nothing_to_do()) is not None:
            return reason
        if self.dependencies.node is not None:
            self._write("package.json", self.dependencies.node.package_json)
            if self.dependencies.node.lock is not None:
                self._write(*self.dependencies.node.lock)
            await self._run("Agent dependencies (step 7): npm", self._npm(), ())
        if self.dependencies.python is not None:
            arguments = self._python_arguments(self.dependencies.python)
            await self._run("Agent dependencies (step 7): Python", _PYTHON, arguments)
        await anyio.to_thread.run_sync(self.dependencies.finish)
        return None

    async def _nothing_to_do(self) -> str | None:
        if not self.dependencies.wanted:
            return "no dependencies"
        satisfied = await anyio.to_thread.run_sync(lambda: self.dependencies.satisfied)
        return "unchanged" if satisfied else None

    def _npm(self) -> str:
        node = self.dependencies.node
        return (_WITH_GIT if node is not None and node.needs_git else "") + _NPM

    def _python_arguments(self, python: PythonPackages) -> tuple[str, ...]:
        work_dir = self.dependencies.work_dir
        if python.is_file:
            arguments = ["-r", f"{python.inside}/{python.source.name}"]
        else:
            self._write(REQUIREMENTS_NAME, python.requirements)
            arguments = ["-r", str(work_dir / REQUIREMENTS_NAME)]
        if python.constraints:
            self._write(CONSTRAINTS_NAME, python.constraints)
            arguments += ["-c", str(work_dir / CONSTRAINTS_NAME)]
        return tuple(arguments)

    def _write(self, name: str, text: str) -> None:
        write_atomic(self.dependencies.work_dir / name, text.encode())

    async def _run(self, phase: str, script: str, arguments: tuple[str, ...]) -> None:
        self.transcript.begin(phase)
        with certificates_inside(self.access, self.dependencies.work_dir) as certificates:
            environment = {**self.environment, **_CACHES, **self.access.variables, **certificates}
            request = SpawnRequest(
                argv=("/bin/sh", "-c", script, "install", *arguments),
                env=tuple(sorted(environment.items())),
                cwd=str(self.dependencies.work_dir),
                timeout_s=self.timeout_s,
            )
            ended = await run_streamed(self.channel, request, self.transcript)
        if not ended.ok:
            how = described(ended, self.timeout_s)
            tails = self.transcript.tail("stdout"), self.transcript.tail("stderr")
            raise install_failed(self.dependencies.agent, phase, Ending(how, *tails))
