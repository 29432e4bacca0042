"""A connection to a port of the sandbox's loopback, through the launcher, as an anyio byte stream."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import anyio.lowlevel
from anyio.abc import ByteStream

from ploinky.base.errors import PloinkyError
from ploinky.channel import errors
from ploinky.channel.frames import CHUNK_BYTES, FrameType, MalformedError
from ploinky.channel.link import Conversation, FlowWindow, Link


class TunnelConversation(Conversation):
    """The frames of one tunnel; ``Tunnel`` is what its users see."""

    def __init__(self, link: Link, port: int) -> None:
        super().__init__(link, f"port {port}")
        self.connected = False
        self.error: PloinkyError | None = None
        self.received = bytearray()
        self.window = FlowWindow()
        self.other_ended = False
        self.ended = False

    def on_frame(self, kind: int, payload: bytes) -> None:
        if kind == FrameType.ERROR:
            self.error = errors.refusal(payload, self.subject)
            self.forget()
        elif kind == FrameType.CONNECTED and not self.connected:
            self.connected = True
        elif kind == FrameType.WINDOW:
            self.window.granted(payload)
        elif kind == FrameType.DATA and self.connected and not self.other_ended:
            self.window.received(len(payload))
            self.received += payload
        elif kind == FrameType.EOF and self.connected:
            self.other_ended = True
            if self.ended:
                self.forget()
        else:
            raise MalformedError("a frame that does not fit its tunnel")


class Tunnel(ByteStream):
    """Raises anyio's usual stream errors; BrokenResourceError also if the sandbox is gone."""

    def __init__(self, conversation: TunnelConversation) -> None:
        self._conversation = conversation
        self._closed = False

    async def receive(self, max_bytes: int = 65536) -> bytes:
        own = self._conversation
        await self._until(lambda: bool(own.received) or own.other_ended)
        if not own.received:
            raise anyio.EndOfStream
        data = bytes(own.received[:max_bytes])
        del own.received[:max_bytes]
        due = own.window.taken(len(data))
        if due is not None:
            own.emit(FrameType.WINDOW, due)
        return data

    async def send(self, item: bytes) -> None:
        own = self._conversation
        if own.ended:
            raise anyio.ClosedResourceError
        view = memoryview(item)
        while view:
            await self._until(lambda: own.window.may_send > 0)
            piece = view[: min(own.window.may_send, CHUNK_BYTES)]
            own.window.sent(len(piece))
            own.emit(FrameType.DATA, bytes(piece))
            view = view[len(piece) :]
            await self._flush()

    async def send_eof(self) -> None:
        own = self._conversation
        if own.ended or self._closed:
            return
        own.ended = True
        own.emit(FrameType.EOF)
        if own.other_ended:
            own.forget()
        await self._flush()

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            self._conversation.emit(FrameType.KILL)
            self._conversation.forget()
        await anyio.lowlevel.checkpoint()

    async def _until(self, ready: Callable[[], bool]) -> None:
        own = self._conversation
        if self._closed:
            raise anyio.ClosedResourceError
        try:
            await own.until(lambda: ready() or own.error is not None or self._closed)
        except PloinkyError as error:
            raise anyio.BrokenResourceError from error
        if self._closed:
            raise anyio.ClosedResourceError
        if own.error is not None and not ready():
            raise anyio.BrokenResourceError from own.error

    async def _flush(self) -> None:
        try:
            await self._conversation.link.flush()
        except PloinkyError as error:
            raise anyio.BrokenResourceError from error
