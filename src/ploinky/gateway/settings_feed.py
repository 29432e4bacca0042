"""The settings of this moment, for what must follow ``config.json`` without a restart.

The file is looked at twice a second at the most, when somebody asks. One that cannot be used leaves the last
good settings in force, and the log says so once.
"""

from __future__ import annotations

import logging
import os
import time

from ploinky.base.errors import PloinkyError
from ploinky.workspace.layout import Layout
from ploinky.workspace.settings import Settings, load_settings

_log = logging.getLogger(__name__)
_LOOK_EVERY_S = 0.5


class SettingsFeed:
    """Begins with ``settings``, which were just loaded."""

    def __init__(self, layout: Layout, settings: Settings) -> None:
        self._layout = layout
        self._settings = settings
        self._stamp = self._stamp_now()
        self._due = 0.0

    def now(self) -> Settings:
        """The settings as the file has them, or as it had them when it was last right."""
        moment = time.monotonic()
        if moment >= self._due:
            self._due = moment + _LOOK_EVERY_S
            self.look()
        return self._settings

    def look(self) -> None:
        """Look at the file now, whenever it was looked at last."""
        stamp = self._stamp_now()
        if stamp != self._stamp:
            self._stamp = stamp
            self._read()

    def _read(self) -> None:
        try:
            self._settings = load_settings(self._layout)
        except PloinkyError as error:
            _log.warning("the former settings stay in force: %s", error.message)

    def _stamp_now(self) -> tuple[int, int, int] | None:
        try:
            facts = os.stat(self._layout.config_file)  # noqa: PTH116 (on the path of requests)
        except OSError:
            return None
        return facts.st_ino, facts.st_mtime_ns, facts.st_size
