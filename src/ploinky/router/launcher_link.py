"""The connection to one agent's launcher: made when it is needed, made again when it was lost."""

from __future__ import annotations

from pathlib import Path

import anyio

from ploinky.channel.client import Channel


class LauncherLink:
    """One connection carries everything; when it ends, whatever runs over it fails at once."""

    def __init__(self, socket_path: Path) -> None:
        self.socket_path = socket_path
        self._live: Channel | None = None
        self._connecting = anyio.Lock()

    async def channel(self) -> Channel:
        """The connection, made if there is none or the last one was lost.

        Raises:
            PloinkyError: ``CHANNEL_UNREACHABLE``.
            DeadlineError: the launcher does not answer.
        """
        if self._live is None or self._live.is_lost:
            async with self._connecting:
                if self._live is None or self._live.is_lost:
                    self.close()
                    live = await Channel.connect(self.socket_path)
                    live.attend()
                    self._live = live
        return self._live

    def close(self) -> None:
        """End the connection; what runs over it fails."""
        if self._live is not None:
            self._live.close()
            self._live = None
