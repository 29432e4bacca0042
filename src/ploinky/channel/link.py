"""One connection to a launcher, shared by many conversations (programs, tunnels, questions).

No task runs in the background: of those who wait, one reads the socket for all (``Link.until``), and
hands that duty on when it has what it wanted; a process that lives long lets its event loop read instead
(``Link.attend``). A frame is enqueued whole and without waiting, so that a
cancelled task never leaves half a frame behind. What the other side can make us keep is bounded: one
incomplete frame, and one window per conversation.
"""

from __future__ import annotations

import asyncio
import mmap
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable

import anyio

from ploinky.base.errors import DeadlineError, PloinkyError
from ploinky.channel import errors
from ploinky.channel.frames import WINDOW_BYTES, FrameReader, FrameType, MalformedError, encode_frame

_READ_BYTES = 256 * 1024
_MAX_ID = (1 << 32) - 1
_ABANDONED = "its socket was closed here"


class FlowWindow:
    """Both sides' allowances of one channel: what we may send, and what may be sent to us."""

    def __init__(self) -> None:
        self.may_send = WINDOW_BYTES
        self._may_receive = WINDOW_BYTES
        self._taken = 0

    def sent(self, size: int) -> None:
        self.may_send -= size

    def granted(self, payload: bytes) -> None:
        if len(payload) != 4:
            raise MalformedError("a window has four bytes")
        self.may_send += int.from_bytes(payload, "little")
        if self.may_send > WINDOW_BYTES:
            raise MalformedError("a window larger than agreed")

    def received(self, size: int) -> None:
        self._may_receive -= size
        if self._may_receive < 0:
            raise MalformedError("more output than the window allows")

    def taken(self, size: int) -> bytes | None:
        """Note that received bytes were used; the payload of the WINDOW frame that is due, if any."""
        self._taken += size
        if self._taken < WINDOW_BYTES // 2:
            return None
        payload = self._taken.to_bytes(4, "little")
        self._may_receive += self._taken
        self._taken = 0
        return payload


class Conversation(ABC):
    """One channel of a link. ``on_frame`` may raise MalformedError: the link is then given up."""

    def __init__(self, link: Link, subject: str) -> None:
        self.link = link
        self.subject = subject
        self.waiting: set[anyio.Event] = set()
        self.id = link.admit(self)

    @abstractmethod
    def on_frame(self, kind: int, payload: bytes) -> None:
        """Take one frame of this channel; called by whoever reads the socket, so it must not wait."""

    def on_lost(self) -> None:  # noqa: B027 (most have nothing to do)
        """The link has ended; whoever waits hears of it anyway."""

    def emit(self, kind: FrameType, payload: bytes = b"") -> None:
        self.link.send(encode_frame(kind, self.id, payload))

    def forget(self) -> None:
        self.link.dismiss(self)

    async def until(
        self, ready: Callable[[], bool], *, timeout_s: float | None = None, what: str = ""
    ) -> None:
        """Wait until ``ready()``, which only this channel's frames make true.

        Raises:
            PloinkyError: ``CHANNEL_LOST`` or ``CHANNEL_PROTOCOL`` if the link ends before.
            DeadlineError: naming ``what`` after ``timeout_s``.
        """
        if ready():
            return
        if timeout_s is None:
            await self.link.until(ready, self.waiting)
            return
        try:
            with anyio.fail_after(timeout_s):
                await self.link.until(ready, self.waiting)
        except TimeoutError as error:
            raise DeadlineError(what, timeout_s) from error


class Link:
    """A connected, non-blocking stream socket, which this object owns."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._frames = FrameReader()
        # kept, because to make one costs more than to read; of the pages those count that were written to
        self._read_into = memoryview(mmap.mmap(-1, _READ_BYTES, mmap.MAP_PRIVATE))
        self._out = bytearray()
        self._conversations: dict[int, Conversation] = {}
        self._followers: dict[anyio.Event, None] = {}
        self._flushers: set[anyio.Event] = set()
        self._reading = False
        self._reading_only: anyio.CancelScope | None = None
        self._last_id = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._writing = False
        self._sending = False
        self.failure: PloinkyError | None = None

    def admit(self, conversation: Conversation) -> int:
        """A channel number that no conversation has."""
        self._last_id = self._last_id % _MAX_ID + 1
        while self._last_id in self._conversations:
            self._last_id = self._last_id % _MAX_ID + 1
        self._conversations[self._last_id] = conversation
        return self._last_id

    def dismiss(self, conversation: Conversation) -> None:
        """Ignore what may still come for a channel."""
        self._conversations.pop(conversation.id, None)

    def send(self, data: bytes) -> None:
        """Enqueue whole frames and send what the socket takes now; the rest goes out while somebody waits."""
        if self.failure is not None:
            return
        self._out += data
        if self._loop is not None:
            if not self._sending:
                self._sending = True
                self._loop.call_soon(self._send_gathered)
            return
        if len(self._out) == len(data):
            self._write()
            if self._out and self._reading_only is not None:
                self._reading_only.cancel()  # who reads for all must now wait for room to write too

    async def flush(self) -> None:
        """Wait until everything enqueued was handed to the kernel."""
        if self._out:
            await self.until(lambda: not self._out, self._flushers)

    async def until(self, ready: Callable[[], bool], waiting: set[anyio.Event]) -> None:
        """Wait until ``ready()``; events in ``waiting`` are set when it may have become true."""
        try:
            while not ready():
                if self.failure is not None:
                    raise _fresh(self.failure)
                if self._reading:
                    await self._follow(waiting)
                else:
                    await self._lead()
        finally:
            if self._followers and not self._reading:
                next(iter(self._followers)).set()

    def attend(self) -> None:
        """From now on the running asyncio loop reads whenever something comes, whoever waits or not.

        Call it before anybody waits.
        """
        if self._loop is None and self.failure is None:
            self._loop = asyncio.get_running_loop()
            self._reading = True
            self._loop.add_reader(self._socket, self._read)

    def broken(self) -> bool:
        """Whether the connection is known to have ended; looks without waiting."""
        if self.failure is None:
            try:
                if self._socket.recv(1, socket.MSG_PEEK) == b"":
                    self._fail(errors.lost("it was closed"))
            except (BlockingIOError, InterruptedError):
                pass
            except OSError as error:
                self._fail(errors.lost(error.strerror or "it broke"))
        return self.failure is not None

    def close(self) -> None:
        """Close the socket; the launcher then ends all that was started through it. Idempotent."""
        self._fail(errors.lost(_ABANDONED))

    async def _follow(self, waiting: set[anyio.Event]) -> None:
        event = anyio.Event()
        waiting.add(event)
        self._followers[event] = None
        try:
            await event.wait()
        finally:
            waiting.discard(event)
            self._followers.pop(event, None)

    async def _lead(self) -> None:
        self._reading = True
        try:
            if self._out:
                await self._readable_or_writable()
                self._write()
            else:
                with anyio.CancelScope() as self._reading_only:
                    await anyio.wait_readable(self._socket)
            self._read()
        except anyio.ClosedResourceError:
            self._fail(errors.lost(_ABANDONED))
        finally:
            self._reading = False
            self._reading_only = None

    async def _readable_or_writable(self) -> None:
        async def first(wait: Callable[[], object]) -> None:
            await wait()  # type: ignore[misc]
            tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first, lambda: anyio.wait_readable(self._socket))
            tasks.start_soon(first, lambda: anyio.wait_writable(self._socket))

    def _write(self) -> None:
        try:
            with memoryview(self._out) as view:
                sent = self._socket.send(view)
            del self._out[:sent]
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._out.clear()  # reading tells why: the launcher's last words may be there
        if not self._out:
            _wake(self._flushers)

    def _send_gathered(self) -> None:
        """Send what one turn of the loop gathered, at once: one system call for many frames."""
        self._sending = False
        if self.failure is not None or self._writing or not self._out:
            return
        self._write()
        if self._out and self._loop is not None and self.failure is None:
            self._writing = True
            self._loop.add_writer(self._socket, self._write_more)

    def _write_more(self) -> None:
        self._write()
        if not self._out and self._writing and self._loop is not None and self.failure is None:
            self._writing = False
            self._loop.remove_writer(self._socket)

    def _read(self) -> None:
        try:
            data = self._read_into[: self._socket.recv_into(self._read_into)]
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._fail(errors.lost(error.strerror or "it broke"))
            return
        if not data:
            self._fail(errors.lost("it was closed"))
            return
        try:
            for kind, channel, payload in self._frames.feed(data):
                self._take(kind, channel, payload)
        except MalformedError as error:
            self._fail(errors.violated(str(error)))

    def _take(self, kind: int, channel: int, payload: bytes) -> None:
        if channel == 0:
            if kind != FrameType.ERROR:
                raise MalformedError("a frame for no channel")
            self._fail(errors.refusal(payload, "the connection"))
        conversation = self._conversations.get(channel)
        if conversation is not None:
            conversation.on_frame(kind, payload)
            _wake(conversation.waiting)

    def _fail(self, failure: PloinkyError) -> None:
        if self.failure is not None:
            return
        self.failure = failure
        if self._loop is not None:
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
        elif self._reading:
            anyio.notify_closing(self._socket)
        self._socket.close()
        self._out.clear()
        left = tuple(self._conversations.values())
        self._conversations.clear()
        for conversation in left:
            conversation.on_lost()
        _wake(self._flushers)
        _wake(self._followers)


def _wake(events: set[anyio.Event] | dict[anyio.Event, None]) -> None:
    for event in events:
        event.set()


def _fresh(failure: PloinkyError) -> PloinkyError:
    """A copy for one more task to raise: tracebacks of several tasks do not belong on one exception."""
    return type(failure)(failure.code, failure.message, hint=failure.hint, details=failure.details)
