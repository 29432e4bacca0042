"""What a client is told of an agent that did not answer as it should.

By the code of what went wrong below; to tell of one more: a row in ``_LOST``.
"""

from __future__ import annotations

import logging

from ploinky.base.errors import PloinkyError
from ploinky.mcp.messages import (
    AGENT_LOST,
    AGENT_NOT_READY,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    RpcError,
    clipped,
)
from ploinky.router.naming import Target

logger = logging.getLogger(__name__)
_LOST = {
    "CHANNEL_LOST": "stopped while it worked; the request was not repeated",
    "CHANNEL_UNREACHABLE": "cannot be reached",
    "CHANNEL_PROTOCOL": "answered with something that is no answer; the request was not repeated",
    "CHANNEL_BUSY": "runs as many programs as it can; try again",
    "SANDBOX_STOPPING": "is stopping",
    "DEADLINE": "did not answer in time",
    "SERVER_LOST": "ended while it worked; the request was not repeated",
    "SERVER_UNREACHABLE": "has no server that answers",
    "SERVER_LOGIN": "needs a person to sign in first: ploinky mcp login",
}
SILENCES = frozenset({"CHANNEL_UNREACHABLE", "SERVER_UNREACHABLE", "DEADLINE"})
"""Codes of an agent that says nothing at all: too many of them, and it is left alone for a while."""


def not_ready(target: Target, absence: str) -> RpcError:
    return RpcError(
        AGENT_NOT_READY,
        f"Agent {target.agent!r} cannot be asked now: {absence}",
        {"code": "AGENT_NOT_READY", "agent": target.agent},
    )


def resting(target: Target, wait_s: int) -> RpcError:
    return RpcError(
        AGENT_LOST,
        f"Agent {target.agent!r} did not answer several times; it is asked again in {wait_s} s.",
        {"code": "AGENT_RESTING", "agent": target.agent, "retryAfterS": wait_s},
    )


def agent_error(target: Target, error: PloinkyError) -> RpcError:
    if error.code == "TOOL_NOT_FOUND":
        return RpcError(INVALID_PARAMS, f"Unknown tool: {clipped(target.name)}")
    what = _LOST.get(error.code)
    if what is None:
        logger.error("agent %s, %s: %s", target.agent, target.name, error.message)
        return RpcError(INTERNAL_ERROR, f"{target.name!r} of agent {target.agent!r} failed: {error.message}")
    return RpcError(
        AGENT_LOST,
        f"Agent {target.agent!r} {what}.",
        {"code": error.code, "agent": target.agent, "tool": target.name},
    )
