"""Tables of figures: medians with their spread, as text for terminals and for the docs."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """``bars`` are the promises this table is held against, as sentences with the figure reached; ``remark``
    says what the rows are."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    bars: tuple[str, ...] = ()
    remark: str = ""

    def markdown(self) -> str:
        widths = [max(len(row[i]) for row in (self.columns, *self.rows)) for i in range(len(self.columns))]
        lines = [f"## {self.title}", "", *([self.remark, ""] if self.remark else [])]
        lines.append(_line(self.columns, widths))
        lines.append("|" + "|".join("-" * (width + 2) for width in widths) + "|")
        lines += [_line(row, widths) for row in self.rows]
        if self.bars:
            lines += ["", *(f"- {bar}" for bar in self.bars)]
        return "\n".join(lines) + "\n"


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def percentile(values: Sequence[float], fraction: float) -> float:
    """The value below which ``fraction`` (0 to 1) of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * fraction))]


def verdict(what: str, figure: float, limit: float, unit: str) -> str:
    """``what: 12 ms, at most 150 ms: kept`` (or ``MISSED``)."""
    word = "kept" if figure <= limit else "MISSED"
    reached, most = (f"{each} {unit}".rstrip() for each in (f"{figure:.3g}", f"{limit:g}"))
    return f"{what}: {reached}, at most {most}: **{word}**"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"
