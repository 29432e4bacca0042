"""``exec``: a program in the sandbox of skills, with the assistant's own workspace as its only writable
place.

No network. What the safety rules of skills deny is refused before anybody is asked; all else needs a person's
word each time, unless a grant covers it. Secrets are not in its environment.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import anyio.to_thread

from ploinky.assistants.toolkit import BuiltinTool, Risk, ToolOutcome, ToolSpec, ToolUse, schema
from ploinky.base.jsontypes import JsonObject
from ploinky.skills.runs import Bounds, Ending, Ran, RunPlan

_OUTPUT = 256 * 1024
_LONGEST_S = 300.0
_USUAL_S = 60.0
SEEN_AT = "/workspace"


class ProgramRunner(Protocol):
    """Runs a program that nobody trusts (``skills.sandbox.Sandbox``)."""

    async def run(self, plan: RunPlan) -> Ran:
        """Run a plan to its end or its bounds.

        Raises:
            PloinkyError: ``RUNTIME_UNAVAILABLE`` where there is no sandbox: then nothing runs.
        """
        ...


def make_exec_tool(folder: Callable[[], Path], runner: Callable[[], ProgramRunner]) -> BuiltinTool:
    """``exec`` in ``folder``; ``runner`` makes the sandbox when it is first needed."""

    async def execute(arguments: JsonObject, use: ToolUse) -> ToolOutcome:
        argv = _argv(arguments)
        timeout = arguments.get("timeout")
        bounds = Bounds(
            timeout_s=float(timeout) if isinstance(timeout, (int, float)) else _USUAL_S, output=_OUTPUT
        )
        stdin = str(arguments.get("stdin", "")).encode()
        plan = RunPlan(argv, folder(), seen_at=SEEN_AT, cwd=SEEN_AT, stdin=stdin, bounds=bounds)
        return _outcome(await runner().run(plan), bounds)

    spec = ToolSpec(
        "exec",
        f"Run a program in a sandbox without network. Your workspace is {SEEN_AT}, its only writable place.",
        schema(
            ["argv"],
            argv={
                "type": "array",
                "items": {"type": "string", "maxLength": 100_000},
                "minItems": 1,
                "maxItems": 200,
                "description": "The program and its words; no shell reads them.",
            },
            stdin={"type": "string", "maxLength": 1_000_000},
            timeout={"type": "number", "minimum": 1, "maximum": _LONGEST_S},
        ),
        risk=Risk.HIGH,
        outside=True,
        refuse=refusal,
    )
    return BuiltinTool(spec, execute)


async def refusal(arguments: JsonObject) -> str | None:
    """Why these words are never run, None if a person may allow them."""
    from ploinky.skills.safety.rules import Verdict, worst
    from ploinky.skills.safety.text import judge_text

    argv = _argv(arguments)
    judged = await anyio.to_thread.run_sync(judge_text, shlex.join(argv))
    if worst(judged.findings) is not Verdict.DENY:
        return None
    reasons = sorted({found.rule for found in judged.findings if found.verdict is Verdict.DENY})
    return f"The safety rules deny this command: {', '.join(reasons)}."


def _argv(arguments: JsonObject) -> tuple[str, ...]:
    words = arguments.get("argv")
    return tuple(str(word) for word in words) if isinstance(words, list) else ()


def _outcome(ran: Ran, bounds: Bounds) -> ToolOutcome:
    parts = [ran.stdout.decode("utf-8", "replace")]
    if ran.stderr:
        parts.append(f"[stderr]\n{ran.stderr.decode('utf-8', 'replace')}")
    if ran.ending is Ending.TIME:
        parts.append(f"[ended: it took longer than {bounds.timeout_s:g} s]")
    elif ran.ending is Ending.DISK:
        parts.append("[ended: it wrote more than it may]")
    elif ran.returncode:
        parts.append(f"[exit code {ran.returncode}]")
    return ToolOutcome("\n".join(part for part in parts if part), is_error=not ran.succeeded)
