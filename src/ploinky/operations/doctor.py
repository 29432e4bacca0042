"""``doctor``: is everything here as it should be, and what to do where it is not.

One function per question, each giving findings. Only ``--fix`` changes anything, and only what a finding
says it can repair.
"""

from __future__ import annotations

import platform as machine
import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace

from ploinky import __version__
from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonValue
from ploinky.base.processes import run
from ploinky.operations.endpoint import find_endpoint, find_supervisor
from ploinky.operations.gateway_control import bind_host
from ploinky.operations.platform import Platform
from ploinky.operations.ports import is_free, port_owner
from ploinky.operations.remembered_engine import remembered_engine
from ploinky.operations.routing import last_port
from ploinky.runtimes.choose import RUNTIME_NAMES, health_of
from ploinky.wire.events import Event, Result
from ploinky.workspace.integrity import check_layout, repair
from ploinky.workspace.layout import runtime_folder

_GIT_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Finding:
    """The answer to one question. ``status`` is ``ok``, ``warning`` or ``problem``; ``fix`` is what
    ``--fix`` would do, empty if a person must."""

    check: str
    status: str
    message: str
    hint: str | None = None
    fix: str | None = None

    def facts(self) -> JsonValue:
        return {
            "check": self.check,
            "status": self.status,
            "message": self.message,
            "hint": self.hint,
            "fix": self.fix,
        }


async def doctor(platform: Platform | None, *, fix: bool, environ: Mapping[str, str]) -> AsyncIterator[Event]:
    """Ask every question; outside a workspace only those about the machine. ``problems`` counts what is
    left wrong."""
    findings = [_versions(), await _git(environ), _launcher(environ)]
    findings += await _engines(platform, environ)
    if platform is not None:
        findings += [_configuration(platform), _sockets(platform), *_gateway(platform), *_entrance(platform)]
        findings += _layout(platform, fix=fix)
    problems = sum(finding.status == "problem" for finding in findings)
    rows: list[JsonValue] = [finding.facts() for finding in findings]
    yield Result(value={"findings": rows, "problems": problems})


def _versions() -> Finding:
    python = ".".join(str(part) for part in sys.version_info[:3])
    text = f"Ploinky {__version__}, Python {python}, {machine.system()} {machine.machine()}"
    return Finding("versions", "ok", text)


async def _git(environ: Mapping[str, str]) -> Finding:
    if shutil.which("git", path=environ.get("PATH")) is None:
        return Finding("git", "problem", "git is not installed.", "Repositories are cloned with it.")
    try:
        done = await run(["git", "--version"], timeout_s=_GIT_TIMEOUT_S, env=environ)
    except PloinkyError as error:
        return Finding("git", "problem", error.message)
    return Finding("git", "ok", done.text.strip())


def _launcher(environ: Mapping[str, str]) -> Finding:
    from ploinky.channel.binary import launcher_folder

    try:
        folder = launcher_folder(environ)
    except PloinkyError as error:
        return Finding("launcher", "problem", error.message, error.hint)
    return Finding("launcher", "ok", str(folder / "launcher"))


async def _engines(platform: Platform | None, environ: Mapping[str, str]) -> list[Finding]:
    """Each engine, and which one agents run with and why."""
    health = {name: await health_of(name, environ) for name in RUNTIME_NAMES}
    findings = []
    for name, each in health.items():
        text = f"{each.version or ''} {each.reason}".strip()
        findings.append(Finding(f"engine {name}", "ok" if each.usable else "warning", text, each.hint))
    used = remembered_engine(platform.layout) if platform is not None else None
    asked = (platform.runtime or platform.settings.runtime) if platform is not None else "auto"
    found = next((name for name, each in health.items() if each.usable), None)
    if used is not None:
        why = Finding("engine", "ok", f"{used}: the sandboxes of this workspace are its.")
    elif asked != "auto":
        why = Finding("engine", "ok" if health[asked].usable else "problem", f"{asked}: it was asked for.")
    elif found is not None:
        why = Finding("engine", "ok", f"{found}: the first of {', '.join(health)} that can be used.")
    else:
        why = Finding("engine", "problem", "No engine can be used.", "Install bubblewrap, podman or docker.")
    return [why, *findings]


def _configuration(platform: Platform) -> Finding:
    file = platform.layout.config_file
    return Finding("configuration", "ok", f"{file}" if file.exists() else "defaults (no config.json)")


def _sockets(platform: Platform) -> Finding:
    try:
        folder = runtime_folder(platform.layout, platform.environ)
    except PloinkyError as error:
        return Finding("sockets", "problem", error.message, error.hint)
    return Finding("sockets", "ok", f"{folder} (private)")


def _gateway(platform: Platform) -> list[Finding]:
    endpoint = find_endpoint(platform.layout)
    if endpoint is not None:
        watched = find_supervisor(platform.layout) is not None
        text = f"{endpoint.url}, pid {endpoint.process.pid}"
        if watched:
            return [Finding("gateway", "ok", text)]
        hint = "If it dies nobody starts it again: ploinky restart router"
        return [Finding("gateway", "ok", f"{text}, not supervised", hint)]
    host, port = bind_host(platform), last_port(platform.layout) or platform.settings.gateway.port
    if is_free(host, port):
        return [Finding("gateway", "ok", f"not running; port {port} is free")]
    owner = port_owner(port) or "another program"
    hint = "Give another port: ploinky start PORT"
    return [Finding("gateway", "problem", f"not running, and port {port} is taken by {owner}.", hint)]


def _entrance(platform: Platform) -> list[Finding]:
    """A warning if no token is asked for, which an agent in the sandbox need not have either."""
    if platform.settings.gateway.auth.mode != "none":
        return []
    text = (
        "gateway.auth.mode is none: every program of this machine is the owner,"
        " agents in the sandbox that share its network included."
    )
    hint = 'Set it to token or password; or give agents "network": {"mode": "none"}, or run them with Podman.'
    return [Finding("entrance", "warning", text, hint)]


def _layout(platform: Platform, *, fix: bool) -> list[Finding]:
    issues = check_layout(platform.layout)
    findings = [
        Finding("layout", "problem", f"{issue.path}: {issue.problem}", fix=issue.fix) for issue in issues
    ]
    if fix:
        repair(issues)
        left = {str(issue.path) for issue in check_layout(platform.layout)}
        findings = [
            each if any(each.message.startswith(f"{path}:") for path in left) else _repaired(each)
            for each in findings
        ]
    return findings or [Finding("layout", "ok", str(platform.layout.root))]


def _repaired(finding: Finding) -> Finding:
    return replace(finding, status="ok", message=f"{finding.message} Repaired.", fix=None)
