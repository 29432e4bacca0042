"""``shell``, ``cli`` and ``exec``: a terminal inside an agent."""

from __future__ import annotations

from collections.abc import Sequence

import click

from ploinky.cli.candidates import complete_agent
from ploinky.cli.frame import Invocation, command
from ploinky.cli.run import platform_of, run_async
from ploinky.manifest.refs import AgentRef, parse_agent_ref


@command("shell", "ploinky shell demo")
@click.argument("agent", shell_complete=complete_agent)
def shell(invocation: Invocation, agent: str) -> None:
    """Open a shell inside an agent.

    The exit code is the shell's.
    """
    from ploinky.operations.inside import shell_args

    _run(invocation, parse_agent_ref(agent), shell_args())


@command("cli", "ploinky cli demo")
@click.argument("agent", shell_complete=complete_agent)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def cli(invocation: Invocation, agent: str, words: tuple[str, ...]) -> None:
    """Run the agent's own interactive command.

    It is the manifest's 'cli', else 'run', else a shell. WORDS are given to it.
    """
    from ploinky.operations.inside import cli_args

    ref = parse_agent_ref(agent)
    platform = platform_of(invocation)
    _run(invocation, ref, [*run_async(lambda: cli_args(platform, ref)), *words])


@command(
    "exec",
    "ploinky exec demo -- ls -l /code",
    "echo hello | ploinky exec demo -- cat",
    context_settings={"allow_interspersed_args": False},
)
@click.argument("agent", shell_complete=complete_agent)
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_(invocation: Invocation, agent: str, words: tuple[str, ...]) -> None:
    """Run a command inside an agent.

    Its input and output are this command's, and so is its exit code (128 and the number for a signal).
    """
    _run(invocation, parse_agent_ref(agent), words[1:] if words[0] == "--" else words)


def _run(invocation: Invocation, agent: AgentRef, argv: Sequence[str]) -> None:
    from ploinky.cli.terminal import exit_code, join, window_size
    from ploinky.operations.inside import open_program

    platform = platform_of(invocation)
    size = window_size()

    async def work() -> int:
        async with open_program(platform, agent, argv, pty=size) as program:
            return exit_code(await join(program, pty=size is not None))

    click.get_current_context().exit(run_async(work))
