"""Names of programs that a system may have:
none of them is a skill's own, and none may get another meaning.
"""

from __future__ import annotations

import functools
from importlib import resources


@functools.cache
def system_programs() -> frozenset[str]:
    """The names that ``system_programs.txt`` lists, one a line."""
    folder = resources.files("ploinky.skills.safety")
    text = folder.joinpath("system_programs.txt").read_text(encoding="utf-8")
    return frozenset(text.split())
