"""Which engines this machine can test, and the images that tests share: in one place.

A test that needs something which is not here is skipped with the reason, unless ``PLOINKY_REQUIRE`` (words
separated by spaces or commas) names it: then it fails, so that CI cannot pass by skipping.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import pytest

from tests import images

BUSYBOX = "busybox"
DOCKER_SOCKET = "/var/run/docker.sock"

_made: dict[tuple[str, str], str] = {}


def required(thing: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether tests of ``thing`` must not be skipped."""
    return thing in re.split(r"[\s,]+", environ.get("PLOINKY_REQUIRE", ""))


def absent(thing: str, reason: str) -> NoReturn:
    """End a test whose ``thing`` is not here: skipped, or failed where it is required."""
    if required(thing):
        pytest.fail(f"{thing} is required and cannot be used: {reason}")
    pytest.skip(f"{thing}: {reason}")


def missing_engine(kind: str) -> str | None:
    """Why ``podman`` or ``docker`` cannot be tested here, or None."""
    if not images.BUSYBOX.is_file():
        return "busybox-static is not installed, so no image can be made"
    if shutil.which(kind) is None:
        return f"the program {kind} is not installed"
    if kind == "docker" and not _listens(os.environ.get("DOCKER_HOST", f"unix://{DOCKER_SOCKET}")):
        return "no Docker daemon answers"
    return None


def image(kind: str, name: str = BUSYBOX) -> str:
    """An image of this test run, made at its first use; ``give_back`` removes it."""
    recipe = images.Recipe() if name == BUSYBOX else images.RECIPES[name]
    if (kind, name) not in _made:
        tag = f"localhost/ploinky-test-{re.sub(r'[^a-z0-9]+', '-', name)}:{os.getpid()}"
        images.make(kind, tag, recipe)
        _made[kind, name] = tag
    return _made[kind, name]


def give_back() -> None:
    """Remove the images that this test run made."""
    while _made:
        (kind, _), tag = _made.popitem()
        images.remove(kind, tag)


def _listens(url: str) -> bool:
    path = url.removeprefix("unix://")
    if path == url:
        return True
    if not Path(path).is_socket():
        return False
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(path)
        except OSError:
            return False
    return True
