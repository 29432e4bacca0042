"""Which repositories count: ``enabled_repos.json``, a list of names; empty or absent: all installed ones.

Elements may be objects with a ``name`` (an older form); what else they hold survives.
"""

from __future__ import annotations

from collections.abc import Callable

from ploinky.base.files import FileLock
from ploinky.workspace.documents import read_json, shape_error, write_json
from ploinky.workspace.layout import Layout
from ploinky.workspace.leftovers import remove_leftovers

CODE = "ENABLED_REPOS_INVALID"
Item = str | dict[str, object]


class EnabledRepos:
    """The list on disk. Holds no state: every call asks the disk."""

    def __init__(self, layout: Layout) -> None:
        self._path = layout.enabled_repos_file
        self._lock = layout.lock("enabled-repos")

    def read(self) -> tuple[str, ...]:
        """The names in the list; empty means that all installed repositories count.

        Raises:
            PloinkyError: ``ENABLED_REPOS_INVALID`` with path and place.
        """
        return tuple(_name(item) for item in self._items())

    def update(self, change: Callable[[list[str]], list[str]]) -> None:
        """Replace the list by what ``change`` makes of it, under the lock."""
        with FileLock(self._lock):
            items = {_name(item): item for item in self._items()}
            names = change(list(items))
            if names != list(items):
                remove_leftovers(self._path)
                write_json(self._path, [items.get(name, name) for name in names], mode=0o644)

    def _items(self) -> list[Item]:
        document = read_json(self._path, code=CODE)
        if document is None:
            return []
        if not isinstance(document, list):
            raise shape_error(self._path, CODE, "must be a list of repository names")
        items: list[Item] = []
        for index, item in enumerate(document):
            named = item.get("name") if isinstance(item, dict) else item
            if not isinstance(named, str):
                raise shape_error(self._path, CODE, f"item {index} must be a name", key=str(index))
            items.append(item)
        return items


def _name(item: Item) -> str:
    return item if isinstance(item, str) else str(item["name"])
