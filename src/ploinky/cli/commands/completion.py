"""``completion``: the script that a shell sources to complete Ploinky's words."""

from __future__ import annotations

import click

from ploinky.cli.frame import Invocation, command

SHELLS = ("bash", "zsh", "fish")


@command(
    "completion",
    'eval "$(ploinky completion bash)"',
    "ploinky completion fish > ~/.config/fish/completions/ploinky.fish",
)
@click.argument("shell", type=click.Choice(SHELLS))
def completion(invocation: Invocation, shell: str) -> None:
    """Print the script that completes words in your shell."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    root = click.get_current_context().find_root().command
    invocation.console.line(_source(found(root, {}, "ploinky", "_PLOINKY_COMPLETE")))


def _source(script: object) -> str:
    """The script, made from click's own template without asking the shell for its version."""
    from click.shell_completion import ShellComplete

    assert isinstance(script, ShellComplete)
    return script.source_template % script.source_vars()
