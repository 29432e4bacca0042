"""What an engine streams: the multiplexed log, the lines of events and of a pull."""

from __future__ import annotations

import struct
from collections.abc import AsyncGenerator
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel

if TYPE_CHECKING:
    import aiohttp

_HEADER = struct.Struct(">BxxxL")
_CHUNK = 64 * 1024

M = TypeVar("M", bound=BaseModel)


async def demultiplexed(body: aiohttp.StreamReader) -> AsyncGenerator[bytes, None]:
    """The payloads of both streams in the order they were printed, until the engine closes.

    A stream that breaks in the middle of a frame ends there: what came is given, nothing is invented.
    """
    import asyncio

    import aiohttp

    try:
        while True:
            _, left = _HEADER.unpack(await body.readexactly(_HEADER.size))
            while left:
                chunk = await body.read(min(left, _CHUNK))
                if not chunk:
                    return
                left -= len(chunk)
                yield chunk
    except (asyncio.IncompleteReadError, aiohttp.ClientError):
        return


async def json_lines(body: aiohttp.StreamReader, model: type[M]) -> AsyncGenerator[M, None]:
    """Each line as ``model``, until the engine closes or the connection breaks."""
    import aiohttp

    rest = b""
    try:
        async for chunk in body.iter_any():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if line.strip():
                    yield model.model_validate_json(line)
        if rest.strip():
            yield model.model_validate_json(rest)
    except aiohttp.ClientError:
        return


def log_parameters(*, follow: bool, tail: int | None, since: str | None) -> dict[str, str]:
    """The query of ``GET /containers/NAME/logs``; ``since`` is ISO 8601."""
    parameters = {"stdout": "1", "stderr": "1", "follow": str(int(follow))}
    if tail is not None:
        parameters["tail"] = str(tail)
    if since is not None:
        parameters["since"] = f"{datetime.fromisoformat(since).timestamp():.6f}"
    return parameters


def event_moment(last_ns: int) -> str:
    """``since`` of ``GET /events``: just after the last event told, in seconds since 1970."""
    seconds, rest = divmod(last_ns // 1000 + 1, 1_000_000)
    return f"{seconds}.{rest:06d}"
