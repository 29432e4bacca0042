"""Shell texts parsed by shfmt, many in one run of it.

The texts are joined by marked comments and parsed at once; where one does not end before its mark (an open
quote, an ``if`` without ``fi``), each half is parsed apart, so that no text can change what another means.
"""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ploinky.base.errors import PloinkyError
from ploinky.skills.safety.reading import read_tree
from ploinky.skills.safety.syntax import Statement

_TIMEOUT_S = 20.0
_MARK = "#ploinky-ends-"
_DEEPEST = 400


@dataclass(frozen=True)
class Tree:
    """A parsed text. ``line_shift`` is what a statement's line has too much; ``source`` is for offsets."""

    statements: tuple[Statement, ...]
    source: bytes
    line_shift: int = 0

    def text(self, start: int, end: int) -> str:
        return self.source[start:end].decode("utf-8", "replace")


def parse_shell(texts: Sequence[str]) -> list[Tree | None]:
    """A tree for each text, None for one that is no shell.

    Raises:
        PloinkyError: ``NO_SHFMT`` if the parser is missing or does not answer.
    """
    if len(texts) < 2:
        return [_alone(text) for text in texts]
    joined = _joined(texts)
    if joined is not None:
        return list(joined)
    half = len(texts) // 2
    return [*parse_shell(texts[:half]), *parse_shell(texts[half:])]


@functools.lru_cache(maxsize=256)
def _alone(text: str) -> Tree | None:
    file = _shfmt(text)
    try:
        return None if file is None else Tree(read_tree(file), text.encode())
    except RecursionError:
        return None


def _joined(texts: Sequence[str]) -> list[Tree] | None:
    marks = [f"{_MARK}{number}" for number in range(len(texts))]
    source = "".join(f"{text}\n{mark}\n" for text, mark in zip(texts, marks, strict=True))
    file = _shfmt(source)
    if file is None:
        return None
    data = source.encode()
    ends: list[int] = []
    for text in texts:
        ends.append((ends[-1] if ends else 0) + len(f"{text}\n{_MARK}{len(ends)}\n".encode()))
    found = {(offset, text) for offset, text in _comments(file)}
    wanted = {(end - len(mark) - 1, mark[1:]) for end, mark in zip(ends, marks, strict=True)}
    if not wanted <= found or any(_MARK in text for text in texts):
        return None
    try:
        return _split(read_tree(file), ends, data)
    except RecursionError:
        return None


def _split(statements: tuple[Statement, ...], ends: list[int], data: bytes) -> list[Tree] | None:
    trees, begin = [], 0
    for end in ends:
        mine = tuple(each for each in statements if begin <= each.start < end)
        if any(each.end > end for each in mine):
            return None
        trees.append(Tree(mine, data, data.count(b"\n", 0, begin)))
        begin = end
    return trees


def _comments(node: object) -> Iterator[tuple[int, str]]:
    pending = [node]
    while pending:
        each = pending.pop()
        if isinstance(each, dict):
            if "Hash" in each and "Text" in each:
                yield each["Hash"]["Offset"], each["Text"]
            pending.extend(each.values())
        elif isinstance(each, list):
            pending.extend(each)


def _shfmt(text: str) -> dict[str, Any] | None:
    try:
        done = subprocess.run(
            [_program(), "--to-json", "-ln", "bash"],
            input=text.encode("utf-8", "replace"),
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
            env={},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _missing() from error
    if done.returncode != 0:
        return None
    try:
        file: dict[str, Any] = json.loads(done.stdout)
    except (ValueError, RecursionError):
        return None
    return file


@functools.cache
def _program() -> str:
    beside = Path(sysconfig.get_path("scripts")) / "shfmt"
    found = str(beside) if beside.exists() else shutil.which("shfmt")
    if found is None:
        raise _missing()
    return found


def _missing() -> PloinkyError:
    return PloinkyError(
        "NO_SHFMT",
        "The shell parser 'shfmt' is missing or does not answer, so nothing can be judged.",
        hint="Install the package shfmt-py into the environment of ploinky.",
    )
