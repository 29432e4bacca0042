"""The thin layer over aiohttp that every HTTP provider speaks through.

One session per provider, kept alive between turns. A key is asked for when a request is built and goes into
its headers only. Redirects are not followed: they would carry the key elsewhere. Every failure leaves as a
``ProviderError``; nothing of a request that ended early stays open.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
import orjson

from ploinky.base.jsontypes import JsonObject, JsonValue, find_text
from ploinky.providers.credentials import KeyReference, Keyring
from ploinky.providers.errors import ProviderCode, ProviderError
from ploinky.providers.faults import fault
from ploinky.providers.framing import Framing, Record, too_large
from ploinky.providers.pace import Pace

if TYPE_CHECKING:
    import aiohttp

LARGEST_ANSWER = 64 * 1024 * 1024
LARGEST_REFUSAL = 64 * 1024
CONNECT_S = 15.0
QUESTION_S = 30.0
EPILOGUE_S = 0.2


@dataclass(frozen=True)
class Server:
    """Whom to speak to: ``who`` names it in errors, ``headers`` makes its headers of a key (or of none)."""

    who: str
    base_url: str
    headers: Callable[[str | None], Mapping[str, str]] = field(repr=False)
    keys: Keyring = field(repr=False)
    key: KeyReference | None = None


class HttpChannel:
    """Requests to one server."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def records(
        self, path: str, body: JsonObject, framing: Framing, pace: Pace
    ) -> AsyncGenerator[Record, None]:
        """The records of a streamed answer. Closing the generator ends the request.

        Raises:
            ProviderError: the server turned it away, fell silent, broke off, or sent too much.
        """
        response = await self._open("POST", path, body, pace)
        taken = 0
        try:
            while chunk := await self._chunk(response, pace):
                taken += len(chunk)
                if taken > LARGEST_ANSWER:
                    raise too_large()
                for record in framing.feed(chunk):
                    yield record
            for record in framing.end():
                yield record
        finally:
            response.close()  # of a connection that was read to its end, it keeps it

    async def ask(self, method: str, path: str, body: JsonObject | None = None) -> JsonObject:
        """A whole answer that is a JSON object.

        Raises:
            ProviderError: as ``records``, or because it is no JSON object.
        """
        pace = Pace(QUESTION_S, QUESTION_S)
        response = await self._open(method, path, body, pace)
        held = bytearray()
        try:
            while chunk := await self._chunk(response, pace):
                held += chunk
                if len(held) > LARGEST_ANSWER:
                    raise too_large()
        finally:
            response.close()
        return read_object(held, self.server.who)

    async def listed(self, path: str) -> list[JsonObject]:
        """What ``/models`` of most servers lists: objects that have an id.

        Raises:
            ProviderError: as ``ask``, or because it is no list.
        """
        listed = (await self.ask("GET", path)).get("data")
        if not isinstance(listed, list):
            raise ProviderError(ProviderCode.MALFORMED, f"{self.server.who} sent no list of models.")
        return [each for each in listed if isinstance(each, dict) and find_text(each, "id")]

    async def aclose(self) -> None:
        """End all connections; what still waits for them fails."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _open(
        self, method: str, path: str, body: JsonObject | None, pace: Pace
    ) -> aiohttp.ClientResponse:
        import aiohttp

        server = self.server
        key = None if server.key is None else await server.keys.fetch(server.key)
        headers = {"Accept-Encoding": "identity", **server.headers(key)}
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = orjson.dumps(body)
        try:
            response = await self._request(method, path, headers, data, pace)
        except aiohttp.ClientConnectorError as error:
            reason = error.os_error.strerror or "no connection"
            raise ProviderError(
                ProviderCode.UNREACHABLE, f"Cannot reach {server.who} at {server.base_url}: {reason}."
            ) from error
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientSSLError) as error:
            raise ProviderError(
                ProviderCode.UNREACHABLE, f"Cannot reach {server.who} at {server.base_url}."
            ) from error
        except aiohttp.ClientConnectionError as error:
            raise self._cut() from error
        except aiohttp.ClientError as error:
            raise ProviderError(
                ProviderCode.MALFORMED, f"{server.who} did not answer as a web server does."
            ) from error
        if response.status != 200:
            raise await self._refused(response, key, pace)
        return response

    async def _request(
        self, method: str, path: str, headers: dict[str, str], data: bytes | None, pace: Pace
    ) -> aiohttp.ClientResponse:
        """Ask; a kept connection that the server closed meanwhile is not the server's answer, so ask anew."""
        import aiohttp

        session, url = self._require_session(), self.server.base_url + path
        waited = f"the first words of {self.server.who}"
        for last in (False, True):
            request = session.request(method, url, data=data, headers=headers, allow_redirects=False)
            try:
                return await pace.wait(request, what=waited)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                if last or isinstance(error, aiohttp.ClientConnectorError) or self._closed:
                    raise
        raise AssertionError

    async def _refused(self, response: aiohttp.ClientResponse, key: str | None, pace: Pace) -> ProviderError:
        """Why a server turned a request away."""
        server = self.server
        try:
            words = await self._refusal(response, pace)
        finally:
            response.close()
        if response.status in (401, 403) and key is None:
            return ProviderError(
                ProviderCode.NO_KEY,
                f"{server.who} wants a key, and the model's entry names none.",
                hint="Set apiKeyRef in the model's entry, for example to env:NAME.",
            )
        secrets = () if key is None else (key,)
        return fault(response.status, words, who=server.who, secrets=secrets, headers=response.headers)

    async def _chunk(self, response: aiohttp.ClientResponse, pace: Pace) -> bytes:
        """The next bytes; empty at the end."""
        import aiohttp

        try:
            return await pace.wait(response.content.readany(), what=f"more of {self.server.who}'s answer")
        except (aiohttp.ClientError, ConnectionError) as error:
            raise self._cut() from error

    async def _refusal(self, response: aiohttp.ClientResponse, pace: Pace) -> str:
        """The start of what a server says when it turns a request away."""
        held = bytearray()
        try:
            while len(held) < LARGEST_REFUSAL and (chunk := await self._chunk(response, pace)):
                held += chunk
        except ProviderError:
            return ""  # its status says enough
        return bytes(held[:LARGEST_REFUSAL]).decode("utf-8", "replace")

    def _cut(self) -> ProviderError:
        if self._closed:
            return ProviderError(ProviderCode.CLOSED, f"The connection to {self.server.who} was ended.")
        return ProviderError(ProviderCode.STREAM_CUT, f"{self.server.who} broke off its answer.")

    def _require_session(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._closed:
            raise ProviderError(ProviderCode.CLOSED, f"The connection to {self.server.who} was ended.")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                # proxies of the environment serve the outside, not a server on this machine
                trust_env=not _is_this_machine(self.server.base_url),
            )
        return self._session


def _is_this_machine(base_url: str) -> bool:
    host = urlsplit(base_url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def bearer(key: str | None) -> dict[str, str]:
    """The header of most servers."""
    return {} if key is None else {"Authorization": f"Bearer {key}"}


def read_object(data: bytes | bytearray | str, who: str) -> JsonObject:
    """A JSON object that ``who`` sent.

    Raises:
        ProviderError: ``PROVIDER_MALFORMED``.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        value = _read_halves(data, who)
    if not isinstance(value, dict):
        raise ProviderError(ProviderCode.MALFORMED, f"{who} sent JSON that is no object.")
    return value


def _read_halves(data: bytes | bytearray | str, who: str) -> JsonValue:
    """JSON with halves of characters in it, which orjson does not take; see ``surrogates``."""
    try:
        value: JsonValue = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ProviderError(ProviderCode.MALFORMED, f"{who} sent what is no JSON.") from error
    return value


async def drain(records: AsyncGenerator[Record, None]) -> None:
    """Read what follows the end of an answer, if it comes at once, so that the connection can be kept."""
    with anyio.move_on_after(EPILOGUE_S):
        async for _ in records:
            pass
