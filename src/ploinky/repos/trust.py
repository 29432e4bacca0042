"""Which repositories may run hooks on the host: asked once per repository, remembered with the commit.

Trust belongs to a name and its address: another repository under the same name must be trusted anew. The
commit tells what was looked at; later commits of a trusted repository are trusted too.
"""

from __future__ import annotations

from dataclasses import dataclass

from ploinky.base.clock import now_iso
from ploinky.base.files import FileLock
from ploinky.workspace.documents import read_json_object, shape_error, write_json
from ploinky.workspace.layout import Layout
from ploinky.workspace.leftovers import remove_leftovers

CODE = "TRUST_INVALID"


@dataclass(frozen=True)
class TrustRecord:
    """A person trusted this repository at ``at``, when its head was ``commit``."""

    url: str
    commit: str
    at: str


class TrustBook:
    """The records in ``trust.json``. Holds no state: every call asks the disk."""

    def __init__(self, layout: Layout) -> None:
        self._path = layout.trust_file
        self._lock = layout.lock("trust")

    def record(self, repo: str) -> TrustRecord | None:
        """The record of a repository's name, or None.

        Raises:
            PloinkyError: ``TRUST_INVALID`` with path and place.
        """
        fields = self._document().get(repo)
        if fields is None:
            return None
        if not isinstance(fields, dict):
            raise shape_error(self._path, CODE, f"{repo}: must be an object", key=repo)
        return TrustRecord(*(str(fields.get(name, "")) for name in ("url", "commit", "at")))

    def is_trusted(self, repo: str, url: str) -> bool:
        """Whether this name was trusted for this very address."""
        record = self.record(repo)
        return record is not None and record.url == url

    def trust(self, repo: str, url: str, commit: str) -> TrustRecord:
        record = TrustRecord(url, commit, now_iso())
        with FileLock(self._lock):
            document = self._document()
            document[repo] = {"url": record.url, "commit": record.commit, "at": record.at}
            remove_leftovers(self._path)
            write_json(self._path, document)
        return record

    def forget(self, repo: str) -> bool:
        """Withdraw trust; whether there was any."""
        with FileLock(self._lock):
            document = self._document()
            if document.pop(repo, None) is None:
                return False
            write_json(self._path, document)
            return True

    def _document(self) -> dict[str, object]:
        return read_json_object(self._path, code=CODE) or {}
