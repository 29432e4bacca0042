"""The door by which every provider enters: entry points of the group ``ploinky.providers``.

An entry point names a ``ProviderKind``; the built-in providers use the same door. Nothing is imported before
a provider is asked for, and a plug-in that cannot be imported harms only itself. To add a provider: an entry
point in ``pyproject.toml``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from ploinky.base.errors import NotFoundError, PloinkyError
from ploinky.base.names import closest
from ploinky.providers.config import ModelConfig
from ploinky.providers.credentials import Keyring
from ploinky.providers.protocol import Provider

GROUP = "ploinky.providers"


@dataclass(frozen=True)
class ProviderContext:
    """What a provider may use besides its configuration.

    ``model_id`` is the key of its entry in ``models``. ``environ`` is what a program may inherit from the
    gateway, ``folder`` where it works. ``require_model`` makes the provider of another entry; it belongs to
    whoever made this one, and is closed by him.
    """

    model_id: str
    keys: Keyring = field(default_factory=Keyring)
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    folder: Path | None = None
    require_model: Callable[[str], Provider] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class ProviderKind:
    """One kind of provider. ``make`` connects nowhere; it raises ``PloinkyError`` for a wrong entry."""

    name: str
    summary: str
    make: Callable[[ModelConfig, ProviderContext], Provider]
    needs_key: bool = False


class ProviderRegistry:
    """The kinds of providers that are installed, by name."""

    def __init__(self, entries: Mapping[str, EntryPoint]) -> None:
        self._entries = dict(entries)
        self._loaded: dict[str, ProviderKind] = {}

    @classmethod
    def installed(cls) -> ProviderRegistry:
        """What is installed in this Python; where two have one name, the built-in wins."""
        found: dict[str, EntryPoint] = {}
        for entry in entry_points(group=GROUP):
            if entry.name not in found or entry.value.startswith("ploinky.providers."):
                found[entry.name] = entry
        return cls(found)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self._entries))

    def kind(self, name: str) -> ProviderKind:
        """The kind of a name.

        Raises:
            NotFoundError: ``PROVIDER_UNKNOWN``, with what was probably meant.
            PloinkyError: ``PROVIDER_BROKEN`` if its package cannot be imported or offers something else.
        """
        if name in self._loaded:
            return self._loaded[name]
        entry = self._entries.get(name)
        if entry is None:
            raise self._unknown(name)
        try:
            kind = entry.load()
        except Exception as error:  # a foreign package may fail in any way
            raise _broken(name, f"{type(error).__name__} at import") from error
        if not isinstance(kind, ProviderKind):
            raise _broken(name, "it is no ProviderKind")
        self._loaded[name] = kind
        return kind

    def make(self, config: ModelConfig, context: ProviderContext) -> Provider:
        """The provider of an entry, connected to nothing yet.

        Raises:
            PloinkyError: as ``kind``, or because the entry is wrong for its provider.
        """
        return self.kind(config.provider).make(config, context)

    def _unknown(self, name: str) -> NotFoundError:
        meant = closest(name, self._entries)
        guess = f"Did you mean {meant!r}? " if meant else ""
        return NotFoundError(
            "PROVIDER_UNKNOWN",
            f"There is no provider {name!r}.",
            hint=f"{guess}Installed: {', '.join(self.names)}.",
        )


def _broken(name: str, why: str) -> PloinkyError:
    return PloinkyError(
        "PROVIDER_BROKEN",
        f"The provider {name!r} cannot be used: {why}.",
        hint="Update or remove the package that offers it.",
    )
