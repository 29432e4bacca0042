"""Variables that a person gives to agents of this workspace: ``.ploinky/exposed.json``.

By agent and name: a value, or ``$OTHER`` for what another variable stands for. They win over the manifest,
whose file need not be changed for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ploinky.base.errors import UsageError
from ploinky.base.files import FileLock
from ploinky.base.names import is_env_name, require_name
from ploinky.manifest.values import EffectiveConfig, EnvEntry
from ploinky.workspace.documents import read_json_object, shape_error, write_json
from ploinky.workspace.layout import Layout

_CODE = "EXPOSED_INVALID"
_OWN = "PLOINKY_"


class Exposures:
    """What is exposed to whom. Holds no state: every call asks the disk."""

    def __init__(self, layout: Layout) -> None:
        self._path = layout.control / "exposed.json"
        self._lock = layout.lock("exposed")

    def read(self) -> dict[str, dict[str, str]]:
        """By agent (its registry key): names and values.

        Raises:
            PloinkyError: ``EXPOSED_INVALID`` with the place of the fault.
        """
        document = read_json_object(self._path, code=_CODE) or {}
        found: dict[str, dict[str, str]] = {}
        for agent, values in document.items():
            if not isinstance(values, dict) or not all(
                isinstance(value, str) and is_env_name(name) for name, value in values.items()
            ):
                raise shape_error(self._path, _CODE, "it maps agents to names and texts", key=agent)
            found[agent] = values
        return found

    def set(self, agent: str, name: str, value: str) -> None:
        """Expose a variable, in the place of a former one.

        Raises:
            UsageError: ``BAD_VARIABLE``.
        """
        require_name(agent, what="an agent")
        if not is_env_name(name) or name.startswith(_OWN) or "\0" in value:
            raise UsageError(
                "BAD_VARIABLE",
                f"{name[:40]!r} cannot be exposed.",
                hint="Use letters, digits and '_', not starting with a digit or PLOINKY_.",
            )
        with FileLock(self._lock):
            exposed = self.read()
            exposed.setdefault(agent, {})[name] = value
            write_json(self._path, exposed)

    def unset(self, agent: str, name: str | None = None) -> bool:
        """Take back one variable, or all of an agent; whether there was any."""
        with FileLock(self._lock):
            exposed = self.read()
            values = exposed.get(agent, {})
            gone = [name] if name in values else [] if name is not None else list(values)
            if not gone:
                return False
            exposed[agent] = {key: value for key, value in values.items() if key not in gone}
            write_json(self._path, {key: value for key, value in exposed.items() if value})
            return True

    def applied(self, config: EffectiveConfig) -> EffectiveConfig:
        """``config`` with what is exposed to its agent."""
        return with_exposed(config, self.read().get(config.agent, {}))


def with_exposed(config: EffectiveConfig, exposed: Mapping[str, str]) -> EffectiveConfig:
    """``config`` with these variables as fixed values in the place of its own of the same names."""
    if not exposed:
        return config
    required = {entry.name for entry in config.env if entry.required}
    given = [
        EnvEntry(each, each, literal=value, required=each in required) for each, value in exposed.items()
    ]
    kept = [entry for entry in config.env if entry.name not in exposed]
    return replace(config, env=(*kept, *given))
