"""The twelve steps of a start: number, name and where each runs."""

from __future__ import annotations

from enum import IntEnum
from typing import Literal

Where = Literal["host", "container"]


class Step(IntEnum):
    """The order is the promise: nothing is created before STRUCTURE and LINKS and their checks passed,
    no container hook runs before the dependencies are there, the agent starts last."""

    STRUCTURE = 1
    LINKS = 2
    CREATE = 3
    AFTER_CREATION = 4
    BOOT = 5
    CORE_DEPENDENCIES = 6
    AGENT_DEPENDENCIES = 7
    PREINSTALL = 8
    INSTALL = 9
    POSTINSTALL = 10
    HOST_POSTINSTALL = 11
    LAUNCH = 12

    @property
    def title(self) -> str:
        return _TITLES[self][0]

    @property
    def where(self) -> Where:
        return _TITLES[self][1]


_TITLES: dict[Step, tuple[str, Where]] = {
    Step.STRUCTURE: ("workspace structure", "host"),
    Step.LINKS: ("links and checks", "host"),
    Step.CREATE: ("create container", "host"),
    Step.AFTER_CREATION: ("hosthook_aftercreation", "host"),
    Step.BOOT: ("start container", "container"),
    Step.CORE_DEPENDENCIES: ("core dependencies", "container"),
    Step.AGENT_DEPENDENCIES: ("agent dependencies", "container"),
    Step.PREINSTALL: ("preinstall", "container"),
    Step.INSTALL: ("install", "container"),
    Step.POSTINSTALL: ("postinstall", "container"),
    Step.HOST_POSTINSTALL: ("hosthook_postinstall", "host"),
    Step.LAUNCH: ("launch and ready", "container"),
}
