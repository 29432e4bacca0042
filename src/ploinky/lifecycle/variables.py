"""The variables that the platform gives to agents and hooks, and the command lines of an agent."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from ploinky.lifecycle.context import LifecycleContext
from ploinky.lifecycle.dependencies import NODE_FOLDER, VENV_FOLDER, code_folder
from ploinky.lifecycle.mounts import AGENT_TARGET, CODE_TARGET, Place
from ploinky.manifest.values import Commands, EffectiveConfig, NetworkMode
from ploinky.repos.find import MCP_CONFIG
from ploinky.runtimes.spec import ROUTER_SOCKET_NAME, SOCKET_MOUNT
from ploinky.workspace.registry import RegistryEntry

AGENT_TOKEN = "PLOINKY_AGENT_TOKEN"  # noqa: S105 (a variable's name)
TOKEN_TTL_S = 24 * 3600.0
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SEED_MCP_CONFIG = f"/tmp/ploinky/{MCP_CONFIG}"  # noqa: S108 (a path inside the agent)

_PLAIN = re.compile(r"[\w@%+:,./ '\"-]+\Z")
_SHELL_WORDS = frozenset(
    {"cd", "exec", "exit", "export", "eval", "set", "source", ".", "trap", "ulimit", "umask", "wait", ":"}
)


def platform_variables(
    ctx: LifecycleContext, entry: RegistryEntry, config: EffectiveConfig, place: Place
) -> dict[str, str]:
    """What every program of the agent gets, its hooks included; the agent token is not among them."""
    port = str(config.main_port)
    cut_off = config.network.mode is NetworkMode.NONE
    door = {"PLOINKY_ROUTER_SOCKET": f"{SOCKET_MOUNT}/{ROUTER_SOCKET_NAME}"} if cut_off else {}
    return {
        **door,
        "PLOINKY_PROFILE": config.profile,
        "PLOINKY_PROFILE_ENV": config.profile_env,
        "PLOINKY_AGENT_NAME": entry.key,
        "AGENT_NAME": entry.key,
        "PLOINKY_REPO_NAME": entry.repo_name,
        "PLOINKY_CWD": str(ctx.layout.root),
        "WORKSPACE_PATH": str(ctx.layout.work_dir(entry.key).resolve()),
        "NODE_PATH": f"{CODE_TARGET}/{NODE_FOLDER}",
        "AGENT_PORT": port,
        "PORT": port,
        "PLOINKY_MCP_CONFIG_PATH": mcp_config_inside(place.folder),
        "ROUTER_HOST": ctx.router.host(),
        "PLOINKY_ROUTER_PORT": str(ctx.router.port()),
        "PLOINKY_ROUTER_URL": ctx.router.url,
    }


def mcp_config_inside(folder: Path) -> str:
    """Where the agent's ``mcp-config.json`` is seen inside; the seed's place if the agent brings none."""
    if (code_folder(folder) / MCP_CONFIG).is_file():
        return f"{CODE_TARGET}/{MCP_CONFIG}"
    if (folder / MCP_CONFIG).is_file():
        return f"{AGENT_TARGET}/{MCP_CONFIG}"
    return _SEED_MCP_CONFIG


def merged_environment(base: Mapping[str, str], values: Mapping[str, str], work_dir: Path) -> dict[str, str]:
    """``values`` over what the image sets; what the agent installed stands first on PATH."""
    merged = {**base, **values}
    installed = [str(work_dir / VENV_FOLDER / "bin"), str(work_dir / NODE_FOLDER / ".bin")]
    merged["PATH"] = ":".join([*installed, merged.get("PATH") or DEFAULT_PATH])
    merged.setdefault("HOME", str(work_dir))
    return merged


def main_and_sidecar(commands: Commands) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """``agent`` and ``start``: ``start`` is the main program, ``agent`` its sidecar; one alone is the main
    program; none: the built-in tool server, which needs no program."""
    if commands.agent and commands.start:
        return command_args(commands.start, commands), command_args(commands.agent, commands)
    alone = commands.agent or commands.start
    return (command_args(alone, commands) if alone else None), None


def command_args(line: str, commands: Commands) -> tuple[str, ...]:
    """The argv of a command line: by ``sh -c``, or its words alone if they need no shell.

    Images without a shell are real, and a program that is the launcher's own child gets its signals.
    """
    whole = f"{commands.entrypoint} {line}" if commands.entrypoint else line
    if _PLAIN.match(whole):
        words = shlex.split(whole) if whole.count("'") % 2 == 0 and whole.count('"') % 2 == 0 else []
        if words and words[0] not in _SHELL_WORDS and "=" not in words[0]:
            relative = "/" in words[0] and not words[0].startswith("/")
            return ("/bin/sh", "-c", whole) if relative else tuple(words)
    return ("/bin/sh", "-c", whole)
