"""The host's way to package registries, handed to installs and to nothing else.

People behind a company's proxy need it: proxy variables, index and registry settings, and the bundle of
certificates. Values that name folders of the host are left out, because they do not exist inside; the
bundle is copied into the agent's working folder for the time of the install.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ploinky.base.files import read_bytes, write_atomic

CERTIFICATES_NAME = ".install-ca.pem"

_PROXY = re.compile(r"(?:https?|all|no|ftp)_proxy\Z", re.IGNORECASE)
_SETTINGS = re.compile(r"(?:PIP_|UV_|npm_config_|NPM_CONFIG_)[A-Za-z0-9_.-]+\Z|(?:YARN|PNPM)_REGISTRY\Z")
_BUNDLES = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "NODE_EXTRA_CA_CERTS",
    "CURL_CA_BUNDLE",
    "npm_config_cafile",
)
_BUNDLE_READERS = (*_BUNDLES, "GIT_SSL_CAINFO")
_HOST_ONLY = frozenset(
    {
        "PIP_CONFIG_FILE",
        "PIP_CACHE_DIR",
        "PIP_TARGET",
        "PIP_PREFIX",
        "PIP_USER",
        "PIP_REQUIRE_VIRTUALENV",
        "PIP_PYTHON",
        "UV_CACHE_DIR",
        "UV_PYTHON",
        "UV_PROJECT_ENVIRONMENT",
        "npm_config_prefix",
        "npm_config_cache",
        "npm_config_userconfig",
        "npm_config_globalconfig",
    }
)


@dataclass(frozen=True)
class RegistryAccess:
    """``variables`` for installs; ``bundle`` is the host's file of certificates, if it names one."""

    variables: Mapping[str, str]
    bundle: Path | None
    left_out: tuple[str, ...]


def registry_access(environ: Mapping[str, str]) -> RegistryAccess:
    """What of the ambient environment helps an install that runs inside a sandbox."""
    variables: dict[str, str] = {}
    left_out: list[str] = []
    for name, value in environ.items():
        if name in _BUNDLES or not (_PROXY.match(name) or _SETTINGS.match(name)):
            continue
        kept = "" if name in _HOST_ONLY else _without_host_paths(value)
        if kept:
            variables[name] = kept
        elif value:
            left_out.append(name)
    bundle = next((Path(environ[name]) for name in _BUNDLES if environ.get(name)), None)
    return RegistryAccess(variables, bundle, tuple(sorted(left_out)))


@contextmanager
def certificates_inside(access: RegistryAccess, work_dir: Path) -> Iterator[Mapping[str, str]]:
    """Variables that name the host's certificates inside; the copy is gone when the context ends."""
    data = None if access.bundle is None else read_bytes(access.bundle)
    if data is None:
        yield {}
        return
    copy = work_dir / CERTIFICATES_NAME
    write_atomic(copy, data)
    try:
        yield dict.fromkeys(_BUNDLE_READERS, str(copy))
    finally:
        copy.unlink(missing_ok=True)


def _without_host_paths(value: str) -> str:
    words = value.split()
    return " ".join(word for word in words if not word.startswith(("/", "file:", "~", "./", "../")))
