"""Node packages of an agent: which, and how they are installed.

An agent has Node packages if there is a ``package.json`` beside its code or in its folder. To them come
the profile's ``dependencies`` and the core set. The core set is ``.ploinky/package.base.json`` of the
workspace, installed whole; without one it is the four packages of ``templates/package.base.json``, of
which those are installed that the agent names in its ``package.json`` or manifest, or imports. The
platform itself needs none of them (its tool server is no Node program), and they come from source
repositories that not every machine can reach; an agent that does not use them must start without.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from ploinky.base.errors import PloinkyError
from ploinky.base.files import read_inside
from ploinky.lifecycle.ranges import can_agree

BASE_NAME = "package.base.json"
_LOCKS = ("package-lock.json", "npm-shrinkwrap.json")
_SOURCES = frozenset({".js", ".mjs", ".cjs", ".ts", ".mts", ".jsx", ".tsx"})
_IMPORT = re.compile(rb"""(?:\bfrom|\bimport|\brequire|\bresolve)\s*\(?\s*["']([^"'./][^"']*)["']""")
_MOST_FILES = 2000
_LONGEST_FILE = 2 * 1024 * 1024
_SKIPPED_FOLDERS = frozenset({"node_modules", ".git", "venv", ".venv"})


def _only_texts(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(name): text for name, text in value.items() if isinstance(text, str)}
    return {} if value is None else value


Ranges = Annotated[dict[str, str], BeforeValidator(_only_texts)]


class PackageFile(BaseModel):
    """The fields of a ``package.json`` that count here; a foreign file, so others are ignored."""

    model_config = ConfigDict(extra="ignore", defer_build=True)

    name: str | None = None
    version: str | None = None
    dependencies: Ranges = {}
    devDependencies: Ranges = {}  # noqa: N815 (npm's name)
    peerDependencies: Ranges = {}  # noqa: N815
    optionalDependencies: Ranges = {}  # noqa: N815


@dataclass(frozen=True)
class NodePackages:
    """What to install. ``package_json`` is the merged file; ``core`` what the platform adds to it."""

    @property
    def core_json(self) -> str:
        """A ``package.json`` of the core packages alone."""
        merged = {"name": "ploinky-agent-runtime", "version": "1.0.0", "private": True, "type": "module"}
        return json.dumps({**merged, "dependencies": dict(self.core)}, indent=2, sort_keys=True) + "\n"

    @property
    def needs_git(self) -> bool:
        """Whether a package comes from a source repository, which npm fetches by git."""
        return re.search(r'"(?:github:|gitlab:|bitbucket:|git[+:])', self.package_json) is not None

    source: Path
    core: Mapping[str, str]
    package_json: str
    lock: tuple[str, str] | None


def find_package_file(code: Path, folder: Path) -> Path | None:
    """The agent's ``package.json``: beside its code, else in its folder."""
    return next((path for path in (code / "package.json", folder / "package.json") if path.is_file()), None)


def node_packages(
    agent: str, *, code: Path, folder: Path, extra: Mapping[str, str], workspace_base: Path
) -> NodePackages | None:
    """The merged packages of an agent, or None if it has no ``package.json``.

    Raises:
        PloinkyError: PACKAGE_FILE_INVALID; DEPENDENCY_CONFLICT if a core package cannot satisfy a range
            that the agent asks for.
    """
    source = find_package_file(code, folder)
    if source is None:
        return None
    own = _read_package(source, folder)
    wanted = {**own.dependencies, **extra}
    core = _core(workspace_base, own, wanted, (code, folder))
    _check_conflicts(agent, core, wanted)
    merged = {
        "name": f"ploinky-agent-{agent}".lower(),
        "version": own.version or "1.0.0",
        "private": True,
        "type": "module",
        "dependencies": {**wanted, **core},
        "devDependencies": own.devDependencies,
        "optionalDependencies": own.optionalDependencies,
    }
    lock = next((source.parent / name for name in _LOCKS if (source.parent / name).is_file()), None)
    return NodePackages(
        source,
        core,
        json.dumps(merged, indent=2, sort_keys=True) + "\n",
        None if lock is None else (lock.name, _text(lock, folder)),
    )


def _core(
    workspace_base: Path, own: PackageFile, wanted: Mapping[str, str], places: tuple[Path, Path]
) -> Mapping[str, str]:
    if workspace_base.is_file():
        return _read_package(workspace_base, workspace_base.parent).dependencies
    seeds = _template().dependencies
    named = {*wanted, *own.devDependencies, *own.peerDependencies, *own.optionalDependencies}
    missing = set(seeds) - named
    used = named | (imported_packages(*places, missing) if missing else set())
    return {name: text for name, text in seeds.items() if name in used}


def imported_packages(code: Path, folder: Path, names: set[str]) -> set[str]:
    """Which of the packages ``names`` the sources under ``code`` import or require."""
    found: set[str] = set()
    for path in _source_files(code):
        for match in _IMPORT.finditer(_source(path, folder)):
            parts = match[1].decode("utf-8", "replace").split("/")
            name = "/".join(parts[:2]) if parts[0].startswith("@") else parts[0]
            if name in names:
                found.add(name)
        if found == names:
            break
    return found


def _source_files(code: Path) -> Iterator[Path]:
    pending = [code]
    seen = 0
    while pending and seen < _MOST_FILES:
        for path in sorted(pending.pop().iterdir()):
            if path.is_symlink():
                continue
            if path.is_dir() and path.name not in _SKIPPED_FOLDERS:
                pending.append(path)
            elif path.suffix in _SOURCES and path.is_file():
                seen += 1
                yield path


def _check_conflicts(agent: str, core: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    conflicts = [name for name in core if name in wanted and not can_agree(core[name], wanted[name])]
    if not conflicts:
        return
    lines = [
        "Failed to install agent dependencies",
        "",
        f"  Agent: {agent}",
        "  Phase: Core dependencies (step 6)",
        "",
        "  The agent's package.json has conflicting dependencies.",
        "",
        "  Core dependencies (cannot be changed):",
        *(f"    - {name}: {text}" for name, text in core.items()),
        "",
        "  Conflicting agent dependency:",
        *(f"    - {name}: {wanted[name]} (conflicts with core)" for name in conflicts),
        "",
        "  Resolution:",
        "    1. Remove conflicting dependency from /code/package.json",
        "    2. Or use a compatible version",
        f"    3. Or set the workspace's own core set in .ploinky/{BASE_NAME}",
    ]
    raise PloinkyError(
        "DEPENDENCY_CONFLICT",
        "\n".join(lines),
        details={"agent": agent, "packages": ", ".join(conflicts)},
    )


def _source(path: Path, folder: Path) -> bytes:
    """A source file, empty if it is too long for one that a person wrote."""
    return read_inside(folder, path) if path.stat().st_size <= _LONGEST_FILE else b""


def _text(path: Path, folder: Path) -> str:
    return read_inside(folder, path).decode("utf-8-sig", "replace")


def _read_package(path: Path, folder: Path) -> PackageFile:
    try:
        return PackageFile.model_validate_json(_text(path, folder))
    except ValidationError as error:
        raise PloinkyError(
            "PACKAGE_FILE_INVALID",
            f"{path} cannot be read: {error.errors()[0]['msg']}.",
            hint="Correct the file and start the agent again.",
        ) from error


def _template() -> PackageFile:
    file = resources.files("ploinky.lifecycle").joinpath("templates", BASE_NAME)
    return PackageFile.model_validate_json(file.read_text(encoding="utf-8"))
