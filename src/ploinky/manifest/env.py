"""The ``env`` grammar: names, ``NAME=value``, objects, maps and wildcards become ``EnvEntry`` values.

A string in a map is a literal, which no source overrides; a value in a list or in an object is a default,
which every source overrides. Messages name variables, never values.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from ploinky.base.errors import UsageError
from ploinky.base.names import is_env_name
from ploinky.manifest.values import EnvEntry

_PATTERN = re.compile(r"(?![0-9])[A-Za-z0-9_]*\*[A-Za-z0-9_*]*\Z")
_KEY_PARTS = ("API_KEY", "APIKEY", "TOKEN", "SECRET", "PASSWORD")
_MORE_KEY_PARTS = ("PASSWD", "PASSPHRASE", "PRIVATE_KEY", "ACCESS_KEY", "MASTER_KEY")
_OWN_PREFIXES = ("PLOINKY_", "LD_")
_OWN_NAMES = frozenset({"PATH", "HOME"})
_FIELDS = frozenset({"name", "varName", "required", "value", "default"})
_BOOLEANS: Mapping[object, bool] = {"true": True, "false": False}


def parse_env(spec: object) -> tuple[EnvEntry, ...]:
    """Read a whole ``env`` in any of its forms, in the order written; a name given again replaces the former.

    Raises:
        UsageError: ``BAD_ENV``, naming the entry.
    """
    if spec is None:
        return ()
    if isinstance(spec, Mapping):
        entries = [entry_of_pair(str(name), value) for name, value in spec.items()]
    elif isinstance(spec, list | tuple):
        entries = [entry_of_item(item) for item in spec]
    else:
        raise _bad("'env' is a list or a map of variables")
    return tuple({entry.name: entry for entry in entries}.values())


def entry_of_item(item: object) -> EnvEntry:
    """Read one item of a list: ``NAME``, ``NAME=value``, a wildcard, or an object with ``name``."""
    if isinstance(item, Mapping):
        return _entry_of_object(str(item.get("name", "")), item)
    if not isinstance(item, str):
        raise _bad("an entry of 'env' is a name, 'NAME=value' or an object with 'name'")
    name, equals, value = item.partition("=")
    if equals:
        return EnvEntry(_require_name(name), name, default=value)
    if is_pattern(item):
        return EnvEntry(item, item, is_pattern=True)
    return EnvEntry(_require_name(item), item)


def entry_of_pair(name: str, value: object) -> EnvEntry:
    """Read one pair of a map: a literal, an object without ``name``, or null for a bare name."""
    if isinstance(value, Mapping):
        return _entry_of_object(name, value)
    if value is None:
        return entry_of_item(name) if is_pattern(name) else EnvEntry(_require_name(name), name)
    if is_pattern(name):
        raise _bad(f"the wildcard {name!r} cannot have a value")
    return EnvEntry(_require_name(name), name, literal=_text(name, value))


def is_pattern(name: str) -> bool:
    """Whether ``name`` is a wildcard: letters, digits and ``_`` with at least one ``*``."""
    return _PATTERN.match(name) is not None


def looks_like_key(name: str) -> bool:
    """Whether a variable of this name probably holds a key, token, secret or password."""
    capitals = name.upper()
    return any(part in capitals for part in (*_KEY_PARTS, *_MORE_KEY_PARTS))


def is_withheld(name: str) -> bool:
    """Whether every wildcard leaves this name out: it looks like a key, or belongs to us or the system."""
    capitals = name.upper()
    return looks_like_key(name) or capitals.startswith(_OWN_PREFIXES) or capitals in _OWN_NAMES


def wildcard_covers(pattern: str, name: str) -> bool:
    """Whether ``name`` has the pattern's form, whether withheld or not; ``*`` is any text, also none."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name) is not None


def wildcard_matches(pattern: str, name: str) -> bool:
    """Whether the wildcard passes ``name`` on: it has the form and is not withheld."""
    return wildcard_covers(pattern, name) and not is_withheld(name)


def _entry_of_object(name: str, value: Mapping[object, object]) -> EnvEntry:
    if is_pattern(name):
        if any(value.get(key) not in (None, False, "false") for key in _FIELDS - {"name"}):
            raise _bad(f"the wildcard {name!r} cannot have a value, a 'varName' or 'required'")
        return EnvEntry(name, name, is_pattern=True)
    source = value.get("varName") or name
    if not isinstance(source, str) or not is_env_name(source):
        raise _bad(f"'varName' of {_shown(name)} is not the name of a variable")
    required = value.get("required")
    if required is None or isinstance(required, str | int):
        required = _BOOLEANS.get(required, required) or False
    if not isinstance(required, bool):
        raise _bad(f"'required' of {_shown(name)} is true or false")
    default, other = value.get("default"), value.get("value")
    if default is not None and other is not None and default != other:
        raise _bad(f"{_shown(name)} has a 'value' and another 'default'; give one of them")
    default = other if default is None else default
    text = None if default is None else _text(name, default)
    return EnvEntry(_require_name(name), source, default=text, required=required)


def _text(name: str, value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise _bad(f"the value of {_shown(name)} is a text")


def _require_name(name: str) -> str:
    if not is_env_name(name):
        raise _bad(f"{_shown(name)} is not the name of a variable")
    return name


def _shown(name: str) -> str:
    """A name for a message; long ones are cut, because somebody may have put a key in its place."""
    return repr(name if len(name) <= 32 else name[:12] + "…")


def _bad(reason: str) -> UsageError:
    return UsageError(
        "BAD_ENV",
        f"Bad env: {reason}.",
        hint='Write "NAME", "NAME=value", "PREFIX_*" or {"name": "NAME", "varName": "SOURCE"}.',
    )
