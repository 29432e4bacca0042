"""The page of conformance tells the truth: numbers run on, every row has its proof, every proof exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "conformance.md"
ROW = re.compile(r"^\| (?P<letter>[A-Z]+)(?P<number>\d+) \|(?P<cells>.*)\|$")
PROOF = re.compile(r"`([\w/]+\.py)::(\w+)`")
DECISION = re.compile(r"Otherwise: [\"“].{10,}")


def rows() -> list[re.Match[str]]:
    return [found for line in PAGE.read_text(encoding="utf-8").splitlines() if (found := ROW.match(line))]


@cache
def functions_of(file: str) -> frozenset[str]:
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in tree.body if isinstance(node, kinds))


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row['letter']}{row['number']}")
def test_a_requirement_has_a_test_that_exists_or_a_decision(row: re.Match[str]) -> None:
    proof = row["cells"].rsplit(" | ", 1)[-1]
    named = PROOF.findall(proof)
    assert named or DECISION.search(proof), row.group()
    for file, test in named:
        assert test.startswith("test_")
        assert (TESTS / file).is_file(), f"tests/{file} does not exist"
        assert test in functions_of(file), f"tests/{file} has no {test}"


def test_the_numbers_of_each_section_run_on() -> None:
    seen: dict[str, list[int]] = {}
    for row in rows():
        seen.setdefault(row["letter"], []).append(int(row["number"]))
    assert {"W", "A"} <= set(seen)
    for letter, numbers in seen.items():
        assert numbers == list(range(1, len(numbers) + 1)), letter
