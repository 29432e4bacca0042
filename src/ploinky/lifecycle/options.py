"""How a start or a stop should go: what a person may say on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ploinky.workspace.settings import Settings

READY_TIMEOUT_S = 60.0
HOOK_TIMEOUT_S = 600.0
INSTALL_TIMEOUT_S = 1800.0
LOCK_TIMEOUT_S = 900.0
STOP_GRACE_S = 3.0


@dataclass(frozen=True)
class StartOptions:
    """``trust`` allows host hooks of repositories that nobody trusted yet. ``recreate`` makes the sandbox
    anew even if nothing changed. ``timeout_s`` is the longest wait for readiness, per agent;
    ``lock_timeout_s`` the longest wait for another command that works on the same agent."""

    trust: bool = False
    recreate: bool = False
    timeout_s: float = READY_TIMEOUT_S
    hook_timeout_s: float = HOOK_TIMEOUT_S
    install_timeout_s: float = INSTALL_TIMEOUT_S
    lock_timeout_s: float = LOCK_TIMEOUT_S


def usual_options(settings: Settings) -> StartOptions:
    """How agents start when nobody says otherwise."""
    return StartOptions(
        timeout_s=settings.start.ready_timeout_s, hook_timeout_s=settings.start.hook_timeout_s
    )
