"""The form of a sealed file and its cryptography; ``sealed`` keeps one on disk.

JSON: which key (place, fingerprint, salt), the boxes, a seal. A box is nonce plus AES-256-GCM over one text,
with its scope and name as associated data; the seal is an HMAC-SHA256 over all the rest. Both keys come from
the master key and the file's salt by HKDF. A form that is not understood is ``SEALED_DAMAGED``; what the key
does not fit is ``SEALED_TAMPERED``. To change the form: a new ``version``, and a reader for each old one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ploinky.base.errors import PloinkyError
from ploinky.secrets.master_key import KeyPlace, KeyRecord

FORMAT = "ploinky-sealed"
VERSION = 1
_MARK = f'{{"format": "{FORMAT}"'.encode()
_ID = re.compile(r"[0-9a-f]{16}\Z")  # it becomes part of a path
_NONCE_BYTES = 12
Scope = tuple[str, ...]
Place = tuple[Scope, str]


@dataclass(frozen=True)
class Sealed:
    """A sealed file as it stands; nothing in it is proved before ``SealingKey.verify``."""

    record: KeyRecord
    boxes: Mapping[Place, bytes]
    seal: bytes = b""


class SealingKey:
    """What one master key does for one file."""

    def __init__(self, master: bytes, record: KeyRecord) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._record = record
        self._cipher = AESGCM(_derived(master, record.salt, b"ploinky sealed box v1"))
        self._seal_key = _derived(master, record.salt, b"ploinky sealed seal v1")

    def close(self, place: Place, text: str) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, text.encode(), _bound(place))

    def open(self, place: Place, box: bytes, path: Path) -> str:
        """The text of a box of a verified file.

        Raises:
            PloinkyError: ``SEALED_TAMPERED``.
        """
        from cryptography.exceptions import InvalidTag

        try:
            return self._cipher.decrypt(box[:_NONCE_BYTES], box[_NONCE_BYTES:], _bound(place)).decode()
        except (InvalidTag, ValueError) as error:
            raise _tampered(path) from error

    def sealed(self, boxes: Mapping[Place, bytes]) -> Sealed:
        return Sealed(self._record, boxes, self._seal_of(boxes))

    def verify(self, sealed: Sealed, path: Path) -> None:
        """Prove that the file is as it was written.

        Raises:
            PloinkyError: ``SEALED_TAMPERED``.
        """
        if not hmac.compare_digest(self._seal_of(sealed.boxes), sealed.seal):
            raise _tampered(path)

    def _seal_of(self, boxes: Mapping[Place, bytes]) -> bytes:
        text = json.dumps(_document(Sealed(self._record, boxes)), sort_keys=True)
        return hmac.new(self._seal_key, text.encode(), hashlib.sha256).digest()


def is_sealed(data: bytes) -> bool:
    """Whether a file's content has the form of a sealed one, whole or not."""
    return data.startswith(_MARK)


def render_sealed(sealed: Sealed) -> bytes:
    document = _document(sealed) | {"seal": _text(sealed.seal)}
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode().replace(b"{\n ", b"{", 1)


def parse_sealed(data: bytes, path: Path) -> Sealed:
    """Read a sealed file's content; ``path`` names it in the error.

    Raises:
        PloinkyError: ``SEALED_DAMAGED``.
    """
    try:
        return _parsed(json.loads(data))
    except (ValueError, TypeError, KeyError, RecursionError):
        raise PloinkyError(
            "SEALED_DAMAGED",
            f"{path} is torn or no sealed file of this version.",
            hint="Put it back from a copy; it was not changed.",
            details={"path": str(path)},
        ) from None


def _parsed(raw: dict[str, Any]) -> Sealed:
    if raw["format"] != FORMAT or raw["version"] != VERSION:
        raise ValueError("another format")
    key = raw["key"]
    record = KeyRecord(KeyPlace(key["place"]), _word(key["id"]), _bytes(key["salt"]))
    if not _ID.match(record.id):
        raise ValueError("no fingerprint")
    boxes = {_place(entry): _bytes(entry["box"]) for entry in raw["entries"]}
    if len(boxes) != len(raw["entries"]):
        raise ValueError("the same place twice")
    return Sealed(record, boxes, _bytes(raw["seal"]))


def _place(entry: dict[str, Any]) -> Place:
    return tuple(_word(part) for part in entry["scope"]), _word(entry["name"])


def _word(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _bytes(value: object) -> bytes:
    return base64.b64decode(_word(value), validate=True)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _document(sealed: Sealed) -> dict[str, Any]:
    record = sealed.record
    return {
        "format": FORMAT,
        "version": VERSION,
        "key": {"place": record.place.value, "id": record.id, "salt": _text(record.salt)},
        "entries": [
            {"scope": list(scope), "name": name, "box": _text(sealed.boxes[scope, name])}
            for scope, name in sorted(sealed.boxes)
        ],
    }


def _bound(place: Place) -> bytes:
    return json.dumps([FORMAT, VERSION, place[0], place[1]]).encode()


def _derived(master: bytes, salt: bytes, purpose: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), length=32, salt=salt, info=purpose).derive(master)


def _tampered(path: Path) -> PloinkyError:
    return PloinkyError(
        "SEALED_TAMPERED",
        f"{path} was changed by something other than Ploinky, or is a mixture of two copies.",
        hint="Put it back from a copy; it was not changed.",
        details={"path": str(path)},
    )
