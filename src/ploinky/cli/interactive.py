"""``ploinky`` alone: the same commands at a prompt, with history and completion.

A word that is no command is an error with a did-you-mean; it is never run by the system. With input from a
pipe or a file the lines are run one after another, and the status is that of the last, as in a shell.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import click

from ploinky import __version__
from ploinky.base.errors import EXIT_DONE, EXIT_USAGE
from ploinky.cli.frame import Invocation
from ploinky.workspace.layout import Layout, find_workspace

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import Completer, Completion
    from prompt_toolkit.document import Document

RunWords = Callable[[list[str]], int]
LEAVE = ("exit", "quit")
_HELP = ("help", "?")


def run_shell(invocation: Invocation, run_words: RunWords, root: click.Group) -> int:
    """Read lines until the end of input or ``exit``; the status of the last command."""
    shared = _global_words(invocation)
    lines = _typed_lines(invocation, root) if sys.stdin.isatty() else _piped_lines()
    status = EXIT_DONE
    for line in lines:
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            sys.stderr.write(f"Error: {str(error).lower()} in: {line}\n")
            status = EXIT_USAGE
            continue
        if not words:
            continue
        if words[0] in LEAVE:
            break
        if words[0] == "ploinky":
            words = words[1:]
        if not words:
            continue
        status = run_words([*shared, *(["--help"] if words[0] in _HELP else words)])
    return status


def complete_words(root: click.Group, words: list[str], begin: str) -> list[tuple[str, str]]:
    """What ``begin`` could become after ``words``, each with its help; the same as in the system's shell."""
    from click.shell_completion import ShellComplete

    found = ShellComplete(root, {}, "ploinky", "_PLOINKY_COMPLETE").get_completions(words, begin)
    return [(str(item.value), item.help or "") for item in found if item.type == "plain"]


def _piped_lines() -> Iterator[str]:
    for line in sys.stdin:
        yield line.rstrip("\n")


def _typed_lines(invocation: Invocation, root: click.Group) -> Iterator[str]:
    session = _session(find_workspace(invocation.start_dir), root)
    invocation.console.note(f"Ploinky {__version__}. 'help' lists the commands, 'exit' leaves.")
    while True:
        try:
            yield session.prompt(_prompt(invocation))
        except KeyboardInterrupt:
            continue
        except EOFError:
            return


def _prompt(invocation: Invocation) -> str:
    layout = find_workspace(invocation.start_dir)
    return f"ploinky {layout.root.name if layout else '(no workspace)'}> "


def _session(layout: Layout | None, root: click.Group) -> PromptSession[str]:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.history import FileHistory, History, InMemoryHistory

    history: History = InMemoryHistory()
    if layout is not None:
        layout.running.mkdir(parents=True, exist_ok=True)
        file = layout.running / "history"
        file.touch(mode=0o600)
        history = FileHistory(str(file))
    return PromptSession(history=history, completer=_completer(root), complete_while_typing=False)


def _completer(root: click.Group) -> Completer:
    from prompt_toolkit.completion import CompleteEvent, Completer, Completion

    class Words(Completer):
        def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
            words, begin = _split(document.text_before_cursor)
            for value, summary in complete_words(root, words, begin):
                yield Completion(value, start_position=-len(begin), display_meta=summary)

    return Words()


def _split(text: str) -> tuple[list[str], str]:
    """The whole words before the cursor and the one being typed."""
    words = text.split()
    return (words, "") if not words or text[-1].isspace() else (words[:-1], words[-1])


def _global_words(invocation: Invocation) -> list[str]:
    """The global options of the shell itself, given on to each of its commands."""
    words: list[str] = ["--workspace", str(invocation.start_dir)]
    for name, value in (("--profile", invocation.profile), ("--runtime", invocation.runtime)):
        words += [name, value] if value else []
    words += ["--trust"] if invocation.trust else []
    return words
