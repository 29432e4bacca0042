"""``chat`` and ``ask``: talking to an assistant from a terminal or a pipe."""

from __future__ import annotations

import sys
from contextlib import aclosing
from typing import TYPE_CHECKING

import click

from ploinky.base.errors import NeedsApprovalError, PloinkyError, UsageError
from ploinky.base.jsontypes import JsonObject, find_text
from ploinky.cli.console import Console, Tone
from ploinky.cli.frame import Invocation, command
from ploinky.cli.run import run_async
from ploinky.workspace.layout import require_workspace

if TYPE_CHECKING:
    from ploinky.operations.conversation import Conversation

_SHOWN = 200


@command(
    "ask",
    "ploinky ask 'What can you do?'",
    "ploinky ask helper 'Summarise this:' < notes.txt",
    "git diff | ploinky ask helper 'Write a commit message'",
)
@click.argument("words", nargs=-1, metavar="[ASSISTANT] TEXT")
@click.option("--session", default="terminal", show_default=True, help="The conversation that it belongs to.")
@click.option("--wait-approvals", is_flag=True, help="Wait while somebody approves elsewhere.")
def ask(invocation: Invocation, words: tuple[str, ...], session: str, wait_approvals: bool) -> None:
    """Ask an assistant one thing and print its answer.

    What comes by a pipe goes with it. With one word only, the default assistant is asked. A tool that needs
    approval ends with exit code 4 unless --wait-approvals is given.
    """
    assistant, text = _question(words)
    piped = "" if sys.stdin.isatty() else sys.stdin.read()
    message = "\n\n".join(part for part in (text, piped.strip()) if part)
    if not message:
        raise UsageError("NO_MESSAGE", "There is nothing to ask.", hint="ploinky ask 'What can you do?'")
    teller = _Teller(invocation.console, as_json=invocation.as_json)
    talk = _open(invocation, assistant, session)

    async def work() -> None:
        if len(message.split()) == 1 and await talk.is_assistant(message):
            raise UsageError(
                "NO_MESSAGE",
                f"'{message}' is an assistant, and there is nothing to ask it.",
                hint=f"ploinky ask {message} 'What can you do?'",
            )
        async with aclosing(talk.say(message)) as events:
            async for event in events:
                teller.tell(event)
                if event["event"] == "approval_needed" and not wait_approvals:
                    await talk.cancel()
                    raise NeedsApprovalError(
                        "NEEDS_APPROVAL",
                        f"The tool {teller.asked(event)} needs your approval.",
                        hint="Use ploinky chat, or --wait-approvals and ploinky approvals approve ID.",
                    )

    run_async(work)
    teller.finish()


@command("chat", "ploinky chat", "ploinky chat helper", "ploinky chat helper --session plans")
@click.argument("assistant", required=False)
@click.option("--session", default="terminal", show_default=True, help="The conversation to go on with.")
def chat(invocation: Invocation, assistant: str | None, session: str) -> None:
    """Talk with an assistant.

    Tool calls are shown, approvals asked here. Ctrl-C ends a turn, Ctrl-D leaves.
    """
    console = invocation.console
    talk = _open(invocation, assistant, session)
    run_async(talk.require)
    console.note("Ctrl-C ends a turn, Ctrl-D leaves.", Tone.DIM)
    while True:
        try:
            text = _read_line("> ")
        except EOFError:
            return
        except KeyboardInterrupt:
            continue
        if text.strip():
            _turn(console, talk, text)


def _turn(console: Console, talk: Conversation, text: str) -> None:
    teller = _Teller(console)

    async def work() -> None:
        async with aclosing(talk.say(text)) as events:
            async for event in events:
                teller.tell(event)
                if event["event"] == "approval_needed":
                    approve, always = _decide(teller.asked(event))
                    await talk.resolve(teller.approval(event), approve=approve, always=always)

    try:
        run_async(work)
        teller.finish()
    except KeyboardInterrupt:
        run_async(talk.cancel)
        console.note("\nCancelled.", Tone.WARN)
    except PloinkyError as error:
        console.note(f"{error.message}" + (f"\n{error.hint}" if error.hint else ""), Tone.BAD)


def _read_line(prompt: str) -> str:
    if not sys.stdin.isatty():
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line
    from prompt_toolkit import prompt as ask_line

    return ask_line(prompt)


def _decide(what: str) -> tuple[bool, bool]:
    """(approve, always)"""
    try:
        answer = _read_line(f"  Allow {what}? [y]es, [a]lways, [N]o: ").strip().lower()
    except (EOFError, KeyboardInterrupt):
        return False, False
    return answer in ("y", "yes", "a", "always"), answer in ("a", "always")


class _Teller:
    """Shows the events of one turn: the answer on stdout, everything around it on stderr."""

    def __init__(self, console: Console, *, as_json: bool = False) -> None:
        self._console = console
        self._as_json = as_json
        self._error: PloinkyError | None = None
        self._open_line = False

    def tell(self, event: JsonObject) -> None:
        if self._as_json:
            import json

            self._console.json_line(json.dumps(event, ensure_ascii=False))
        kind, data = event["event"], _data(event)
        if kind == "error":
            code, message = find_text(data, "code") or "RUN_FAILED", find_text(data, "message") or ""
            self._error = PloinkyError(code, message, hint=find_text(data, "hint"))
        elif kind == "done" and data.get("status") == "cancelled" and self._error is None:
            self._error = PloinkyError("RUN_CANCELLED", "The run was cancelled.")
        elif not self._as_json:
            self._show(str(kind), data)

    def asked(self, event: JsonObject) -> str:
        data = _data(event)
        return (
            f"{data.get('tool')} {_line(data.get('arguments'))} ({data.get('risk')} risk: {data.get('why')})"
        )

    def approval(self, event: JsonObject) -> str:
        return find_text(_data(event), "id") or ""

    def finish(self) -> None:
        """End the line; raise what the run failed with."""
        self._end_line()
        if self._error is not None:
            raise self._error

    def _show(self, kind: str, data: JsonObject) -> None:
        if kind == "assistant_delta":
            text = find_text(data, "text") or ""
            self._console.out.write(text)
            self._console.out.flush()
            self._open_line = not text.endswith("\n") if text else self._open_line
            return
        line = {
            "tool_call": lambda: f"→ {data.get('name')} {_line(data.get('arguments'))}",
            "tool_result": lambda: f"← {_line(data.get('text'))}",
            "notice": lambda: str(data.get("message")),
        }.get(kind)
        if line is not None:
            self._end_line()
            self._console.note(line(), Tone.DIM)

    def _end_line(self) -> None:
        if self._open_line:
            self._console.out.write("\n")
            self._console.out.flush()
            self._open_line = False


def _data(event: JsonObject) -> JsonObject:
    found = event.get("data")
    return found if isinstance(found, dict) else {}


def _line(value: object) -> str:
    import json

    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"


def _question(words: tuple[str, ...]) -> tuple[str | None, str]:
    if len(words) > 2:
        raise UsageError("USAGE", "Give an assistant and one text.", hint="Put the text into quotes.")
    if len(words) == 2:
        return words[0], words[1]
    return None, words[0] if words else ""


def _open(invocation: Invocation, assistant: str | None, session: str) -> Conversation:
    from ploinky.operations.conversation import Conversation
    from ploinky.operations.gateway_rpc import require_rpc

    return Conversation(require_rpc(require_workspace(invocation.start_dir)), assistant, session)
