"""Cut a stream of bytes into records: server-sent events, or one JSON value a line.

Both are fed chunks as they come and give whole records; a record may span chunks, a chunk may hold many. What
is longer than a limit is an error, and so is text that is no UTF-8. Pure: no I/O.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from ploinky.providers.errors import ProviderCode, ProviderError

LONGEST_RECORD = 16 * 1024 * 1024


class Record(NamedTuple):
    """One record: the name of its event (empty in NDJSON and by default in SSE) and its data."""

    event: str
    data: str


class Framing(Protocol):
    """Cuts one stream."""

    def feed(self, chunk: bytes) -> Iterator[Record]: ...

    def end(self) -> Iterator[Record]:
        """What is left when the stream has ended."""
        ...


class _Lines:
    """Lines without their ends; ``\\r\\n`` and ``\\n`` both end one."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._looked = 0

    def feed(self, chunk: bytes) -> Iterator[str]:
        self._held += chunk
        start = 0
        while (end := self._held.find(b"\n", max(start, self._looked))) >= 0:
            yield _text(bytes(self._held[start:end]).removesuffix(b"\r"))
            start = end + 1
        del self._held[:start]
        self._looked = len(self._held)
        if self._looked > LONGEST_RECORD:
            raise too_large()

    def end(self) -> Iterator[str]:
        if self._held:
            yield _text(bytes(self._held).removesuffix(b"\r"))
            self._held.clear()


class JsonLines:
    """One record a line; empty lines are nothing."""

    def __init__(self) -> None:
        self._lines = _Lines()

    def feed(self, chunk: bytes) -> Iterator[Record]:
        yield from (Record("", line) for line in self._lines.feed(chunk) if line.strip())

    def end(self) -> Iterator[Record]:
        yield from (Record("", line) for line in self._lines.end() if line.strip())


class ServerSentEvents:
    """Events as the HTML standard has them; comments, ids and retry times are nothing here."""

    def __init__(self) -> None:
        self._lines = _Lines()
        self._event = ""
        self._data: list[str] = []
        self._size = 0

    def feed(self, chunk: bytes) -> Iterator[Record]:
        for line in self._lines.feed(chunk):
            yield from self._take(line)

    def end(self) -> Iterator[Record]:
        # the standard drops an event without its empty line; servers that close early are told apart by
        # what the event says, so it is given
        for line in self._lines.end():
            yield from self._take(line)
        yield from self._take("")

    def _take(self, line: str) -> Iterator[Record]:
        if not line:
            if self._data:
                yield Record(self._event, "\n".join(self._data))
            self._event, self._data, self._size = "", [], 0
            return
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._event = value
        elif name == "data":
            self._data.append(value)
            self._size += len(value)
            if self._size > LONGEST_RECORD:
                raise too_large()


def _text(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProviderError(ProviderCode.MALFORMED, "The server's answer is no UTF-8 text.") from error


class Pieces:
    """A text that comes in pieces, no longer than a record may be."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._size = 0

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def add(self, text: str) -> None:
        """Raises ProviderError ``PROVIDER_ANSWER_TOO_LARGE``."""
        self._pieces.append(text)
        self._size += len(text)
        if self._size > LONGEST_RECORD:
            raise too_large()


def too_large() -> ProviderError:
    return ProviderError(ProviderCode.TOO_LARGE, "The server's answer is larger than any model's should be.")
