"""The gateway from outside: launch it in the background, wait for it, poke it, end it.

The gateway itself is another process (``gateway.process``) that these functions know by its files
(``endpoint``) and its control paths. Two launches at once make one gateway: a lock is held from the look to
the readiness.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Mapping

import anyio
import anyio.to_thread

from ploinky.base.errors import DeadlineError, PloinkyError, UsageError
from ploinky.base.files import FileLock, read_text
from ploinky.base.process_id import ProcessId
from ploinky.base.waits import wait_until
from ploinky.operations.endpoint import (
    Endpoint,
    endpoint_file,
    find_endpoint,
    find_supervisor,
    gateway_log,
    supervisor_file,
)
from ploinky.operations.gateway_link import find_client
from ploinky.operations.platform import Platform
from ploinky.operations.ports import free_port, is_free, port_owner
from ploinky.operations.routing import Listening, last_port, write_routing
from ploinky.workspace.addresses import require_bindable
from ploinky.workspace.layout import Layout

PORT_VARIABLE = "PLOINKY_PORT"
READY_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 15.0
KILL_TIMEOUT_S = 5.0
_MAX_LOG = 5 * 1024 * 1024


def bind_host(platform: Platform) -> str:
    """The address of the configuration; the loopback unless it says otherwise.

    Raises:
        UsageError: ``BIND_REFUSED`` or ``BIND_UNKNOWN``.
    """
    return require_bindable(platform.settings.gateway)


def choose_listening(platform: Platform, port: int | None) -> Listening:
    """Where the gateway is or will be: as asked, as it runs now, as configured, as ``PLOINKY_PORT`` says, as
    last used, or 8080.

    Port 0 becomes a free one here, and stays it, so that a gateway that was restarted is found again.

    Raises:
        PloinkyError: ``PORT_TAKEN``, naming who has it, if another program listens there.
        UsageError: ``BAD_PORT`` if ``PLOINKY_PORT`` is none.
    """
    host = bind_host(platform)
    running = find_endpoint(platform.layout)
    if running is not None and port in (None, running.port):
        return Listening(running.host, running.port)
    if port is None:
        port = _usual_port(platform)
    if port == 0:
        last = last_port(platform.layout)
        return Listening(host, last if last and is_free(host, last) else free_port(host))
    if not is_free(host, port):
        owner = port_owner(port)
        raise PloinkyError(
            "PORT_TAKEN",
            f"Port {port} is taken{f' by {owner}' if owner else ''}; the gateway cannot listen there.",
            hint="Give another port: ploinky start PORT, or set gateway.port in .ploinky/config.json or "
            f"{PORT_VARIABLE}.",
            details={"port": str(port)},
        )
    return Listening(host, port)


def _usual_port(platform: Platform) -> int:
    gateway = platform.settings.gateway
    if "gateway" in platform.settings.model_fields_set and "port" in gateway.model_fields_set:
        return gateway.port
    text = platform.environ.get(PORT_VARIABLE)
    if not text:
        return last_port(platform.layout) or gateway.port
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise UsageError(
            "BAD_PORT",
            f"{PORT_VARIABLE} is {text!r}, which is not a port.",
            hint="A port is a number from 1 to 65535; 0 takes a free one.",
        )
    return int(text)


async def launch_gateway(platform: Platform, listening: Listening) -> bool:
    """Start the gateway in the background unless it runs there already; returns once it is asked to.

    A gateway that listens elsewhere, or is outdated, is ended first. Whether one was launched. It gets what
    a former one had in its environment and this command has not.
    """
    if platform.in_gateway:
        return False
    from ploinky.operations.freshness import environment_of, is_outdated

    layout = platform.layout
    lock = FileLock(layout.lock("gateway-launch"), timeout_s=READY_TIMEOUT_S)
    await anyio.to_thread.run_sync(lock.__enter__)
    with contextlib.ExitStack() as held:
        held.push(lock)
        running = find_endpoint(layout)
        there = running is not None and (running.host, running.port) == (listening.host, listening.port)
        if running is not None and there and not is_outdated(platform, running):
            return False
        environ = {**(environment_of(running) if running is not None else {}), **platform.environ}
        if running is not None or find_supervisor(layout) is not None:
            if running is None and await _comes_up(layout):
                return False
            await stop_gateway(layout)
        await _spawn_supervisor(platform, listening, environ)
        write_routing(layout, listening, {})
    return True


async def await_gateway(layout: Layout, *, timeout_s: float = READY_TIMEOUT_S) -> Endpoint:
    """The gateway once it answers.

    Raises:
        PloinkyError: ``GATEWAY_FAILED`` with the end of its log if it gave up or did not answer in time.
    """

    async def answers() -> bool:
        client = find_client(layout)
        if client is not None and await client.healthy():
            return True
        if find_supervisor(layout) is None and find_endpoint(layout) is None:
            raise _gave_up(layout)
        return False

    try:
        await wait_until(answers, what="the gateway", timeout_s=timeout_s)
    except DeadlineError as error:
        raise _gave_up(layout) from error
    endpoint = find_endpoint(layout)
    if endpoint is None:
        raise _gave_up(layout)
    return endpoint


async def stop_gateway(layout: Layout) -> bool:
    """End the gateway and its supervisor, however they are; whether anything ran. Agents live on."""
    supervisor, endpoint = find_supervisor(layout), find_endpoint(layout)
    processes = [p for p in (supervisor, endpoint.process if endpoint else None) if p is not None]
    for process in processes:
        process.signal(signal.SIGTERM)
    if not await _all_gone(processes, STOP_TIMEOUT_S):
        for process in processes:
            process.signal(signal.SIGKILL)
        await _all_gone(processes, KILL_TIMEOUT_S)
    for file in (supervisor_file(layout), endpoint_file(layout)):
        file.unlink(missing_ok=True)
    return bool(processes)


async def _comes_up(layout: Layout) -> bool:
    """Whether the gateway of a living supervisor answers before long (it may be starting right now)."""
    try:
        await await_gateway(layout, timeout_s=10.0)
    except PloinkyError:
        return False
    return True


async def _spawn_supervisor(platform: Platform, listening: Listening, environ: Mapping[str, str]) -> None:
    layout = platform.layout
    layout.logs.mkdir(parents=True, exist_ok=True)
    log = gateway_log(layout)
    if log.exists() and log.stat().st_size > _MAX_LOG:
        log.replace(log.with_suffix(".log.1"))
    words = [*platform.serve_args, "--port", str(listening.port)]
    argv = [sys.executable, "-m", "ploinky.gateway.supervise", str(layout.root), *words]
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawn(  # noqa: ASYNC221 (returns at once; a child of asyncio would be killed with it)
        argv[0],
        argv,
        dict(environ),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    born = ProcessId.find(pid)

    async def known() -> bool:
        return find_supervisor(layout) is not None or born is None or not born.alive

    await wait_until(known, what="the gateway's supervisor", timeout_s=READY_TIMEOUT_S)


async def _all_gone(processes: list[ProcessId], timeout_s: float) -> bool:
    async def gone() -> bool:
        return not any(process.alive for process in processes)

    try:
        await wait_until(gone, what="the gateway to end", timeout_s=timeout_s)
    except DeadlineError:
        return False
    return True


def _gave_up(layout: Layout) -> PloinkyError:
    lines = (read_text(gateway_log(layout)) or "").splitlines()[-8:]
    shown = "\n".join(f"  {line}" for line in lines)
    return PloinkyError(
        "GATEWAY_FAILED", f"The gateway did not start.\n{shown}", hint=f"Its log: {gateway_log(layout)}"
    )
