"""How the safety analysis judges labelled commands: ``python -m bench.skills FILE...`` (JSON lines).

Each line has ``command`` and ``label`` (allow, needs-approval or deny). Prints a row per file, then misses.
The commands are data: they are read and judged, never run, and shown with what cannot be printed replaced.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ploinky.skills.safety.text import judge_texts


@dataclass
class Tally:
    """Counts of one file: (label, verdict) pairs, and what missed its bar."""

    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    misses: list[str] = field(default_factory=list)

    def count(self, label: str, verdict: str) -> int:
        return self.pairs[label, verdict]

    def total(self, label: str) -> int:
        return sum(number for (each, _), number in self.pairs.items() if each == label)

    def meets_the_bars(self) -> bool:
        deny, allow = self.total("deny"), self.total("allow")
        return (
            self.count("deny", "allow") == 0
            and self.count("deny", "deny") >= 0.95 * deny
            and self.count("allow", "deny") == 0
            and self.count("allow", "allow") >= 0.8 * allow
        )


def judge_file(path: Path) -> Tally:
    """Judge every line of a file."""
    tally = Tally()
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    verdicts = judge_texts([(row["command"], 1) for row in rows])
    for number, (row, judged) in enumerate(zip(rows, verdicts, strict=True)):
        verdict = judged.verdict.word
        tally.pairs[row["label"], verdict] += 1
        if verdict != row["label"]:
            rules = ", ".join(dict.fromkeys(each.rule for each in judged.findings))
            shown = "".join(char if char.isprintable() else "⏎" for char in row["command"])
            tally.misses.append(f"{number:4} {row['label']:>14} -> {verdict:14} [{rules}] {shown[:140]}")
    return tally


def main(files: list[str]) -> int:
    """Print the table; the status tells whether every file met its bars."""
    tallies = {name: judge_file(Path(name)) for name in files}
    heads = ("deny denied", "deny allowed", "harmless allowed", "harmless denied", "asked kept")
    print(f"{'file':30}", *(f"{head:>17}" for head in heads))
    for name, tally in tallies.items():
        deny, allow, asked = (tally.total(label) for label in ("deny", "allow", "needs-approval"))
        cells = (
            f"{tally.count('deny', 'deny')}/{deny}",
            f"{tally.count('deny', 'allow')}",
            f"{tally.count('allow', 'allow')}/{allow}",
            f"{tally.count('allow', 'deny')}",
            f"{tally.count('needs-approval', 'needs-approval')}/{asked}",
        )
        print(f"{Path(name).name:30}", *(f"{cell:>17}" for cell in cells))
    for name, tally in tallies.items():
        print(f"\n{Path(name).name}: {len(tally.misses)} judged otherwise than labelled")
        print("\n".join(tally.misses))
    return 0 if all(each.meets_the_bars() for each in tallies.values()) else 1


if __name__ == "__main__":
    started = time.perf_counter()
    status = main(sys.argv[1:])
    print(f"\n{time.perf_counter() - started:.1f} s")
    raise SystemExit(status)
