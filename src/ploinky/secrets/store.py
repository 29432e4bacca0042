"""The secrets file of a workspace: ``.ploinky/.secrets``, mode 0600, in clear or encrypted.

Changes keep comments, order and unknown lines; they are locked and atomic. A file that others may read is
made private when it is read, and that is told. Encrypted, the whole text is one entry of a sealed file in
the same place; nothing else changes for whoever reads or sets a value.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping

from ploinky.base.errors import PloinkyError
from ploinky.base.files import FileLock, decode_text, read_bytes, write_atomic
from ploinky.secrets.dotenv import Binding, format_binding, parse_dotenv
from ploinky.secrets.sealed import SealedStore
from ploinky.secrets.sealed_file import is_sealed
from ploinky.workspace.layout import Layout
from ploinky.workspace.leftovers import remove_leftovers

MODE = 0o600
_SCOPE = ("workspace",)
_ENTRY = ".secrets"


class DotSecrets:
    """Names and values kept in ``.secrets``. Every call asks the disk; only the key is remembered.

    ``environ`` tells where the key of an encrypted file lies. Every method that reads one raises what
    ``SealedStore`` does.
    """

    def __init__(self, layout: Layout, environ: Mapping[str, str]) -> None:
        self._path = layout.secrets_file
        self._lock = layout.lock("secrets")
        self._sealed = SealedStore(layout, environ, path=self._path)

    def read(self) -> dict[str, Binding]:
        """Every variable of the file; the last line of a name counts. Empty if there is no file.

        Raises:
            PloinkyError: ``DOTENV_SYNTAX`` with path and line; ``SECRETS_EXPOSED``.
        """
        self.secure()
        return {binding.name: binding for binding in parse_dotenv(self._text(), source=str(self._path))}

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self.read()))

    def set(self, name: str, value: str, *, literal: bool = False) -> None:
        """Set one variable. A value ``$OTHER`` is an alias of OTHER unless ``literal``.

        Raises:
            UsageError: ``BAD_VARIABLE``.
            PloinkyError: ``DOTENV_SYNTAX``; ``FILE_WRITE``.
        """
        self.set_all([Binding(name, value, literal)])

    def set_all(self, bindings: Iterable[Binding]) -> None:
        """Set several variables at once: all of them or, on an error, none."""
        lines = {each.name: format_binding(each.name, each.value, literal=each.literal) for each in bindings}
        with FileLock(self._lock):
            text = self._text()
            for name, line in lines.items():
                text = self._replaced(text, name, line)
            self._write(text)

    def unset(self, name: str) -> bool:
        """Remove one variable; whether it was there."""
        with FileLock(self._lock):
            text = self._text()
            changed = self._replaced(text, name, None)
            if changed == text:
                return False
            self._write(changed)
            return True

    def is_encrypted(self) -> bool:
        """Whether the file is there and encrypted."""
        return is_sealed(read_bytes(self._path) or b"")

    def key_place(self) -> str | None:
        """Where the key of the encrypted file lies, for people; None if it is in clear."""
        return self._sealed.key_place() if self.is_encrypted() else None

    def encrypt(self) -> None:
        """Encrypt the file with a new key; one that is encrypted already gets another key."""
        with FileLock(self._lock):
            text = self._text()
            parse_dotenv(text, source=str(self._path))
            remove_leftovers(self._path)
            self._sealed.replace_all(_SCOPE, {_ENTRY: text})

    def decrypt(self) -> bool:
        """Put the file back in clear; whether it was encrypted."""
        with FileLock(self._lock):
            if not self.is_encrypted():
                return False
            text = self._text()
            remove_leftovers(self._path)
            write_atomic(self._path, text.encode(), mode=MODE)
            return True

    def secure(self) -> str | None:
        """Make the file private if others may read it, and say so; None if there was nothing to do.

        Raises:
            PloinkyError: ``SECRETS_EXPOSED`` if it cannot be made private.
        """
        try:
            mode = stat.S_IMODE(self._path.stat().st_mode)
            if not mode & 0o077:
                return None
            self._path.chmod(MODE)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise PloinkyError(
                "SECRETS_EXPOSED",
                f"{self._path} can be read by others and cannot be made private: {error.strerror}.",
                hint=f"Make it yours and private: chmod 600 {self._path}",
            ) from error
        return f"{self._path} could be read by others (mode {mode:04o}); it is now private (0600)."

    def _text(self) -> str:
        data = read_bytes(self._path) or b""
        if not is_sealed(data):
            return decode_text(data, self._path)
        text = self._sealed.get_from(data, _SCOPE, _ENTRY)
        assert text is not None, "it is sealed whole or not at all"
        return text

    def _replaced(self, text: str, name: str, line: str | None) -> str:
        """``text`` with every assignment of ``name`` removed and ``line`` in the place of the last one."""
        found = [each for each in parse_dotenv(text, source=str(self._path)) if each.name == name]
        if not found and line is not None:
            return f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}{line}"
        for binding in reversed(found):
            kept = line if line is not None and binding is found[-1] else ""
            text = text[: binding.start] + kept + text[binding.end :]
        return text

    def _write(self, text: str) -> None:
        if self.is_encrypted():
            self._sealed.set(_SCOPE, _ENTRY, text)
            return
        remove_leftovers(self._path)
        write_atomic(self._path, text.encode(), mode=MODE)
