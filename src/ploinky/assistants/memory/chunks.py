"""Cut a text into the pieces that are searched: by paragraphs and headings, of a bounded size. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

TARGET = 900
LONGEST = 1800


@dataclass(frozen=True)
class Chunk:
    """A piece of a text and the line (from 1) where it begins."""

    first_line: int
    text: str


def cut_chunks(text: str) -> Iterator[Chunk]:
    """The pieces of ``text`` in order; blank ones are left out."""
    lines: list[str] = []
    first, size = 1, 0
    for number, line in enumerate(text.splitlines(), start=1):
        starts = line.startswith("#") and size > 0
        full = size + len(line) > TARGET and (not line.strip() or size > LONGEST // 2)
        if starts or full:
            yield from _piece(first, lines)
            lines, first, size = [], number, 0
        lines.append(line[:LONGEST])
        size += len(line) + 1
    yield from _piece(first, lines)


def _piece(first: int, lines: list[str]) -> Iterator[Chunk]:
    text = "\n".join(lines).strip()
    if text:
        yield Chunk(first, text)
