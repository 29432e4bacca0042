"""``service``: the gateway as a unit of the user's systemd, so that it runs from boot on.

The unit lies where systemd looks for a user's own; it is written and removed here, and systemd is told to
read it. Enabling it stays the person's: it changes what runs at boot.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from ploinky.base.errors import NotFoundError, UsageError
from ploinky.base.files import write_atomic
from ploinky.operations.platform import Platform
from ploinky.wire.events import Event, Notice, Result
from ploinky.workspace.layout import Layout

_RELOAD_S = 20.0
_UNIT = """\
[Unit]
Description={description}

[Service]
WorkingDirectory={folder}
Environment={path}
ExecStart={command}
Restart=on-failure
KillMode=process

[Install]
WantedBy=default.target
"""


async def install_service(platform: Platform, *, only_print: bool) -> AsyncIterator[Event]:
    """Write the unit, or only tell what it would say.

    Raises:
        UsageError: ``BAD_UNIT`` if the folder's name cannot stand in a unit; ``NO_HOME``.
    """
    text = unit_text(platform.layout, platform.serve_args, platform.environ)
    file = unit_file(platform.layout, platform.environ)
    if not only_print:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, text.encode())
        yield Notice(message=f"Wrote {file}")
        _reload(platform.environ)
        yield Notice(
            message=f"Start it now and at login: systemctl --user enable --now {file.name}",
            hint="To run while nobody is logged in: loginctl enable-linger",
        )
    yield Result(value={"unit": file.name, "file": str(file), "text": text})


async def uninstall_service(platform: Platform) -> AsyncIterator[Event]:
    """Remove the unit; a gateway that runs goes on.

    Raises:
        NotFoundError: ``NO_SERVICE``.
    """
    file = unit_file(platform.layout, platform.environ)
    if not file.is_file():
        raise NotFoundError(
            "NO_SERVICE",
            f"There is no unit {file} of this workspace.",
            hint="Make it: ploinky service install",
        )
    for each in (file.parent / "default.target.wants" / file.name, file):
        each.unlink(missing_ok=True)
    _reload(platform.environ)
    yield Notice(message=f"Removed {file}", hint=f"If it runs: systemctl --user stop {file.name}")
    yield Result(value={"unit": file.name, "file": str(file)})


def unit_file(layout: Layout, environ: Mapping[str, str]) -> Path:
    """Where the unit of this workspace lies.

    Raises:
        UsageError: ``NO_HOME``.
    """
    base, home = environ.get("XDG_CONFIG_HOME"), environ.get("HOME")
    if not base and not home:
        raise UsageError("NO_HOME", "HOME is not set.", hint="Set it to your home folder.")
    folder = Path(base) if base else Path(str(home)) / ".config"
    return folder / "systemd" / "user" / f"ploinky-{layout.id}.service"


def unit_text(layout: Layout, command: tuple[str, ...], environ: Mapping[str, str]) -> str:
    """The unit: the gateway in the foreground. Agents outlive it, as they outlive any gateway.

    Raises:
        UsageError: ``BAD_UNIT``.
    """
    words = [str(layout.root), *command, environ.get("PATH", "")]
    if any(ord(letter) < 32 or letter == "\x7f" for word in words for letter in word):
        raise UsageError(
            "BAD_UNIT",
            f"{str(layout.root)!r} has control characters, which cannot stand in a unit.",
            hint="Move the workspace to a folder of a plain name.",
        )
    return _UNIT.format(
        description=f"Ploinky, the workspace in {_literal(str(layout.root))}",
        folder=_literal(str(layout.root)),
        path=_quoted(f"PATH={environ.get('PATH', '')}"),
        command=" ".join(_quoted(word).replace("$", "$$") for word in command),
    )


def _literal(text: str) -> str:
    """As it stands, for systemd, which replaces what follows a percent sign."""
    return text.replace("%", "%%")


def _quoted(text: str) -> str:
    escaped = _literal(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _reload(environ: Mapping[str, str]) -> None:
    """Let a systemd that runs read its units; without one there is nothing to tell."""
    program = shutil.which("systemctl", path=environ.get("PATH", ""))
    if program is not None and environ.get("XDG_RUNTIME_DIR"):
        words = [program, "--user", "daemon-reload"]
        subprocess.run(words, env=dict(environ), capture_output=True, timeout=_RELOAD_S, check=False)
