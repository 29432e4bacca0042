"""``secrets import``, ``export``, ``encrypt`` and ``decrypt``; ``vars --show``: what passes whole files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from ploinky.base.errors import NotFoundError, PloinkyError, UsageError
from ploinky.base.files import read_text, write_atomic
from ploinky.base.jsontypes import JsonValue
from ploinky.operations.platform import Platform
from ploinky.secrets.audit import record
from ploinky.secrets.dotenv import Binding, format_binding, parse_dotenv
from ploinky.wire.events import Event, Notice, Result

_PRIVATE = 0o600


async def import_secrets(
    platform: Platform, text: str, *, source: str, replace: bool
) -> AsyncIterator[Event]:
    """Keep every variable of a ``.env`` text; ``source`` names it in messages. All of them or none.

    Raises:
        PloinkyError: ``DOTENV_SYNTAX``; ``VALUE_SET`` naming those that have another value, unless
            ``replace``.
    """
    given = {binding.name: binding for binding in parse_dotenv(text, source=source)}
    kept = platform.secrets.kept.read()
    differing = sorted(name for name in given.keys() & kept.keys() if not _same(given[name], kept[name]))
    if differing and not replace:
        raise PloinkyError(
            "VALUE_SET",
            f"These have another value already: {', '.join(differing)}.",
            hint="Nothing was imported. To replace them: --replace",
            details={"names": ", ".join(differing)},
        )
    added = sorted(given.keys() - kept.keys())
    platform.secrets.kept.set_all([given[name] for name in (*added, *differing)])
    platform.secrets.changed()
    record(platform.layout, "secrets_imported", names=[*added, *differing])
    same = len(given) - len(added) - len(differing)
    yield Notice(message=f"Imported {len(added)} new, replaced {len(differing)}, {same} were there.")
    yield Result(value={"added": list(added), "replaced": list(differing), "unchanged": same})


async def reveal_secrets(platform: Platform, *, event: str) -> AsyncIterator[Event]:
    """Names and values of ``.secrets`` as the result; ``event`` names the occasion in the audit log."""
    kept = platform.secrets.kept.read()
    record(platform.layout, event, names=sorted(kept))
    values: dict[str, JsonValue] = {name: _line(binding) for name, binding in sorted(kept.items())}
    yield Result(value=values)


async def export_secrets(platform: Platform, path: Path, *, replace: bool) -> AsyncIterator[Event]:
    """Write ``.secrets`` in clear to a private file (0600).

    Raises:
        UsageError: ``FILE_EXISTS`` unless ``replace``. NotFoundError: ``NO_FOLDER``.
    """
    _require_free(path, replace=replace)
    kept = platform.secrets.kept.read()
    record(platform.layout, "secrets_exported", names=sorted(kept))
    write_atomic(path, "".join(map(_line, kept.values())).encode(), mode=_PRIVATE)
    yield Notice(message=f"Wrote {len(kept)} values in clear to {path} (0600).")
    yield Result(value={"path": str(path), "names": [*sorted(kept)]})


async def encrypt_secrets(platform: Platform) -> AsyncIterator[Event]:
    """Encrypt ``.secrets`` in its place; again: with another key."""
    kept = platform.secrets.kept
    again = kept.is_encrypted()
    if not again and read_text(platform.layout.secrets_file) is None:
        raise NotFoundError("NO_SECRETS", "Nothing is kept yet.", hint="Set a value: ploinky var NAME")
    kept.encrypt()
    place = kept.key_place() or ""
    yield Notice(
        message=f"{platform.layout.secrets_file} is encrypted{' with another key' if again else ''}. "
        f"Its key lies in {place}; keep a copy of it, nothing opens the file without."
    )
    yield Result(value={"encrypted": True, "key": place})


async def decrypt_secrets(platform: Platform) -> AsyncIterator[Event]:
    """Put ``.secrets`` back in clear."""
    if platform.secrets.kept.decrypt():
        yield Notice(message=f"{platform.layout.secrets_file} is in clear (0600).")
    else:
        yield Notice(message=f"{platform.layout.secrets_file} was not encrypted.")
    yield Result(value={"encrypted": False})


def _require_free(path: Path, *, replace: bool) -> None:
    if path.exists() and not replace:
        raise UsageError("FILE_EXISTS", f"{path} exists.", hint="Name another file, or use --replace.")
    if not path.parent.is_dir():
        raise NotFoundError("NO_FOLDER", f"There is no folder {path.parent}.")


def _same(one: Binding, other: Binding) -> bool:
    return (one.value, one.alias) == (other.value, other.alias)


def _line(binding: Binding) -> str:
    return format_binding(binding.name, binding.value, literal=binding.literal)
