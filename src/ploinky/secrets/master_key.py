"""The key that sealed files are encrypted with: where it lies, how it is found again.

A new key goes to the desktop's keyring if that is there and open, else to a 0600 file outside the workspace
(``$XDG_DATA_HOME/ploinky/keys``); ``PLOINKY_MASTER_KEY`` wins over both: 32 bytes as base64 or hex, or a
passphrase of 16 characters or more. A sealed file records place and fingerprint, so a wrong key is noticed
before anything is opened. Nothing here prompts, and the keyring has a deadline.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import pwd
import secrets
import stat
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ploinky.base.errors import DeadlineError, NeedsApprovalError, PloinkyError
from ploinky.base.files import read_bytes, write_atomic
from ploinky.secrets import keyring_child
from ploinky.workspace.layout import Layout

VARIABLE = "PLOINKY_MASTER_KEY"
KEYRING_TIMEOUT_S = 5.0
SALT_BYTES = 16
_KEY_BYTES = 32
_SHORTEST_PASSPHRASE = 16
_CONTEXT = b"ploinky master key id"


class KeyPlace(StrEnum):
    """Where a key lies."""

    KEYRING = "keyring"
    FILE = "file"
    VARIABLE = "variable"


@dataclass(frozen=True)
class KeyRecord:
    """What a sealed file tells about its key; nothing of it is secret. ``id`` is the key's fingerprint."""

    place: KeyPlace
    id: str
    salt: bytes


class MasterKeys:
    """Finds and makes the keys of one workspace under one environment. Keeps what it found."""

    def __init__(self, layout: Layout, environ: Mapping[str, str]) -> None:
        self._root = layout.root
        self._environ = environ
        self._known: dict[KeyRecord, bytes] = {}

    def make(self) -> KeyRecord:
        """A new key, kept where it will be found again.

        Raises:
            PloinkyError: ``MASTER_KEY_WEAK``; ``MASTER_KEY_PLACE`` if its file would lie in the workspace.
        """
        salt = secrets.token_bytes(SALT_BYTES)
        given = self._environ.get(VARIABLE)
        key = _key_of_text(given, salt) if given else secrets.token_bytes(_KEY_BYTES)
        record = KeyRecord(KeyPlace.VARIABLE if given else self._keep(key), _fingerprint(key), salt)
        self._known[record] = key
        return record

    def find(self, record: KeyRecord) -> bytes:
        """The key of a sealed file.

        Raises:
            PloinkyError: ``MASTER_KEY_WRONG``, ``MASTER_KEY_MISSING``, ``MASTER_KEY_EXPOSED``.
            NeedsApprovalError: ``KEYRING_LOCKED``. DeadlineError: ``KEYRING_TIMEOUT``.
        """
        if record not in self._known:
            self._known[record] = self._search(record)
        return self._known[record]

    def _search(self, record: KeyRecord) -> bytes:
        given = self._environ.get(VARIABLE)
        key = _key_of_text(given, record.salt) if given else None
        if key is None or (_fingerprint(key) != record.id and record.place is not KeyPlace.VARIABLE):
            key = self._from_place(record)
        if key is None:
            raise _missing(record, self.where(record))
        if not hmac.compare_digest(_fingerprint(key), record.id):
            raise PloinkyError(
                "MASTER_KEY_WRONG",
                f"The key in {self.where(record)} is not the one that this was encrypted with.",
                hint=f"Give the right key in {VARIABLE}, or put it back there; nothing was changed.",
                details={"place": record.place.value, "id": record.id},
            )
        return key

    def _from_place(self, record: KeyRecord) -> bytes | None:
        if record.place is KeyPlace.FILE:
            return _read_key_file(self._key_file(record.id))
        if record.place is KeyPlace.KEYRING:
            found = _require_answer(_ask_keyring("get", record.id, "", self._environ))
            return None if found is None else _raw_key(found)
        return None

    def _keep(self, key: bytes) -> KeyPlace:
        name, text = _fingerprint(key), base64.b64encode(key).decode()
        try:
            answer = _ask_keyring("set", name, text, self._environ)
            if answer.returncode == keyring_child.DONE:
                kept = _ask_keyring("get", name, "", self._environ)
                if kept.returncode == keyring_child.DONE and kept.stdout.decode() == text:
                    return KeyPlace.KEYRING
        except DeadlineError:
            pass  # a keyring that hangs now will hang later; the file does not
        path = self._key_file(name)
        self._require_outside(path)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise PloinkyError(
                "FILE_WRITE",
                f"Cannot make {path.parent}: {error.strerror}.",
                hint=f"Give the key in {VARIABLE}, or set XDG_DATA_HOME.",
            ) from error
        write_atomic(path, f"{text}\n".encode(), mode=0o600)
        return KeyPlace.FILE

    def _key_file(self, name: str) -> Path:
        home = self._environ.get("XDG_DATA_HOME", "")
        if not home.startswith("/"):
            home = f"{self._environ.get('HOME') or pwd.getpwuid(os.getuid()).pw_dir}/.local/share"
        return Path(home) / "ploinky" / "keys" / f"{name}.key"

    def _require_outside(self, path: Path) -> None:
        if self._root in path.resolve().parents:
            raise PloinkyError(
                "MASTER_KEY_PLACE",
                f"The key's file {path} would lie in the workspace, where agents may read it.",
                hint=f"Set XDG_DATA_HOME to a folder outside it, or give the key in {VARIABLE}.",
            )

    def where(self, record: KeyRecord) -> str:
        """The place of a key, for people."""
        places = {
            KeyPlace.KEYRING: f"the keyring (service {keyring_child.SERVICE}, name {record.id})",
            KeyPlace.FILE: str(self._key_file(record.id)),
            KeyPlace.VARIABLE: VARIABLE,
        }
        return places[record.place]


def _fingerprint(key: bytes) -> str:
    return hmac.new(key, _CONTEXT, hashlib.sha256).hexdigest()[:16]


def _key_of_text(text: str, salt: bytes) -> bytes:
    """The key that ``PLOINKY_MASTER_KEY`` means: itself, or made of a passphrase (some 0.1 s of work)."""
    text = text.strip()
    raw = _raw_key(text)
    if raw is not None:
        return raw
    if len(text) < _SHORTEST_PASSPHRASE:
        raise PloinkyError(
            "MASTER_KEY_WEAK",
            f"{VARIABLE} is shorter than {_SHORTEST_PASSPHRASE} characters.",
            hint="Make one: python3 -c 'import secrets; print(secrets.token_hex(32))'",
        )
    return hashlib.scrypt(
        text.encode("utf-8", "surrogateescape"), salt=salt, n=2**15, r=8, p=1, maxmem=2**26, dklen=_KEY_BYTES
    )


def _raw_key(text: str) -> bytes | None:
    for decode in (bytes.fromhex, _base64):
        try:
            key = decode(text)
        except ValueError:
            continue
        if len(key) == _KEY_BYTES:
            return key
    return None


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError from error


def _read_key_file(path: Path) -> bytes | None:
    data = read_bytes(path)
    if data is None:
        return None
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise PloinkyError(
            "MASTER_KEY_EXPOSED",
            f"{path} can be read by others (mode {mode:04o}).",
            hint=f"Make it private: chmod 600 {path}",
            details={"path": str(path)},
        )
    key = _raw_key(data.decode("ascii", "replace").strip())
    if key is None:
        raise PloinkyError(
            "MASTER_KEY_WRONG",
            f"{path} does not hold a key.",
            hint=f"Put it back from a copy, or give the key in {VARIABLE}; nothing was changed.",
            details={"path": str(path)},
        )
    return key


def _ask_keyring(
    verb: str, name: str, text: str, environ: Mapping[str, str]
) -> subprocess.CompletedProcess[bytes]:
    argv = [sys.executable, "-m", keyring_child.__name__, verb, name]
    env = {key: value for key, value in environ.items() if key != VARIABLE}
    try:
        return subprocess.run(
            argv,
            input=text.encode(),
            capture_output=True,
            env=env,
            check=False,
            start_new_session=True,
            timeout=KEYRING_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise DeadlineError(
            "the keyring of the desktop",
            KEYRING_TIMEOUT_S,
            code="KEYRING_TIMEOUT",
            hint=f"Unlock it and try again, or give the key in {VARIABLE}.",
        ) from error


def _require_answer(answer: subprocess.CompletedProcess[bytes]) -> str | None:
    if answer.returncode == keyring_child.DONE:
        return answer.stdout.decode()
    if answer.returncode == keyring_child.LOCKED:
        raise NeedsApprovalError(
            "KEYRING_LOCKED",
            "The keyring that holds the key is locked.",
            hint=f"Unlock it and try again, or give the key in {VARIABLE}.",
        )
    return None


def _missing(record: KeyRecord, where: str) -> PloinkyError:
    return PloinkyError(
        "MASTER_KEY_MISSING",
        f"The key that this was encrypted with is not in {where}.",
        hint=f"Put it back there, or give it in {VARIABLE}; nothing was changed.",
        details={"place": record.place.value, "id": record.id},
    )
