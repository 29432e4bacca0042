"""Ask an agent how it is: by script, HTTP, TCP, MCP ping, or by whether its command runs.

Every question goes through the launcher, so it reaches agents without any network, and every question is
bounded. An answer is an ``Answer``, never an exception: an agent that cannot be asked is not well.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.abc

from ploinky.base.errors import PloinkyError
from ploinky.channel.client import Channel
from ploinky.channel.model import LauncherState, SpawnRequest
from ploinky.lifecycle.mounts import CODE_TARGET
from ploinky.lifecycle.scripts import container_command
from ploinky.manifest.values import EffectiveConfig, Probe, ReadinessProtocol

_QUESTION_S = 5.0
_MOST_BYTES = 64 * 1024
_SETTLED_S = 0.05  # a program that is missing or cannot be run has ended by then
_PING = json.dumps({"jsonrpc": "2.0", "id": "ploinky-probe", "method": "ping"}).encode()
_MCP_PATH = "/mcp"
_OK_STATUS = range(200, 400)
_SERVER_ERROR = 500


@dataclass(frozen=True)
class Answer:
    """Whether the agent is well, and if not, why not in words."""

    ok: bool
    reason: str = ""


WELL = Answer(True)
Question = Callable[[Channel], Awaitable[Answer]]


@dataclass(frozen=True)
class Asking:
    """What probes of one agent need to know of it."""

    folder: Path
    port: int
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Check:
    """A question with its rhythm. ``failure_threshold`` bad answers in a row make the agent unwell,
    ``success_threshold`` good ones well again; none counts in the first ``start_period_s`` seconds."""

    ask: Question
    interval_s: float
    timeout_s: float
    failure_threshold: int
    success_threshold: int
    start_period_s: float

    async def answer(self, channel: Channel) -> Answer:
        """The agent's answer, within ``timeout_s``."""
        with anyio.move_on_after(self.timeout_s):
            try:
                return await self.ask(channel)
            except PloinkyError as error:
                return Answer(False, error.message.splitlines()[0])
            except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream):
                return Answer(False, "the connection broke off")
        return Answer(False, f"no answer within {self.timeout_s:g} s")


def readiness_check(config: EffectiveConfig, asking: Asking) -> Check:
    """How the agent is asked whether it is ready: its probe, else its protocol, else by its kind.

    Without a word from the manifest, an agent with a command and ports is asked by TCP; any other one is
    ready while its command runs, or the built-in tool server answers.
    """
    if config.health.readiness is not None:
        return _of_probe(config.health.readiness, asking)
    protocol = config.health.protocol
    if protocol is None:
        if config.mcp is not None and config.mcp.port is not None:
            return _of_probe(Probe(tcp=config.mcp.port), asking)
        has_command = bool(config.commands.agent or config.commands.start)
        offers = has_command and any(port.protocol == "tcp" for port in config.ports)
        protocol = ReadinessProtocol.TCP if offers else ReadinessProtocol.NONE
    questions: Mapping[ReadinessProtocol, Question] = {
        ReadinessProtocol.TCP: lambda channel: _ask_tcp(channel, asking.port),
        ReadinessProtocol.MCP: lambda channel: _ask_mcp(channel, asking.port),
        ReadinessProtocol.NONE: ask_alive,
    }
    usual = Probe(tcp=asking.port)
    return _with_rhythm(questions[protocol], usual)


def liveness_check(config: EffectiveConfig, asking: Asking) -> Check | None:
    """How the agent is asked whether it lives; None: by its command alone, which the launcher watches."""
    probe = config.health.liveness
    return None if probe is None else _of_probe(probe, asking)


async def ask_alive(channel: Channel) -> Answer:
    """Well while the agent's command runs and has run a moment, or there is none to run."""
    status = await channel.status()
    if status.state is LauncherState.SERVING:
        return WELL
    if status.state is LauncherState.RUNNING:
        uptime_s = status.uptime_s or 0.0
        if uptime_s >= _SETTLED_S:
            return WELL
        await anyio.sleep(_SETTLED_S - uptime_s)
        again = await channel.status()
        if again.state is LauncherState.RUNNING and again.main_pid == status.main_pid:
            return WELL
        status = again
    return Answer(False, f"its command {ending_words(status.last_code, status.last_signal)}")


def ending_words(code: int | None, signal: int | None) -> str:
    """How the agent's command ended, as the end of a sentence."""
    if signal is not None:
        return f"was killed by signal {signal}"
    if code is not None:
        return f"ended with exit code {code}"
    return "does not run"


def _of_probe(probe: Probe, asking: Asking) -> Check:
    port = probe.port or asking.port
    if probe.script is not None:
        script = probe.script
        return _with_rhythm(lambda channel: _ask_script(channel, script, probe.timeout_s, asking), probe)
    if probe.http is not None:
        path = probe.http
        return _with_rhythm(lambda channel: _ask_http(channel, port, path), probe)
    tcp = probe.tcp or port
    return _with_rhythm(lambda channel: _ask_tcp(channel, tcp), probe)


def _with_rhythm(question: Question, probe: Probe) -> Check:
    return Check(
        question,
        probe.interval_s,
        probe.timeout_s,
        probe.failure_threshold,
        probe.success_threshold,
        probe.start_period_s,
    )


async def _ask_script(channel: Channel, script: str, timeout_s: float, asking: Asking) -> Answer:
    request = SpawnRequest(
        argv=("/bin/sh", "-c", container_command(asking.folder, script)),
        env=tuple(sorted(asking.environment.items())),
        cwd=CODE_TARGET,
        timeout_s=timeout_s,
        max_output=_MOST_BYTES,
    )
    ended = (await channel.run(request)).exit
    return WELL if ended.ok else Answer(False, f"{script} {ending_words(ended.code, ended.signal)}")


async def _ask_tcp(channel: Channel, port: int) -> Answer:
    stream = await channel.connect_port(port)
    await stream.aclose()
    return WELL


async def _ask_http(channel: Channel, port: int, path: str) -> Answer:
    status, _ = await _exchange(
        channel, port, _request("GET", path if path.startswith("/") else f"/{path}", port)
    )
    return WELL if status in _OK_STATUS else Answer(False, f"{path} answered {status}")


async def _ask_mcp(channel: Channel, port: int) -> Answer:
    """Any JSON-RPC answer is a good one: a server with sessions refuses a ping without one, but lives."""
    status, body = await _exchange(channel, port, _request("POST", _MCP_PATH, port, _PING))
    if status < _SERVER_ERROR and b'"jsonrpc"' in body:
        return WELL
    return Answer(False, f"port {port} does not speak MCP (HTTP {status})")


def _request(method: str, path: str, port: int, body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Connection: close"]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines.append(f"Accept: {'application/json, text/event-stream' if body else '*/*'}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def _exchange(channel: Channel, port: int, request: bytes) -> tuple[int, bytes]:
    """Status and the first part of the answer; status 0 if it is not HTTP."""
    stream: anyio.abc.ByteStream = await channel.connect_port(port)
    received = bytearray()
    async with stream:
        await stream.send(request)
        while len(received) < _MOST_BYTES and not _is_enough(received):
            try:
                received += await stream.receive()
            except anyio.EndOfStream:
                break
    head, _, body = bytes(received).partition(b"\r\n\r\n")
    words = head.split(None, 2)
    is_http = len(words) > 1 and words[0].startswith(b"HTTP/1.") and words[1].isdigit()
    return (int(words[1]) if is_http else 0), body


def _is_enough(received: bytearray) -> bool:
    """Whether a body's first piece is there, so that an event stream that never ends is not waited for."""
    _, gap, body = bytes(received).partition(b"\r\n\r\n")
    return bool(gap) and b'"jsonrpc"' in body
