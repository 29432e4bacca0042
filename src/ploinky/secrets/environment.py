"""An agent's environment: the manifest's entries resolved against the sources.

A literal wins over every source; what the platform sets (``builtins``) wins over sources and defaults, and
what starts with ``PLOINKY_`` over literals too; then the sources; then the default. Everything that is
missing is told in one error, before anything is created.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ploinky.base.errors import NeedsApprovalError, PloinkyError
from ploinky.base.redaction import Redactor
from ploinky.manifest.env import looks_like_key, wildcard_covers, wildcard_matches
from ploinky.manifest.values import EffectiveConfig, EnvEntry
from ploinky.secrets.sources import FILE_KINDS, REMOTE_KINDS, Found, SecretSources, SourceKind
from ploinky.secrets.tokens import TOKEN_SHAPES

SECRETS_SOURCE = "PLOINKY_SECRETS_SOURCE"
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
# words, small numbers and paths that .secrets and .env hold beside secrets; masking them would ruin logs
_HARMLESS = re.compile(r"[A-Za-z]{0,12}|\d{1,5}|(?:\.{1,2}|/)[\w./-]*")
# MAX_TOKENS=4096 and TOKENIZERS_PARALLELISM=false are no secrets, for all their names
_SWITCH = re.compile(r"\d{0,5}|true|false|yes|no|on|off|none|auto", re.IGNORECASE)
_SHORTEST_LINE = 12
# postgres://user:password@host
_PASSWORD_IN_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s:@]*:[^/\s@]+@", re.IGNORECASE)


@dataclass(frozen=True, repr=False)
class ResolvedEnvironment:
    """What an agent is given. ``secret_names`` are those of ``values`` that must never be shown.

    ``origins`` tells per name who gave the value; ``left_out`` what wildcards did not pass on; ``used`` are
    all names that the values came by, aliases included.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    secret_names: frozenset[str] = frozenset()
    origins: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    used: frozenset[str] = frozenset()

    def redactor(self) -> Redactor:
        """Masks every secret of this environment; secrets of several lines also line by line."""
        secrets = [self.values[name] for name in self.secret_names]
        lines = [line for value in secrets for line in value.splitlines() if len(line) >= _SHORTEST_LINE]
        return Redactor([*secrets, *lines], TOKEN_SHAPES)

    @property
    def public_values(self) -> dict[str, str]:
        """The values that anybody may see."""
        return {name: value for name, value in self.values.items() if name not in self.secret_names}

    def __repr__(self) -> str:
        return f"ResolvedEnvironment({', '.join(sorted(self.values))})"


@dataclass
class _Resolution:
    """What has been gathered so far; ``missing`` maps a name to why, for the one error at the end."""

    found: dict[str, Found] = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)
    missing: dict[str, str] = field(default_factory=dict)
    left_out: set[str] = field(default_factory=set)
    notices: list[str] = field(default_factory=list)


def resolve_environment(
    config: EffectiveConfig, sources: SecretSources, *, builtins: Mapping[str, str]
) -> ResolvedEnvironment:
    """The environment of ``config.agent``, ``builtins`` and ``PLOINKY_SECRETS_SOURCE`` included.

    A required variable or secret that is empty counts as missing (GitHub Actions passes an unknown secret
    as the empty text).

    Raises:
        NeedsApprovalError: ``MISSING_SECRETS``, naming all that is missing.
        PloinkyError: ``CIRCULAR_ALIAS``; ``DOTENV_SYNTAX``.
    """
    state = _Resolution(notices=list(sources.notices))
    asked = {entry.source for entry in config.env if not entry.is_pattern and entry.literal is None}
    sources.prefetch((asked | set(config.secrets)) - builtins.keys())
    for entry in config.env:
        if entry.is_pattern:
            _take_pattern(entry, config, sources, state)
        else:
            _take_entry(entry, config, sources, builtins, state)
    for name in config.secrets:
        _take_secret(name, sources, state)
    if state.missing:
        raise _missing_error(config, state.missing)
    return _finished(sources, builtins, state)


def expand_shown(text: str, environment: ResolvedEnvironment, *, what: str) -> str:
    """Like ``expand``, for what engines keep and show: secrets are refused.

    Raises:
        PloinkyError: ``UNRESOLVED_VARIABLE``; ``SECRET_SHOWN``, naming the secrets.
    """
    shown = sorted(set(_VARIABLE.findall(text)) & environment.secret_names)
    if shown:
        raise PloinkyError(
            "SECRET_SHOWN",
            f"{what} would show the secret {', '.join(shown)}.",
            hint="Use another variable there; secrets reach an agent in its environment only.",
            details={"names": ", ".join(shown)},
        )
    return expand(text, environment.values, what=what)


def expand(text: str, values: Mapping[str, str], *, what: str) -> str:
    """``text`` with every ``${NAME}`` replaced; ``what`` says for the error what the text is.

    Raises:
        PloinkyError: ``UNRESOLVED_VARIABLE``, naming every variable that is not set.
    """
    unknown = sorted({name for name in _VARIABLE.findall(text) if name not in values})
    if unknown:
        raise PloinkyError(
            "UNRESOLVED_VARIABLE",
            f"{what} needs {', '.join(unknown)}, which {'is' if len(unknown) == 1 else 'are'} not set.",
            hint=f"Set it and add it to the manifest's env: ploinky var {unknown[0]} VALUE",
            details={"names": ", ".join(unknown)},
        )
    return _VARIABLE.sub(lambda match: values[match.group(1)], text)


def _take_pattern(
    entry: EnvEntry, config: EffectiveConfig, sources: SecretSources, state: _Resolution
) -> None:
    listed = {each.name for each in config.env if not each.is_pattern} | set(config.secrets)
    for name in sources.names():
        if name in listed or not wildcard_covers(entry.name, name):
            continue
        if not wildcard_matches(entry.name, name):
            state.left_out.add(name)
        elif (found := sources.find(name)) is not None:
            state.found[name] = found


def _take_entry(
    entry: EnvEntry,
    config: EffectiveConfig,
    sources: SecretSources,
    builtins: Mapping[str, str],
    state: _Resolution,
) -> None:
    if entry.literal is None and entry.name in builtins and entry.source == entry.name:
        return
    found = _value_of(entry, sources)
    if found is not None and (found.value or not entry.required):
        state.found[entry.name] = found
    elif entry.required:
        state.missing[entry.name] = _why(entry, sources)
    else:
        state.notices.append(f"Agent '{config.agent}' starts without {_why(entry, sources)}: it is not set.")


def _value_of(entry: EnvEntry, sources: SecretSources) -> Found | None:
    if entry.literal is not None:
        return sources.follow(entry.name, entry.literal, SourceKind.LITERAL)
    found = sources.find(entry.source)
    if found is None and entry.default is not None:
        found = sources.follow(entry.name, entry.default, SourceKind.DEFAULT)
    return found


def _take_secret(name: str, sources: SecretSources, state: _Resolution) -> None:
    state.secrets.add(name)
    given = state.found.get(name)
    found = given if given is not None and given.value else sources.find(name)
    if found is not None and found.value:
        state.found[name] = found
    else:
        chain = sources.alias_chain(name)
        state.missing[name] = " → ".join(chain)


def _why(entry: EnvEntry, sources: SecretSources) -> str:
    start = entry.literal or entry.default or ""
    target = start[1:] if start.startswith("$") else entry.source
    chain = list(sources.alias_chain(target))
    if chain[0] != entry.name:
        chain.insert(0, entry.name)
    return " → ".join(chain)


def _missing_error(config: EffectiveConfig, missing: Mapping[str, str]) -> NeedsApprovalError:
    names = "\n".join(f"    - {why}" for why in missing.values())
    return NeedsApprovalError(
        "MISSING_SECRETS",
        f"Missing required secrets for profile '{config.profile}'\n\n"
        "  The following secrets are required but not found:\n"
        f"{names}\n\n"
        "  Ensure these secrets are:\n"
        "    1. Set in GitHub Actions repository secrets, OR\n"
        "    2. Defined in .ploinky/.secrets file, OR\n"
        "    3. Set as environment variables\n",
        hint=f"  Run 'ploinky profile validate {config.profile}' for more details.",
        details={"agent": config.agent, "profile": config.profile, "names": ", ".join(missing)},
    )


def _finished(sources: SecretSources, builtins: Mapping[str, str], state: _Resolution) -> ResolvedEnvironment:
    values = dict(builtins)
    origins: dict[str, str] = dict.fromkeys(builtins, SourceKind.PLATFORM.value)
    for name, found in state.found.items():
        if name in builtins and name.startswith("PLOINKY_"):
            state.notices.append(f"{name} is set by Ploinky; the manifest's value was not used.")
            continue
        values[name] = found.value
        origins[name] = found.source.value
    secret = {name for name in state.found if _is_secret(name, state)}
    kinds = frozenset(state.found[name].source for name in secret)
    values[SECRETS_SOURCE] = sources.served_by(kinds)
    origins[SECRETS_SOURCE] = SourceKind.PLATFORM.value
    left_out = tuple(sorted(state.left_out))
    if left_out:
        state.notices.append(f"Wildcards left out {_listed(left_out)}; list them by name to pass them on.")
    own = {SourceKind.LITERAL, SourceKind.DEFAULT}
    used = frozenset(
        name for found in state.found.values() if found.source not in own for name in found.chain
    )
    return ResolvedEnvironment(
        values, frozenset(secret & values.keys()), origins, left_out, tuple(state.notices), used
    )


def _is_secret(name: str, state: _Resolution) -> bool:
    """Declared, named like a key (itself or what it stands for), or kept in a local file; not if harmless."""
    if name in state.secrets:
        return True
    found = state.found[name]
    if any(looks_like_key(each) for each in (name, *found.chain)):
        return _SWITCH.fullmatch(found.value) is None
    if _PASSWORD_IN_URL.match(found.value):
        return True
    return found.source in {*FILE_KINDS, *REMOTE_KINDS} and _HARMLESS.fullmatch(found.value) is None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
