"""The errors of a start, in the seed's words: what failed, with which output, and what to type next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ploinky.base.errors import NeedsApprovalError, PloinkyError


@dataclass(frozen=True)
class Ending:
    """How a program ended, in words, with the last lines of what it printed (scrubbed)."""

    how: str
    stdout: Sequence[str]
    stderr: Sequence[str]

    @property
    def block(self) -> list[str]:
        lines = [f"  {self.how}"]
        for name, text in (("stdout", self.stdout), ("stderr", self.stderr)):
            if text:
                lines += ["", f"  {name}:", *(f"    {line}" for line in text)]
        return lines


def hook_failed(agent: str, profile: str, hook: str, script: str, ending: Ending) -> PloinkyError:
    """A hook's step did not end well."""
    lines = [f"Profile hook '{hook}' failed for profile '{profile}'", "", f"  Script: {script}"]
    return PloinkyError(
        "HOOK_FAILED",
        "\n".join([*lines, *ending.block]),
        hint=(
            "The agent was not started. Fix the script and retry:\n"
            f"    ploinky profile {profile}\n"
            f"    ploinky start {agent}"
        ),
        details={"agent": agent, "profile": profile, "hook": hook, "script": script},
    )


def agent_runs(agent: str) -> PloinkyError:
    """What is installed for an agent cannot change while it runs."""
    return PloinkyError(
        "AGENT_RUNS",
        f"Agent '{agent}' runs; its packages cannot change under it.",
        hint=f"Install them with a restart (ploinky restart {agent}), or stop it first: ploinky stop {agent}",
        details={"agent": agent},
    )


def install_failed(agent: str, phase: str, ending: Ending) -> PloinkyError:
    """Step 6 or 7 did not end well."""
    lines = ["Failed to install agent dependencies", "", f"  Agent: {agent}", f"  Phase: {phase}"]
    return PloinkyError(
        "DEPENDENCY_INSTALL_FAILED",
        "\n".join([*lines, *ending.block]),
        hint=(
            "The agent was not started. Check its package.json or requirements and the network, then retry:\n"
            f"    ploinky start {agent}"
        ),
        details={"agent": agent, "phase": phase},
    )


def not_ready(agent: str, reason: str, timeout_s: float, log: Sequence[str]) -> PloinkyError:
    """The agent was launched but did not become ready; it was stopped."""
    lines = [f"Agent '{agent}' did not become ready within {timeout_s:g} s: {reason}."]
    return _with_log("HEALTH_CHECK_TIMEOUT", agent, lines, log)


def keeps_ending(agent: str, how: str, times: int, log: Sequence[str]) -> PloinkyError:
    """The agent's command ends again and again instead of running; it was stopped."""
    lines = [f"The command of agent '{agent}' ended {times} times ({how}) instead of running."]
    return _with_log("AGENT_CRASHED", agent, lines, log)


def trust_required(agent: str, repo: str, hooks: Sequence[str]) -> NeedsApprovalError:
    """Host hooks of a repository that nobody trusted yet."""
    return NeedsApprovalError(
        "TRUST_REQUIRED",
        f"Agent '{agent}' wants to run scripts on this machine ({', '.join(hooks)}), and its repository "
        f"'{repo}' is not trusted.",
        hint=f"Read the scripts; if you trust the repository: ploinky start {agent} --trust",
        details={"agent": agent, "repo": repo, "hooks": ", ".join(hooks)},
    )


def dependency_failed(agent: str, cause: str) -> PloinkyError:
    """An agent was not started because one that it needs failed."""
    return PloinkyError(
        "DEPENDENCY_FAILED",
        f"Agent '{agent}' was not started, because '{cause}', which it needs, failed.",
        hint=f"Put '{cause}' right and retry: ploinky start {agent}",
        details={"agent": agent, "cause": cause},
    )


def _with_log(code: str, agent: str, lines: Sequence[str], log: Sequence[str]) -> PloinkyError:
    shown = ["", "  last output:", *(f"    {line}" for line in log)] if log else []
    return PloinkyError(
        code,
        "\n".join([*lines, *shown]),
        hint=f"Check the agent's logs: ploinky logs tail {agent}",
        details={"agent": agent},
    )
