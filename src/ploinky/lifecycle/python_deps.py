"""Python packages of an agent: what its files ask for, as one list of requirements.

``requirements.txt`` is handed on as it is; of a ``pyproject.toml`` the project's dependencies are taken
(the agent's own code runs from ``/code`` and is not installed); ``uv.lock`` pins versions as constraints,
which pip and uv both understand. Files are looked for beside the agent's code, then in its folder.
"""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ploinky.base.errors import PloinkyError
from ploinky.base.files import read_inside

REQUIREMENTS = "requirements.txt"
PROJECT = "pyproject.toml"
LOCK = "uv.lock"
_T = TypeVar("_T", bound=BaseModel)


class _Foreign(BaseModel):
    model_config = ConfigDict(extra="ignore", defer_build=True)


class _Project(_Foreign):
    dependencies: list[str] = []
    requires_python: Annotated[str | None, Field(alias="requires-python")] = None


class _ProjectFile(_Foreign):
    project: _Project = Field(default_factory=_Project)


class _LockedPackage(_Foreign):
    name: str
    version: str | None = None
    source: Mapping[str, object] = {}


class _LockFile(_Foreign):
    package: list[_LockedPackage] = []


@dataclass(frozen=True)
class PythonPackages:
    """What to install. ``inside`` is the folder of the requirements as the sandbox sees it, because such
    a file may name others beside it; ``requirements`` is text to write instead, when there is no file."""

    source: Path
    inside: str
    requirements: str
    constraints: str
    facts: str

    @property
    def is_file(self) -> bool:
        return self.source.name == REQUIREMENTS


def python_packages(*, code: Path, folder: Path) -> PythonPackages | None:
    """The agent's Python packages, or None if it asks for none.

    Raises:
        PloinkyError: PYTHON_FILE_INVALID, naming the file.
    """
    for place, inside in ((code, "/code"), (folder, "/agent")):
        if (place / REQUIREMENTS).is_file():
            return _from_requirements(place, inside, folder)
        if (place / PROJECT).is_file():
            found = _from_project(place, inside, folder)
            if found is not None:
                return found
    return None


def _from_requirements(place: Path, inside: str, folder: Path) -> PythonPackages | None:
    source = place / REQUIREMENTS
    text = _text(source, folder)
    if not any(line.strip() and not line.lstrip().startswith("#") for line in text.splitlines()):
        return None
    constraints = _constraints(place / LOCK, folder)
    others = {path.name: _text(path, folder) for path in sorted(place.glob("*requirements*.txt"))}
    others |= {path.name: _text(path, folder) for path in sorted(place.glob("*constraints*.txt"))}
    return PythonPackages(source, inside, text, constraints, json.dumps([others, constraints]))


def _from_project(place: Path, inside: str, folder: Path) -> PythonPackages | None:
    source = place / PROJECT
    project = _load(source, folder, _ProjectFile).project
    if not project.dependencies:
        return None
    text = "".join(f"{line}\n" for line in project.dependencies)
    constraints = _constraints(place / LOCK, folder)
    return PythonPackages(source, inside, text, constraints, json.dumps([text, constraints]))


def _constraints(lock: Path, folder: Path) -> str:
    """``name==version`` of every package that the lock holds in one version only."""
    if not lock.is_file():
        return ""
    packages = [
        package
        for package in _load(lock, folder, _LockFile).package
        if package.version and not {"virtual", "editable", "directory"} & set(package.source)
    ]
    counts = Counter(package.name for package in packages)
    return "".join(f"{p.name}=={p.version}\n" for p in packages if counts[p.name] == 1)


def _text(path: Path, folder: Path) -> str:
    return read_inside(folder, path).decode("utf-8-sig", "replace")


def _load(path: Path, folder: Path, kind: type[_T]) -> _T:
    try:
        return kind.model_validate(tomllib.loads(_text(path, folder)))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        place = str(error) if isinstance(error, tomllib.TOMLDecodeError) else error.errors()[0]["msg"]
        raise PloinkyError(
            "PYTHON_FILE_INVALID",
            f"{path} cannot be read: {place}.",
            hint="Correct the file and start the agent again.",
        ) from error
