"""The hosts that package managers of this machine install from, asked from the managers themselves.

No registry is named here: variables count first, then what ``npm``, ``pip`` and ``go`` say. A manager that is
not here has no hosts, so its installs find the proxy closed.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from ploinky.base.errors import PloinkyError
from ploinky.base.processes import run
from ploinky.skills.plans import Registries

_TIMEOUT_S = 20.0
_VARIABLES = {
    "pip": ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX"),
    "npm": ("npm_config_registry", "NPM_CONFIG_REGISTRY"),
    "go": ("GOPROXY",),
}
_PIP_DEFAULT = (
    "from pip._internal.models.index import PyPI as p; print(p.url, 'https://' + p.file_storage_domain)"
)
_QUESTIONS = {
    "npm": ("npm", "config", "get", "registry"),
    "pip": (sys.executable, "-c", _PIP_DEFAULT),
    "go": ("go", "env", "GOPROXY"),
}


async def registry_hosts(environ: Mapping[str, str]) -> Registries:
    """Hosts by kind: npm, pip, go."""
    found: dict[str, frozenset[str]] = {}
    for kind, names in _VARIABLES.items():
        texts = [environ[name] for name in names if environ.get(name)]
        if not texts:
            texts = [await _asked(_QUESTIONS[kind], environ)]
        found[kind] = frozenset(host for text in texts for host in _hosts(text))
    return found


async def _asked(argv: tuple[str, ...], environ: Mapping[str, str]) -> str:
    try:
        done = await run(argv, timeout_s=_TIMEOUT_S, cwd=Path("/"), env=dict(environ))
    except PloinkyError:
        return ""
    return done.text if done.returncode == 0 else ""


def _hosts(text: str) -> list[str]:
    found = []
    for word in text.replace(",", " ").replace("|", " ").split():
        try:
            parts = urlsplit(word)
            port = parts.port or (80 if parts.scheme == "http" else 443)
        except ValueError:
            continue
        if parts.hostname and parts.scheme in ("http", "https"):
            found.append(parts.hostname if port == 443 else f"{parts.hostname}:{port}")
    return found
