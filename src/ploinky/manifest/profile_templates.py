"""What a new profile may start as. To add a template: a row here."""

from __future__ import annotations

from collections.abc import Mapping

from ploinky.base.errors import NotFoundError
from ploinky.base.names import closest

EMPTY = "empty"
_READ_ONLY = {"code": "ro", "skills": "ro"}
TEMPLATES: Mapping[str, Mapping[str, object]] = {
    EMPTY: {},
    "dev": {
        "env": {"NODE_ENV": "development", "DEBUG": "true", "LOG_LEVEL": "debug"},
        "mounts": {"code": "rw", "skills": "rw"},
    },
    "qa": {"env": {"NODE_ENV": "test", "DEBUG": "false", "LOG_LEVEL": "info"}, "mounts": _READ_ONLY},
    "ci": {
        "env": {"CI": "true", "NODE_ENV": "test", "DEBUG": "false", "LOG_LEVEL": "info"},
        "mounts": _READ_ONLY,
    },
    "prod": {"env": {"NODE_ENV": "production", "DEBUG": "false", "LOG_LEVEL": "error"}, "mounts": _READ_ONLY},
}


def profile_template(profile: str, asked: str | None) -> Mapping[str, object]:
    """The template asked for; else the one named like the profile; else the empty one.

    Raises:
        NotFoundError: ``NO_TEMPLATE``.
    """
    if asked is None:
        return TEMPLATES.get(profile, TEMPLATES[EMPTY])
    if asked not in TEMPLATES:
        near = closest(asked, TEMPLATES)
        hint = f"Did you mean '{near}'?" if near else f"There are: {', '.join(TEMPLATES)}"
        raise NotFoundError("NO_TEMPLATE", f"There is no template {asked!r} of a profile.", hint=hint)
    return TEMPLATES[asked]
