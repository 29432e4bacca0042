"""Everything that a workspace's values may come from, opened once per process and shared.

The one place that knows local and remote stores together; it keeps keys of encrypted files and answers of
remote stores in memory, so that asking again is cheap.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path

from ploinky.base.jsontypes import JsonValue
from ploinky.base.redaction import Redactor
from ploinky.secrets.master_key import VARIABLE as MASTER_KEY
from ploinky.secrets.sealed import SealedStore
from ploinky.secrets.sources import RemoteLookup, SecretSources
from ploinky.secrets.store import DotSecrets
from ploinky.secrets.tokens import TOKEN_SHAPES
from ploinky.workspace.layout import Layout


class SecretStores:
    """The stores of one workspace under one environment.

    ``read_section`` gives ``secrets`` of ``config.json``; it is called once, by the first who asks for what
    may be elsewhere.
    ``redactor`` cleans the log of this process; whoever resolves an environment adds its secrets to it.
    """

    def __init__(
        self,
        layout: Layout,
        environ: Mapping[str, str],
        read_section: Callable[[], Mapping[str, JsonValue]] = dict,
    ) -> None:
        self._layout = layout
        self._environ = environ
        self._read_section = read_section
        self.kept = DotSecrets(layout, environ)
        self.credentials = SealedStore(layout, environ)
        self.redactor = Redactor(shapes=TOKEN_SHAPES)

    def sources(self, profile: str | None) -> SecretSources:
        """The values under one profile; make it anew for every question, it remembers what files said.

        Raises:
            PloinkyError: ``CONFIG_INVALID``.
        """
        return SecretSources(
            self._layout,
            self._environ,
            profile,
            kept=self.kept,
            remote=self._remote,
            withheld=self._credential_names,
        )

    def own_names(self) -> frozenset[str]:
        """Variables that hold keys of the platform's own: of encrypted files and of remote stores.

        Raises:
            PloinkyError: ``CONFIG_INVALID``.
        """
        return self._credential_names | {MASTER_KEY}

    def kept_values(self) -> list[str]:
        """Every value in ``.ploinky/.secrets``, aliases left out: to be redacted."""
        return [binding.value for binding in self.kept.read().values() if binding.alias is None]

    def changed(self) -> None:
        """Tell every process of this workspace that a secret was changed."""
        stamp = _stamp(self._layout)
        stamp.touch(mode=0o600)
        os.utime(stamp)

    @cached_property
    def _section(self) -> Mapping[str, JsonValue]:
        return self._read_section()

    @cached_property
    def _credential_names(self) -> frozenset[str]:
        """Variables that hold what we sign in to remote stores with."""
        if not self._section:
            return frozenset()
        from ploinky.secrets.remote_settings import VaultSettings, parse_secrets_settings

        stores = parse_secrets_settings(self._section).stores
        places = [store.auth.credential_from for store in stores if isinstance(store, VaultSettings)]
        return frozenset(place.partition(":")[2] for place in places if not place.startswith("file:"))

    @cached_property
    def _remote(self) -> RemoteLookup | None:
        if not self._section:
            return None
        from ploinky.secrets.remote import Reach, RemoteValues, open_driver
        from ploinky.secrets.remote_settings import parse_secrets_settings

        settings = parse_secrets_settings(self._section)
        if not settings.stores:
            return None
        reach = Reach(settings.timeout_seconds, self._layout.root, self._environ, self._own)
        return RemoteValues(
            lambda: tuple(open_driver(each.type, each, reach) for each in settings.stores),
            timeout_s=settings.timeout_seconds,
            cache_s=settings.cache_seconds,
            stamp=_stamp(self._layout),
        )

    def _own(self, name: str) -> str | None:
        binding = self.kept.read().get(name)
        return None if binding is None else binding.value


def _stamp(layout: Layout) -> Path:
    return layout.running / "secrets.changed"
