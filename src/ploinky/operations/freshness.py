"""Whether a running gateway still stands on what this command stands on.

It read profile, settings and its environment when it began. When a command starts agents under others
(another profile, an edited ``config.json``, a secret exported since), the gateway is launched anew, or it
would bring agents back, and run their tools, by the old ones.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from ploinky import __version__
from ploinky.base.files import read_bytes
from ploinky.operations.endpoint import Endpoint
from ploinky.operations.platform import Platform
from ploinky.operations.profile import effective_configs
from ploinky.workspace.layout import Layout


def basis_of(layout: Layout, profile: str | None) -> str:
    """What a gateway stands on beside its environment, as a digest: version, profile, settings."""
    settings = hashlib.sha256(read_bytes(layout.config_file) or b"").hexdigest()
    return hashlib.sha256(json.dumps([__version__, profile, settings]).encode()).hexdigest()


def is_outdated(platform: Platform, running: Endpoint) -> bool:
    """Whether the gateway should be launched anew for what this command knows."""
    if running.basis != basis_of(platform.layout, platform.profile.name):
        return True
    had = environment_of(running)
    return any(had.get(name) != value for name, value in _wanted_values(platform).items())


def environment_of(running: Endpoint) -> dict[str, str]:
    """The environment that the gateway began with; empty where it cannot be known."""
    try:
        data = Path(f"/proc/{running.process.pid}/environ").read_bytes()
    except OSError:
        return {}
    pairs = (entry.decode("utf-8", "surrogateescape").partition("=") for entry in data.split(b"\0"))
    return {name: value for name, equals, value in pairs if equals}


def _wanted_values(platform: Platform) -> Mapping[str, str]:
    """Values of this command's environment that enabled agents ask for by name, or that open our stores."""
    names: set[str] = set(platform.secrets.own_names())
    for config in effective_configs(platform).values():
        names |= {*config.secrets, *(entry.source for entry in config.env if not entry.is_pattern)}
    return {name: platform.environ[name] for name in names if name in platform.environ}
