"""Work that goes on beside a conversation, within the router's task group, and ends with it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import anyio
import anyio.abc

from ploinky.base.errors import PloinkyError
from ploinky.mcp.messages import RpcError

logger = logging.getLogger(__name__)


class Background:
    """Nothing that fails here ends anything else."""

    def __init__(self, tasks: anyio.abc.TaskGroup, name: str) -> None:
        self._tasks = tasks
        self._name = name
        self._scopes: set[anyio.CancelScope] = set()
        self._ended = False

    def start(self, work: Callable[[], Awaitable[object]]) -> None:
        """Do ``work``, unless all was ended already."""
        if not self._ended:
            self._tasks.start_soon(self._run, work)

    def end(self) -> None:
        """Cancel all that runs; nothing can be started any more."""
        self._ended = True
        for scope in self._scopes:
            scope.cancel()

    async def _run(self, work: Callable[[], Awaitable[object]]) -> None:
        if self._ended:
            return
        with anyio.CancelScope() as scope:
            self._scopes.add(scope)
            try:
                await work()
            except (PloinkyError, RpcError) as error:
                logger.info("%s: %s", self._name, error)
            except Exception:
                logger.exception("%s: unexpected", self._name)
            finally:
                self._scopes.discard(scope)
