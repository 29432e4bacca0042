"""Calls to a Docker-compatible engine: one session, a deadline on each, failures with our codes.

Knows the API, no agents. ``aiodocker`` is imported at the first call, because that takes a third of a
second. Every request has a connection of its own: an engine may end and come back between two (a Podman
service ends when idle), and a kept connection would make the next request fail for no reason.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import anyio

from ploinky.base.errors import PloinkyError
from ploinky.runtimes.engine_models import EngineInfo
from ploinky.runtimes.errors import runtime_deadline, runtime_unavailable

if TYPE_CHECKING:
    import aiohttp
    from aiodocker import Docker

T = TypeVar("T")

CALL_TIMEOUT_S = 30.0
UNREACHABLE = 900  # aiodocker's status for "no connection"
NOT_FOUND = 404
PING_VERSION = "Api-Version"
PING_PODMAN = "Libpod-API-Version"
ENGINE_REFUSED = "ENGINE_REFUSED"


@dataclass(frozen=True)
class EngineAddress:
    """An engine that answered at ``url``; ``kind`` (podman, docker) is what it is, not what it is called."""

    url: str
    kind: str
    api_version: str


class EngineEndpoint(Protocol):
    """Where an engine listens; ``open`` may start it."""

    @property
    def kind(self) -> str: ...

    async def open(self) -> EngineAddress:
        """An engine that answers.

        Raises:
            PloinkyError: RUNTIME_UNAVAILABLE with the reason and what to do.
        """


class EngineError(PloinkyError):
    """The engine refused a request, with an HTTP status (0: in the middle of a stream) and its own words."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        self.reason = f"{text.strip().rstrip('.')}."
        super().__init__(ENGINE_REFUSED, f"The engine refused: {self.reason}")

    @property
    def missing(self) -> bool:
        return self.status == NOT_FOUND


class EngineApi:
    """The session to one engine; opened again, on a new engine if need be, when the engine went away."""

    def __init__(self, endpoint: EngineEndpoint) -> None:
        self._endpoint = endpoint
        self._docker: Docker | None = None
        self._opening = anyio.Lock()
        self._info: EngineInfo | None = None

    @property
    def kind(self) -> str:
        return self._endpoint.kind

    async def info(self) -> EngineInfo:
        """What the engine says of itself; asked once."""
        if self._info is None:
            self._info = await self.read("info", EngineInfo)
        return self._info

    async def call(
        self,
        what: str,
        request: Callable[[Docker], Awaitable[T]],
        *,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> T:
        """Do one request. If nothing listens, the engine is looked for (and started) and asked once more.

        Raises:
            EngineError: the engine refused.
            PloinkyError: RUNTIME_UNAVAILABLE, RUNTIME_DEADLINE.
        """
        try:
            with anyio.fail_after(timeout_s):
                try:
                    return await self._attempt(request)
                except _GoneError:
                    return await self._attempt(request)
        except TimeoutError as error:
            raise runtime_deadline(f"{self.kind}: {what}", timeout_s) from error
        except _GoneError as error:
            raise runtime_unavailable(self.kind, f"it went away during: {what}.") from error

    @asynccontextmanager
    async def stream(
        self, path: str, params: Mapping[str, str], *, method: str = "GET", silence_s: float | None = None
    ) -> AsyncIterator[aiohttp.StreamReader]:
        """A body that may go on for ever; the deadline is for its beginning, and for each silence if asked.

        Raises:
            EngineError: the engine refused. PloinkyError: as ``call``.
        """

        async def begin(docker: Docker) -> aiohttp.ClientResponse:
            return await _send(docker, method, path, params, silence_s)

        response = await self.call(path, begin)
        try:
            yield response.content
        finally:
            response.close()

    async def read(
        self,
        path: str,
        answer: type[T],
        params: Mapping[str, str] | None = None,
        *,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> T:
        """GET one JSON document, read as ``answer``.

        Raises:
            EngineError: the engine refused. PloinkyError: as ``call``.
        """
        from pydantic import TypeAdapter

        async def ask(docker: Docker) -> bytes:
            response = await _send(docker, "GET", path, params or {}, None)
            async with response:
                return await response.read()

        body = await self.call(path, ask, timeout_s=timeout_s)
        return TypeAdapter(answer).validate_json(body)

    async def upload(self, path: str, params: Mapping[str, str], tar: bytes) -> None:
        """POST a tar; returns when the engine has taken it in.

        Raises:
            EngineError: the engine refused. PloinkyError: as ``call``.
        """

        async def send(docker: Docker) -> None:
            async with await _send(docker, "POST", path, params, None, tar) as response:
                await response.read()

        await self.call(path, send)

    async def aclose(self) -> None:
        """Close the session. The engine and what it runs go on."""
        if self._docker is not None:
            await self._forget(self._docker)

    async def _attempt(self, request: Callable[[Docker], Awaitable[T]]) -> T:
        import aiohttp
        from aiodocker.exceptions import DockerError

        docker = await self._open()
        try:
            return await request(docker)
        except DockerError as error:
            if error.status != UNREACHABLE:
                raise EngineError(error.status, error.message) from error
            await self._forget(docker)
            raise _GoneError from error
        except aiohttp.ClientConnectionError as error:
            await self._forget(docker)
            raise _GoneError from error

    async def _open(self) -> Docker:
        async with self._opening:
            if self._docker is None:
                self._docker = session(await self._endpoint.open())
            return self._docker

    async def _forget(self, docker: Docker) -> None:
        """Drop a session whose engine went away, unless another call already did."""
        if self._docker is docker:
            self._docker = self._info = None
        await close_session(docker)


async def _send(
    docker: Docker,
    method: str,
    path: str,
    params: Mapping[str, str],
    silence_s: float | None,
    tar: bytes | None = None,
) -> aiohttp.ClientResponse:
    import aiohttp

    url = f"{docker.docker_host}/{docker.api_version}/{path}"
    patience = aiohttp.ClientTimeout(total=None, sock_read=silence_s)
    headers = {} if tar is None else {"Content-Type": "application/x-tar"}
    response = await docker.session.request(
        method, url, params=dict(params), timeout=patience, data=tar, headers=headers
    )
    if response.status >= 400:
        text = _message(await response.read())
        response.close()
        raise EngineError(response.status, text)
    return response


class _GoneError(Exception):
    """Nobody listens at the engine's address, or the connection broke."""


def session(address: EngineAddress) -> Docker:
    """A session to an engine, not yet asked; end it with ``close_session``."""
    import aiohttp
    from aiodocker import Docker

    version = f"v{address.api_version}"
    path = address.url.removeprefix("unix://")
    if path == address.url:
        return Docker(address.url, api_version=version)
    # The caller's connector, for ``force_close``; closed together with the session.
    connector = aiohttp.UnixConnector(path, force_close=True)
    return Docker(url="unix://localhost", connector=connector, api_version=version)


def is_socket(path: Path) -> bool:
    return path.is_socket()


async def close_session(docker: Docker) -> None:
    with anyio.CancelScope(shield=True):
        await docker.close()
        await docker.connector.close()


async def who_answers(url: str, *, timeout_s: float) -> EngineAddress | None:
    """The engine that listens at ``url``, or None if none answers in time.

    By a ping: Podman needs a quarter of a second to tell its version, and half a millisecond to answer.
    """
    import aiohttp

    docker = session(EngineAddress(url, "", "1.41"))
    try:
        with anyio.fail_after(timeout_s):
            async with docker.session.get(f"{docker.docker_host}/_ping") as answer:
                if answer.status != 200 or PING_VERSION not in answer.headers:
                    return None
                kind = "podman" if PING_PODMAN in answer.headers else "docker"
                return EngineAddress(url, kind, answer.headers[PING_VERSION])
    except (TimeoutError, aiohttp.ClientError, OSError):
        return None
    finally:
        await close_session(docker)


def _message(body: bytes) -> str:
    try:
        found: Any = json.loads(body)
        return str(found["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode("utf-8", "replace").strip()
