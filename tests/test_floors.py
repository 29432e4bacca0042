"""The house stands on its floors: a package imports only lower ones, wherever the import is written."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "ploinky"
FLOORS = {
    "base": 0,
    "wire": 0,
    "manifest": 1,
    "channel": 1,
    "mcp": 1,
    "workspace": 2,
    "secrets": 3,
    "repos": 3,
    "runtimes": 3,
    "toolhost": 3,
    "providers": 3,
    "lifecycle": 4,
    "router": 4,
    "skills": 4,
    "assistants": 5,
    "operations": 6,
    "gateway": 7,
    "app": 8,
    "cli": 9,
    "__main__": 10,
}


def package_of(file: Path) -> str:
    relative = file.relative_to(SOURCE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imported_packages(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Packages of ploinky that a module imports: in functions and under TYPE_CHECKING too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            module = node.module or ""
            names = [f"{module}.{alias.name}" for alias in node.names] if module == "ploinky" else [module]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "ploinky" and len(parts) > 1 and parts[1] != "__version__":
                yield node.lineno, parts[1]


def violations(source: str, package: str) -> list[str]:
    found = []
    for line, imported in imported_packages(ast.parse(source)):
        if imported != package and FLOORS[imported] >= FLOORS[package]:
            found.append(f"line {line}: {package} imports {imported}")
    return found


def source_files() -> list[Path]:
    return [file for file in sorted(SOURCE.rglob("*.py")) if file != SOURCE / "__init__.py"]


@pytest.mark.parametrize("file", source_files(), ids=lambda file: str(file.relative_to(SOURCE)))
def test_a_module_imports_only_lower_floors(file: Path) -> None:
    assert violations(file.read_text(encoding="utf-8"), package_of(file)) == []


def test_every_package_has_a_floor() -> None:
    assert {package_of(file) for file in source_files()} <= set(FLOORS)


@pytest.mark.parametrize(
    "source",
    [
        "from ploinky.cli import main",
        "import ploinky.router",
        "def late():\n    from ploinky.runtimes.spec import RunSpec",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ploinky import gateway",
    ],
)
def test_an_import_upwards_or_sideways_is_found_wherever_it_stands(source: str) -> None:
    assert violations(source, "runtimes" if "runtimes" not in source else "secrets") != []
