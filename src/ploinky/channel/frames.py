"""The wire protocol in Python: the numbers of ``launcher/protocol.h``, frames and tagged payloads.

Pure: bytes in, bytes out. docs/launcher-protocol.md says what each frame means.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum, IntFlag

PROTOCOL_VERSION = 1
MAX_PAYLOAD = 1 << 20
WINDOW_BYTES = 256 * 1024
CHUNK_BYTES = 64 * 1024

_HEADER = struct.Struct("<IBI")
_ENTRY = struct.Struct("<BI")
_U16X2 = struct.Struct("<HH")
_U64 = struct.Struct("<Q")
FRAME_HEADER = _HEADER.size


class FrameType(IntEnum):
    """Up to 17: client to launcher; DATA, EOF and WINDOW both ways; from 65: launcher to client."""

    HELLO = 1
    SPAWN = 2
    STDIN = 3
    STDIN_EOF = 4
    SIGNAL = 5
    RESIZE = 6
    KILL = 7
    LAUNCH = 8
    STATUS = 9
    WATCH = 10
    SHUTDOWN = 11
    READ_FILE = 12
    CONNECT = 13
    DATA = 14
    EOF = 15
    WINDOW = 16
    RESTART = 17
    HELLO_OK = 65
    STARTED = 66
    STDOUT = 67
    STDERR = 68
    EXIT = 69
    ERROR = 70
    STATE = 71
    FILE = 72
    CONNECTED = 73


class RequestTag(IntEnum):
    ARGV = 1
    ENV = 2
    CWD = 3
    FLAGS = 4
    TIMEOUT_MS = 5
    MAX_OUTPUT = 6
    GRACE_MS = 7
    ROWS = 8
    COLS = 9
    RLIMIT = 10
    SIDECAR = 11
    POLICY = 12
    BACKOFF_FIRST_MS = 13
    BACKOFF_MAX_MS = 14
    PATH = 15
    MAX_BYTES = 16
    VERSION = 17
    TOKEN = 18


class ReplyTag(IntEnum):
    VERSION = 1
    PID = 2
    ARCH = 3
    WINDOW = 4
    CODE = 5
    SIGNAL = 6
    FLAGS = 7
    MESSAGE = 8
    ERRNO = 9
    STATE = 10
    RESTARTS = 11
    LAST_CODE = 12
    LAST_SIGNAL = 13
    UPTIME_MS = 14
    NEXT_RESTART_MS = 15
    SIDECAR_STATE = 16
    SIDECAR_PID = 17
    SIDECAR_RESTARTS = 18
    PROGRAMS = 19
    MTIME_NS = 20
    SIZE = 21


class SpawnFlag(IntFlag):
    PTY = 1
    MERGE = 2
    NO_STDIN = 4


class ExitFlag(IntFlag):
    TIMED_OUT = 1
    OUTPUT_LIMITED = 2


class KillFlag(IntFlag):
    DISCARD = 1


class ErrorCode(IntEnum):
    PROTOCOL = 1
    NOT_FOUND = 2
    NOT_EXECUTABLE = 3
    BAD_CWD = 4
    SPAWN = 5
    LIMIT = 6
    LAUNCHED = 7
    NOT_LAUNCHED = 8
    STOPPING = 9
    NO_FILE = 10
    FILE = 11
    CONNECT = 12
    TOKEN = 13
    TUNNEL = 14


class MalformedError(ValueError):
    """Bytes that are not what the protocol allows."""


def encode_frame(kind: int, channel: int, payload: bytes = b"") -> bytes:
    return _HEADER.pack(len(payload), kind, channel) + payload


def entry(tag: int, value: bytes | str | int) -> bytes:
    """One entry of a payload: an integer as eight bytes, text as UTF-8 (surrogates kept as bytes)."""
    if isinstance(value, int):
        data = _U64.pack(value)
    else:
        data = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    return _ENTRY.pack(tag, len(data)) + data


def rlimit_entry(which: int, soft: int, hard: int) -> bytes:
    return entry(RequestTag.RLIMIT, _U64.pack(which) + _U64.pack(soft) + _U64.pack(hard))


def size_payload(rows: int, cols: int) -> bytes:
    return _U16X2.pack(rows, cols)


def decode_entries(payload: bytes) -> dict[int, bytes]:
    """The entries of a reply by tag; of a tag that stands twice the last counts.

    Raises:
        MalformedError: if the payload is cut short.
    """
    entries: dict[int, bytes] = {}
    position = 0
    while position < len(payload):
        if len(payload) - position < _ENTRY.size:
            raise MalformedError("an entry is cut short")
        tag, size = _ENTRY.unpack_from(payload, position)
        position += _ENTRY.size
        if size > len(payload) - position:
            raise MalformedError("an entry is cut short")
        entries[tag] = payload[position : position + size]
        position += size
    return entries


def integer(entries: dict[int, bytes], tag: int) -> int | None:
    """The integer of a tag, or None if it is missing.

    Raises:
        MalformedError: if it has not eight bytes.
    """
    value = entries.get(tag)
    if value is None:
        return None
    if len(value) != _U64.size:
        raise MalformedError("an integer must have eight bytes")
    return int(_U64.unpack(value)[0])


class FrameReader:
    """Cuts a stream of bytes into frames; holds at most one incomplete frame and what ``feed`` was given."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes | memoryview) -> Iterator[tuple[int, int, bytes]]:
        """Frames (type, channel, payload) that are complete with ``data``. Exhaust it before the next call.

        Raises:
            MalformedError: for a frame larger than the protocol allows.
        """
        pending = self._pending
        pending += data
        position = 0
        try:
            while len(pending) - position >= FRAME_HEADER:
                size, kind, channel = _HEADER.unpack_from(pending, position)
                if size > MAX_PAYLOAD:
                    raise MalformedError("a frame is too large")
                end = position + FRAME_HEADER + size
                if end > len(pending):
                    break
                payload = bytes(memoryview(pending)[position + FRAME_HEADER : end])
                position = end
                yield kind, channel, payload
        finally:
            del pending[:position]
