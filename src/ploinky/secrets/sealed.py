"""Texts kept encrypted in one file, each under a scope and a name: the store of credentials.

``SealedStore(layout, environ)`` is the workspace's ``.ploinky/credentials.sealed``. Scopes and names are in
clear, so that they can be listed without the key; values never are. The file is 0600 and replaced whole under
a lock; one that cannot be read or opened is an error, never an empty one, and is never overwritten. Holds no
text: every call asks the disk. Every call may block for some milliseconds, the first for longer (a keyring).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ploinky.base.errors import UsageError
from ploinky.base.files import FileLock, read_bytes, write_atomic
from ploinky.secrets.master_key import MasterKeys
from ploinky.secrets.sealed_file import Place, Scope, Sealed, SealingKey, parse_sealed, render_sealed
from ploinky.workspace.layout import Layout
from ploinky.workspace.leftovers import remove_leftovers

__all__ = ["Scope", "SealedStore"]

_MODE = 0o600
_LONGEST_WORD = 512


class SealedStore:
    """Credentials by scope and name.

    Every method raises PloinkyError ``SEALED_DAMAGED`` for a torn file; those that open it also
    ``SEALED_TAMPERED``, ``MASTER_KEY_WRONG``, ``MASTER_KEY_MISSING``, ``MASTER_KEY_EXPOSED``,
    ``KEYRING_LOCKED`` or ``KEYRING_TIMEOUT``.
    """

    def __init__(self, layout: Layout, environ: Mapping[str, str], *, path: Path | None = None) -> None:
        """``path``: another sealed file of the workspace, which its caller locks."""
        self._path = path or layout.credentials_file
        self._lock = layout.lock("sealed" if path is None else f"sealed-{path.name.strip('.')}")
        self._keys = MasterKeys(layout, environ)

    @property
    def stamp(self) -> tuple[int, int] | None:
        """Differs when the file has changed; None if there is none. Opens nothing."""
        try:
            facts = self._path.stat()
        except FileNotFoundError:
            return None
        return facts.st_ino, facts.st_mtime_ns

    def get(self, scope: Scope, name: str) -> str | None:
        """The text, or None if there is none."""
        place = _place(scope, name)
        sealed = self._read()
        if sealed is None:
            return None
        key = self._opened(sealed)
        box = sealed.boxes.get(place)
        return None if box is None else key.open(place, box, self._path)

    def get_from(self, data: bytes, scope: Scope, name: str) -> str | None:
        """Like ``get``, in a content of the file that was read before."""
        sealed = parse_sealed(data, self._path)
        box = sealed.boxes.get(_place(scope, name))
        return None if box is None else self._opened(sealed).open(_place(scope, name), box, self._path)

    def get_all(self, scope: Scope) -> dict[str, str]:
        """Every text of exactly this scope, by name."""
        sealed = self._read()
        if sealed is None:
            return {}
        key = self._opened(sealed)
        found = {place: box for place, box in sorted(sealed.boxes.items()) if place[0] == tuple(scope)}
        return {place[1]: key.open(place, box, self._path) for place, box in found.items()}

    def set(self, scope: Scope, name: str, value: str) -> None:
        """Keep a text, in the place of a former one.

        Raises:
            UsageError: ``BAD_SCOPE``; ``BAD_VALUE`` if it is no Unicode text.
            PloinkyError: ``FILE_WRITE``; ``MASTER_KEY_WEAK``, ``MASTER_KEY_PLACE`` at the first text.
        """
        self.set_all(scope, {name: value})

    def set_all(self, scope: Scope, values: Mapping[str, str]) -> None:
        """Keep several texts of one scope at once: all of them or, on an error, none."""
        texts = {_place(scope, name): _checked(value) for name, value in values.items()}
        with FileLock(self._lock):
            sealed = self._read()
            if sealed is None:
                record = self._keys.make()
                sealed, key = Sealed(record, {}), SealingKey(self._keys.find(record), record)
            else:
                key = self._opened(sealed)
            boxes = {place: key.close(place, text) for place, text in texts.items()}
            self._write(key.sealed({**sealed.boxes, **boxes}))

    def replace_all(self, scope: Scope, values: Mapping[str, str]) -> None:
        """Make the file anew, with a new key and these texts only, whatever stood in it."""
        texts = {_place(scope, name): _checked(value) for name, value in values.items()}
        with FileLock(self._lock):
            record = self._keys.make()
            key = SealingKey(self._keys.find(record), record)
            self._write(key.sealed({place: key.close(place, text) for place, text in texts.items()}))

    def key_place(self) -> str | None:
        """Where the key lies, for people; None if there is no file."""
        sealed = self._read()
        return None if sealed is None else self._keys.where(sealed.record)

    def delete(self, scope: Scope, name: str | None = None) -> bool:
        """Forget one text, or all of exactly this scope; whether there was any."""
        place = _place(scope, name or "*")
        with FileLock(self._lock):
            sealed = self._read()
            if sealed is None:
                return False
            key = self._opened(sealed)
            kept = {
                each: box
                for each, box in sealed.boxes.items()
                if not (each == place or (name is None and each[0] == place[0]))
            }
            if len(kept) == len(sealed.boxes):
                return False
            self._write(key.sealed(kept))
            return True

    def names(self, scope: Scope) -> tuple[str, ...]:
        """The names under exactly this scope, sorted; needs no key and proves nothing."""
        sealed = self._read()
        return tuple(sorted(name for each, name in _places(sealed) if each == tuple(scope)))

    def scopes(self, prefix: Scope = ()) -> tuple[Scope, ...]:
        """The scopes that hold something and start with ``prefix``, sorted; needs no key."""
        start = tuple(prefix)
        return tuple(sorted({each for each, _ in _places(self._read()) if each[: len(start)] == start}))

    def _read(self) -> Sealed | None:
        data = read_bytes(self._path)
        return None if data is None else parse_sealed(data, self._path)

    def _opened(self, sealed: Sealed) -> SealingKey:
        key = SealingKey(self._keys.find(sealed.record), sealed.record)
        key.verify(sealed, self._path)
        return key

    def _write(self, sealed: Sealed) -> None:
        remove_leftovers(self._path)
        write_atomic(self._path, render_sealed(sealed), mode=_MODE)


def _places(sealed: Sealed | None) -> tuple[Place, ...]:
    return () if sealed is None else tuple(sealed.boxes)


def _place(scope: Scope, name: str) -> Place:
    words = (*scope, name)
    if not scope or isinstance(scope, str) or not all(_is_word(word) for word in words):
        raise UsageError(
            "BAD_SCOPE",
            "A credential is kept under words of 1 to 512 printable characters.",
            hint="Give a scope of one word or more, and a name.",
        )
    return tuple(scope), name


def _is_word(word: str) -> bool:
    return 0 < len(word) <= _LONGEST_WORD and word.isprintable()


def _checked(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise UsageError("BAD_VALUE", "The value of a credential is not a Unicode text.") from error
    return value
