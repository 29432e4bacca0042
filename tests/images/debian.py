"""Which files the installed Debian packages of this machine hold."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Collection, Iterator
from pathlib import Path

TIMEOUT_S = 60
BULKY = ("/usr/share/doc", "/usr/share/man", "/usr/share/locale", "/usr/share/lintian", "/usr/share/info")
# Package tools that nothing inside runs.
NEVER = ("dpkg", "debconf", "perl-base", "tar", "media-types", "openssl")


class MissingPackageError(Exception):
    """A package is not installed here."""


def files_of(packages: Collection[str], *, without: Collection[str] = ()) -> Iterator[Path]:
    """The files and links of packages and of all they depend on, without documentation.

    Raises:
        MissingPackageError: one of ``packages`` is not installed.
    """
    if not packages:
        return
    listed = _output("dpkg", "-L", *_closure(packages, {*NEVER, *without}))
    seen = set()
    for line in listed.splitlines():
        file = Path(line)
        if line in seen or not line.startswith("/") or line.startswith(BULKY):
            continue
        seen.add(line)
        if file.is_symlink() or file.is_file():
            yield file
    # Made when the package is configured, so no package lists them.
    made = Path("/etc/ssl/certs/ca-certificates.crt")
    if "ca-certificates" in packages and made.is_file():
        yield made


def _closure(packages: Collection[str], without: Collection[str]) -> list[str]:
    needs, provided = _installed()
    found: set[str] = set()
    todo = list(packages)
    while todo:
        name = todo.pop()
        name = name if name in needs else provided.get(name, "")
        if not name or name in found or name in without:
            continue
        found.add(name)
        for choices in needs[name]:
            todo += [choice for choice in choices if choice in needs or choice in provided][:1]
    missing = sorted(set(packages) - found)
    if missing:
        raise MissingPackageError(f"not installed here: {', '.join(missing)} (apt install them)")
    return sorted(found)


def _installed() -> tuple[dict[str, list[list[str]]], dict[str, str]]:
    """Packages with what each depends on (alternatives in order), and who provides a virtual one."""
    form = "${db:Status-Abbrev}\t${Package}\t${Depends}, ${Pre-Depends}\t${Provides}\n"
    needs: dict[str, list[list[str]]] = {}
    provided: dict[str, str] = {}
    for line in _output("dpkg-query", "-W", "-f", form).splitlines():
        status, package, depends, provides = line.split("\t")
        if not status.startswith("ii"):
            continue
        wanted = [[_name(each) for each in one.split("|")] for one in depends.split(",") if one.strip()]
        needs.setdefault(package, wanted)
        for each in provides.split(","):
            provided.setdefault(_name(each), package)
    return needs, provided


def _name(relation: str) -> str:
    return re.split(r"[ (:]", relation.strip(), maxsplit=1)[0]


def _output(*argv: str) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        raise MissingPackageError(f"this is not a Debian machine: {argv[0]} failed") from error
    return done.stdout
