"""``ploinky`` alone: the same commands, from a pipe and at a terminal."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ploinky.cli.interactive import complete_words
from ploinky.cli.main import make_root
from tests.cli.stage import PLOINKY, Stage


def test_lines_from_a_pipe_are_run_one_after_another(stage: Stage) -> None:
    done = stage.run(stdin="list agents --json\n# a comment\n\nploinky enable agent echo\nstatus\n")
    assert '"agent": "echo"' in done.out
    assert "enabled (crew/echo, isolated)" in done.err
    assert "Router     not running" in done.out


def test_the_status_is_that_of_the_last_command(stage: Stage) -> None:
    assert stage.run(stdin="statsu\nlist repos\n", code=0).err.startswith("Error: No such command 'statsu'")
    stage.run(stdin="list repos\ndisable agent nobody\n", code=3)
    stage.run(stdin='list "repos\n', code=2)


def test_exit_leaves_and_help_helps(bare: Stage) -> None:
    done = bare.run(stdin="help\nexit\nstatsu\n")
    assert "Repositories and agents" in done.out
    assert done.err == ""


def test_options_of_the_shell_hold_for_its_commands(stage: Stage) -> None:
    done = stage.run("--profile", "prod", stdin="profile --json\n")
    assert done.json["profile"] == "prod"


def test_words_are_completed_as_on_the_command_line() -> None:
    found = dict(complete_words(make_root(), [], "sta"))
    assert found["status"] == "Show the agents, the router and how they are."
    assert "agents" in dict(complete_words(make_root(), ["list"], ""))


def test_at_a_terminal_there_is_a_prompt_and_a_history(stage: Stage) -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, 100))
    environ = {**stage.environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}
    with ended(
        subprocess.Popen(PLOINKY, cwd=stage.root, env=environ, stdin=theirs, stdout=theirs, stderr=theirs)
    ) as process:
        os.close(theirs)
        screen = Screen(ours)
        screen.until("workspace>")
        os.write(ours, b"list agents\r")
        screen.until("Says back what it is told")
        screen.until("workspace>")
        os.write(ours, b"sta\t")
        screen.until(" status ")
        screen.until(" start ")
        os.write(ours, b"\x03")
        screen.until("workspace>")
        os.write(ours, b"\x04")
        assert process.wait(20) == 0
    os.close(ours)
    assert "list agents" in stage.layout.running.joinpath("history").read_text(encoding="utf-8")


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """The process, killed if it still runs at the end."""
    with process:
        try:
            yield process
        finally:
            process.kill()


class Screen:
    """What a terminal shows, taken piece by piece."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._shown = ""

    def until(self, text: str, *, timeout_s: float = 20.0) -> None:
        """Read until ``text`` was shown; what came up to it is taken."""
        deadline = time.monotonic() + timeout_s
        while text not in self._shown:
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self._descriptor], [], [], max(0.0, left))
            assert ready, f"{text!r} was not shown in time, but: {self._shown!r}"
            self._shown += os.read(self._descriptor, 4096).decode(errors="replace")
        self._shown = self._shown.partition(text)[2]
