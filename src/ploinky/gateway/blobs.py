"""Blobs: files that clients and agents hand to each other by an id that cannot be guessed.

Each is two files in ``.ploinky/blobs``: its bytes, named by the id, and ``<id>.json`` with its facts, which
is written last; bytes without facts are a broken upload and are swept away. Knows no HTTP.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from ploinky.base.clock import now_iso
from ploinky.base.errors import NotFoundError, PloinkyError
from ploinky.base.files import read_bytes, write_atomic

_ID = re.compile(r"[0-9a-f]{32}")
_PARTIAL = ".part"


class Blob(BaseModel):
    """Facts of one blob. ``size`` in bytes; ``owner`` is the caller who brought it."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_alias=True, validate_by_name=True, frozen=True
    )

    id: str
    name: str
    type: str
    size: int
    sha256: str
    owner: str
    created_at: str

    @property
    def etag(self) -> str:
        return f'"{self.sha256}"'


@dataclass(frozen=True)
class BlobLimits:
    """Bytes that one blob and all blobs together may have."""

    each: int = 256 * 1024 * 1024
    total: int = 2 * 1024 * 1024 * 1024


class BlobStore:
    """The blobs of one workspace; one process, the gateway, writes them."""

    def __init__(self, folder: Path, limits: BlobLimits | None = None) -> None:
        self._folder = folder
        self.limits = limits or BlobLimits()
        self._incoming = 0

    async def add(self, parts: AsyncIterator[bytes], *, name: str, kind: str, owner: str) -> Blob:
        """Store what ``parts`` give; on any error nothing of it stays.

        Raises:
            PloinkyError: ``BLOB_QUOTA`` if all blobs would have more than the limit; ``FILE_WRITE``.
        """
        await anyio.to_thread.run_sync(self._prepare)
        blob_id = secrets.token_hex(16)
        path = self._folder / (blob_id + _PARTIAL)
        digest, size = hashlib.sha256(), 0
        used = await anyio.to_thread.run_sync(self.used_bytes)
        try:
            async with await anyio.open_file(path, "xb", opener=_private) as file:
                async for part in parts:
                    self._incoming += len(part)
                    size += len(part)
                    if used + self._incoming > self.limits.total:
                        raise PloinkyError(
                            "BLOB_QUOTA",
                            f"All blobs together may have {self.limits.total} bytes.",
                            hint="Delete some: DELETE /blobs/<id>, or raise blobs.totalBytes in config.json.",
                        )
                    digest.update(part)
                    await file.write(part)
                await file.flush()
                await anyio.to_thread.run_sync(os.fsync, file.wrapped.fileno())
            blob = Blob(
                id=blob_id,
                name=name,
                type=kind,
                size=size,
                sha256=digest.hexdigest(),
                owner=owner,
                created_at=now_iso(),
            )
            await anyio.to_thread.run_sync(self._commit, path, blob)
        except OSError as error:
            raise PloinkyError("FILE_WRITE", f"The blob cannot be written: {error.strerror}.") from error
        finally:
            self._incoming -= size
            path.unlink(missing_ok=True)
        return blob

    def find(self, blob_id: str) -> Blob:
        """Raises:
        NotFoundError: ``BLOB_NOT_FOUND``.
        PloinkyError: ``FILE_READ``; ``BLOB_BROKEN`` if its facts cannot be understood.
        """
        data = read_bytes(self._facts(blob_id)) if _ID.fullmatch(blob_id) else None
        if data is None:
            raise NotFoundError("BLOB_NOT_FOUND", "There is no such blob.")
        try:
            return Blob.model_validate_json(data)
        except ValidationError as error:
            raise PloinkyError("BLOB_BROKEN", f"{self._facts(blob_id)} cannot be understood.") from error

    def open(self, blob: Blob) -> int:
        """A readable descriptor of its bytes.

        Raises:
            NotFoundError: ``BLOB_NOT_FOUND`` if it was deleted meanwhile.
        """
        try:
            return os.open(self._folder / blob.id, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError as error:
            raise NotFoundError("BLOB_NOT_FOUND", "There is no such blob.") from error

    def list(self) -> list[Blob]:
        """All blobs, the newest first."""
        found = []
        for path in self._folder.glob("*.json") if self._folder.is_dir() else ():
            with contextlib.suppress(NotFoundError):  # deleted meanwhile
                found.append(self.find(path.stem))
        return sorted(found, key=lambda blob: (blob.created_at, blob.id), reverse=True)

    def delete(self, blob: Blob) -> None:
        """Remove it; one that is gone already is no error."""
        self._facts(blob.id).unlink(missing_ok=True)
        (self._folder / blob.id).unlink(missing_ok=True)

    def used_bytes(self) -> int:
        """What all finished blobs have."""
        return sum(entry.stat().st_size for entry in os.scandir(self._folder) if _ID.fullmatch(entry.name))

    def sweep(self) -> None:
        """Remove what broken uploads of a former process left; call before the first ``add``."""
        for path in self._folder.glob("*") if self._folder.is_dir() else ():
            orphan = _ID.fullmatch(path.name) and not self._facts(path.name).exists()
            if orphan or path.name.endswith(_PARTIAL):
                path.unlink(missing_ok=True)

    def _prepare(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def _facts(self, blob_id: str) -> Path:
        return self._folder / f"{blob_id}.json"

    def _commit(self, path: Path, blob: Blob) -> None:
        path.rename(self._folder / blob.id)
        try:
            write_atomic(self._facts(blob.id), blob.model_dump_json(by_alias=True).encode(), mode=0o600)
        except BaseException:
            (self._folder / blob.id).unlink(missing_ok=True)
            raise


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
