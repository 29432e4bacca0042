"""Values that must not be seen: from a pipe as they stand, from a terminal without echo."""

from __future__ import annotations

import sys

import click


def read_hidden(label: str) -> str:
    """The value, without one line end."""
    if not sys.stdin.isatty():
        return sys.stdin.read().removesuffix("\n").removesuffix("\r")
    answer: str = click.prompt(label, hide_input=True, err=True, default="", show_default=False)
    return answer
