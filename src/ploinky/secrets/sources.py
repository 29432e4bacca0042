"""Where values come from: process environment, ``.secrets``, ``.env.<profile>``, ``.env``, remote stores.

In this order. A remote store is asked only for names that nothing nearer sets.

A whole value ``$NAME`` is an alias, followed through all sources. A variable set to the empty text is set:
it hides the sources behind it. Errors and ``repr`` show names only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Protocol

from ploinky.base.errors import PloinkyError
from ploinky.base.files import read_text
from ploinky.base.names import is_env_name
from ploinky.secrets.dotenv import Binding, alias_target, parse_dotenv
from ploinky.secrets.master_key import VARIABLE as MASTER_KEY
from ploinky.secrets.store import DotSecrets
from ploinky.workspace.layout import Layout
from ploinky.workspace.profiles import is_profile_name


class SourceKind(StrEnum):
    """Who gave a value, in falling order of precedence."""

    LITERAL = "manifest value"
    PLATFORM = "platform"
    ENVIRONMENT = "environment"
    SECRETS_FILE = ".ploinky/.secrets"
    PROFILE_FILE = ".env.<profile>"
    ENV_FILE = ".env"
    VAULT = "HashiCorp Vault"
    AWS = "AWS Secrets Manager"
    DEFAULT = "manifest default"


FILE_KINDS = frozenset({SourceKind.SECRETS_FILE, SourceKind.PROFILE_FILE, SourceKind.ENV_FILE})
REMOTE_KINDS = {SourceKind.VAULT: "vault", SourceKind.AWS: "aws"}


class RemoteLookup(Protocol):
    """Values that lie in remote stores. May block until its deadline."""

    def find(self, profile: str | None, name: str) -> tuple[str, SourceKind] | None: ...

    def prefetch(self, profile: str | None, names: Collection[str]) -> None:
        """Ask for several names at once, so that ``find`` need not ask one by one."""


@dataclass(frozen=True, repr=False)
class Found:
    """A value, who gave it, and the names that led there (the last one holds the value)."""

    value: str
    source: SourceKind
    chain: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Found({' → '.join(self.chain)}, {self.source})"


class SecretSources:
    """The values that a workspace knows under one profile. Files are read once, at the first question."""

    def __init__(
        self,
        layout: Layout,
        environ: Mapping[str, str],
        profile: str | None,
        *,
        kept: DotSecrets | None = None,
        remote: RemoteLookup | None = None,
        withheld: frozenset[str] = frozenset(),
    ) -> None:
        """``withheld``: names that no manifest may ask for, because they are keys of the platform itself."""
        self._layout = layout
        self._environ = environ
        self._profile = profile
        self._kept = kept or DotSecrets(layout, environ)
        self._remote = remote
        self._withheld = withheld | {MASTER_KEY}

    def find(self, name: str) -> Found | None:
        """The value of ``name``, aliases followed; None if it, or what it stands for, is not set.

        Raises:
            PloinkyError: ``CIRCULAR_ALIAS``, showing the chain; ``DOTENV_SYNTAX``.
        """
        return self._follow(name, ())

    def follow(self, name: str, value: str, source: SourceKind) -> Found | None:
        """A value written elsewhere (a manifest), its alias followed if it is one."""
        target = alias_target(value)
        if target is None:
            return Found(value, source, (name,))
        if target == name:  # NAME: $NAME asks for the ambient value, as in a shell
            return self._follow(name, ())
        return self._follow(target, (name,))

    def alias_chain(self, name: str) -> tuple[str, ...]:
        """``name`` and what it stands for, as far as that is set: to explain why it is missing."""
        chain = [name]
        while (binding := self._lookup(chain[-1])) is not None and binding[0].alias:
            if binding[0].alias in chain:
                break
            chain.append(binding[0].alias)
        return tuple(chain)

    def prefetch(self, names: Iterable[str]) -> None:
        """Ask remote stores at once for those of ``names`` that nothing nearer sets."""
        if self._remote is not None:
            near = (
                self._withheld
                | self._environ.keys()
                | {name for _, bindings in self._files for name in bindings}
            )
            self._remote.prefetch(self._profile, [name for name in names if name not in near])

    def names(self) -> tuple[str, ...]:
        """Every name that the environment or a file sets, sorted; remote stores are not listed."""
        known = {name for name in self._environ if is_env_name(name)}
        for _, bindings in self._files:
            known |= bindings.keys()
        return tuple(sorted(known))

    @cached_property
    def notices(self) -> tuple[str, ...]:
        """What was noticed when the files were read (a file that others could read)."""
        notice = self._kept.secure()
        return (notice,) if notice else ()

    @cached_property
    def has_files(self) -> bool:
        """Whether any file of the workspace sets anything."""
        return any(bindings for _, bindings in self._files)

    def served_by(self, kinds: frozenset[SourceKind]) -> str:
        """``PLOINKY_SECRETS_SOURCE`` for values of these kinds: github_actions, vault, aws, local or env."""
        if self._environ.get("GITHUB_ACTIONS") == "true":
            return "github_actions"
        for kind, word in REMOTE_KINDS.items():
            if kind in kinds:
                return word
        if kinds & FILE_KINDS:
            return "local"
        return "env" if SourceKind.ENVIRONMENT in kinds or not self.has_files else "local"

    def _follow(self, name: str, chain: tuple[str, ...]) -> Found | None:
        if name in chain:
            shown = " → ".join((*chain, name))
            raise PloinkyError(
                "CIRCULAR_ALIAS",
                f"The variable {chain[0]} stands for itself: {shown}.",
                hint="Give one of them a value instead of an alias ($NAME).",
                details={"chain": shown},
            )
        found = self._lookup(name)
        if found is None:
            return None
        binding, source = found
        if binding.alias is None:
            return Found(binding.value, source, (*chain, name))
        return self._follow(binding.alias, (*chain, name))

    def _lookup(self, name: str) -> tuple[Binding, SourceKind] | None:
        if name in self._withheld:
            return None
        if name in self._environ:
            return Binding(name, self._environ[name]), SourceKind.ENVIRONMENT
        for source, bindings in self._files:
            if name in bindings:
                return bindings[name], source
        found = self._remote.find(self._profile, name) if self._remote is not None else None
        return None if found is None else (Binding(name, found[0], literal=True), found[1])

    @cached_property
    def _files(self) -> tuple[tuple[SourceKind, dict[str, Binding]], ...]:
        _ = self.notices  # notes the file's mode before reading it makes it private
        files = [(SourceKind.SECRETS_FILE, self._kept.read())]
        if self._profile is not None and is_profile_name(self._profile):
            files.append((SourceKind.PROFILE_FILE, self._dotenv(f".env.{self._profile}")))
        files.append((SourceKind.ENV_FILE, self._dotenv(".env")))
        return tuple(files)

    def _dotenv(self, name: str) -> dict[str, Binding]:
        path = self._layout.root / name
        text = read_text(path) or ""
        return {binding.name: binding for binding in parse_dotenv(text, source=str(path))}
