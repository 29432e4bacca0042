"""The terminal: lines, colours, tables and JSON.

Knows streams and widths, not what is shown. Colours are used on a terminal only, and not if ``NO_COLOR``
is set (https://no-color.org) or asked against.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TextIO

_NARROWEST = 12


class Tone(StrEnum):
    """What a piece of text means; the value is its ANSI sequence."""

    GOOD = "32"
    BAD = "31"
    WARN = "33"
    DIM = "2"
    BOLD = "1"
    NAME = "36"


@dataclass(frozen=True)
class Cell:
    """Text of a table with its tone."""

    text: str
    tone: Tone | None = None


@dataclass(frozen=True)
class Console:
    """Where results (``out``) and everything else (``err``) go."""

    out: TextIO
    err: TextIO
    colour: bool
    live: bool  # whether ``err`` is a terminal that can redraw a line

    @classmethod
    def system(cls, environ: Mapping[str, str], *, colour: bool | None = None) -> Console:
        """The console of this process; ``colour`` None decides by the terminal and ``NO_COLOR``."""
        plain = bool(environ.get("NO_COLOR")) or environ.get("TERM") == "dumb"
        wanted = (not plain and sys.stdout.isatty()) if colour is None else colour
        return cls(sys.stdout, sys.stderr, wanted, sys.stderr.isatty() and environ.get("TERM") != "dumb")

    @property
    def width(self) -> int:
        return shutil.get_terminal_size((100, 24)).columns

    def styled(self, text: str, tone: Tone | None) -> str:
        return text if tone is None or not self.colour else f"\x1b[{tone.value}m{text}\x1b[0m"

    def line(self, text: str = "", tone: Tone | None = None) -> None:
        self.out.write(self.styled(text, tone) + "\n")

    def note(self, text: str, tone: Tone | None = None) -> None:
        """A line that is not part of the result."""
        self.out.flush()
        self.err.write(self.styled(text, tone) + "\n")
        self.err.flush()

    def json(self, value: object) -> None:
        """A whole JSON document, readable."""
        self.out.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")

    def json_line(self, text: str) -> None:
        """One line of NDJSON, delivered at once."""
        self.out.write(text + "\n")
        self.out.flush()

    def table(
        self, headers: Sequence[str], rows: Sequence[Sequence[str | Cell]], *, indent: str = ""
    ) -> None:
        """Columns as wide as their widest cell, headers underlined; a terminal's last one is cut to fit."""
        cells = [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in rows]
        widths = [
            max([len(header), *(len(row[index].text) for row in cells)])
            for index, header in enumerate(headers)
        ]
        if self.out.isatty():
            widths[-1] = max(
                _NARROWEST, min(widths[-1], self.width - sum(widths[:-1]) - 2 * (len(widths) - 1))
            )
        head = [Cell(header, Tone.BOLD) for header in headers]
        rule = [Cell("─" * len(header), Tone.DIM) for header in headers]
        for row in (head, rule, *cells):
            self.line(f"{indent}{self._row(row, widths)}")

    def _row(self, row: Sequence[Cell], widths: Sequence[int]) -> str:
        padded = (
            self.styled(_cut(cell.text, width), cell.tone) + " " * (width - len(cell.text))
            for cell, width in zip(row, widths, strict=True)
        )
        return "  ".join(padded).rstrip()


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
