"""Who wants to hear that a resource of an agent changed. A program says so (``{"updated": uri}``)."""

from __future__ import annotations

from collections.abc import Callable

Tell = Callable[[str], None]


class Subscriptions:
    """Of one agent. A listener is told once per change, however often it subscribed."""

    def __init__(self) -> None:
        self._tellers: dict[str, dict[object, Tell]] = {}

    def add(self, uri: str, who: object, tell: Tell) -> None:
        self._tellers.setdefault(uri, {})[who] = tell

    def remove(self, uri: str, who: object) -> None:
        tellers = self._tellers.get(uri, {})
        tellers.pop(who, None)
        if not tellers:
            self._tellers.pop(uri, None)

    def remove_all(self, who: object) -> None:
        for uri in tuple(self._tellers):
            self.remove(uri, who)

    def publish(self, uri: str) -> None:
        """Tell whoever subscribed to ``uri``."""
        for tell in tuple(self._tellers.get(uri, {}).values()):
            tell(uri)
