"""What can be wrong with a manifest: faults and warnings with their places, and the errors made of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ploinky.base.errors import NotFoundError, PloinkyError

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_$-]+\Z")


@dataclass(frozen=True)
class Finding:
    """``field`` is a path such as ``profiles.dev.ports[0]``, empty for the document; places count from 1."""

    field: str
    line: int
    message: str
    hint: str | None = None
    column: int = 1

    def __str__(self) -> str:
        where = f"line {self.line}" + (f", {self.field}" if self.field else "")
        return f"{where}: {self.message}" + (f" {self.hint}" if self.hint else "")


class Fault(Finding):
    """A manifest with this cannot be used."""


class Warning_(Finding):  # noqa: N801  the plain name is the builtin's
    """A manifest with this works, but probably not as its author thinks."""


class ManifestError(PloinkyError):
    """A manifest that cannot be used.

    Codes: ``MANIFEST_PARSE_ERROR`` (``line`` and ``column`` are set), ``MANIFEST_INVALID`` (``faults``
    holds every fault), ``MISSING_CONTAINER`` (nothing else is wrong).
    """

    def __init__(
        self, code: str, message: str, *, source: str, faults: Sequence[Fault], hint: str | None = None
    ) -> None:
        first = faults[0]
        details = {"source": source, "line": str(first.line), "column": str(first.column)}
        super().__init__(code, message, hint=hint, details=details)
        self.source = source
        self.faults = tuple(faults)
        self.line = first.line
        self.column = first.column


def parse_error(source: str, fault: Fault) -> ManifestError:
    """The text is not JSON."""
    return ManifestError(
        "MANIFEST_PARSE_ERROR",
        f"Failed to parse {source}: {fault.message} (line {fault.line}, column {fault.column}).",
        source=source,
        faults=[fault],
        hint=fault.hint or f"Validate JSON syntax in {source}",
    )


def invalid(source: str, faults: Sequence[Fault]) -> ManifestError:
    """The JSON says something that no manifest may say."""
    listed = "\n".join(f"  - {fault}" for fault in faults)
    return ManifestError(
        "MANIFEST_INVALID",
        f"Invalid manifest {source}:\n{listed}",
        source=source,
        faults=faults,
        hint="Fix the listed validation errors",
    )


def missing_container(source: str, fault: Fault) -> ManifestError:
    """Neither ``container`` nor ``image``, and nothing else is wrong."""
    return ManifestError("MISSING_CONTAINER", fault.message, source=source, faults=[fault], hint=fault.hint)


def manifest_not_found(agent: str, repo: str) -> NotFoundError:
    """The agent's folder has no ``manifest.json``."""
    return NotFoundError(
        "MANIFEST_NOT_FOUND",
        f"Manifest not found for agent '{agent}' in repo '{repo}'",
        hint="Check that the agent exists in the repository",
        details={"agent": agent, "repo": repo},
    )


def show_path(path: Sequence[str | int]) -> str:
    """A path as people write it: ``profiles.dev.ports[0]``, ``volumes["a/b"]``."""
    shown = ""
    for part in path:
        if isinstance(part, int):
            shown += f"[{part}]"
        elif _PLAIN_KEY.match(part):
            shown += f".{part}" if shown else part
        else:
            shown += f'["{part if len(part) <= 64 else part[:64] + "…"}"]'
    return shown
