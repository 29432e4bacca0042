"""What every command shares: global options, lazy loading, help with examples, a did-you-mean.

Global options may stand before or after the command. ``Invocation`` carries them to a command.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

import click

from ploinky.base.errors import UsageError
from ploinky.cli.console import Console
from ploinky.cli.table import SECTIONS, Entry

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_META = "ploinky.global"
_P = ParamSpec("_P")


@dataclass(frozen=True)
class Invocation:
    """One use of the command line: where, in which environment, with which global options.

    ``start_dir`` is where the workspace is looked for (``--workspace`` or the working directory).
    """

    start_dir: Path
    environ: Mapping[str, str]
    console: Console
    profile: str | None = None
    runtime: str | None = None
    as_json: bool = False
    trust: bool = False
    verbosity: int = 0
    interactive: bool = False

    @classmethod
    def of(cls, context: click.Context) -> Invocation:
        given: dict[str, Any] = context.meta.get(_META, {})
        environ: Mapping[str, str] = os.environ
        folder: Path | None = given.get("workspace")
        if folder is not None and not folder.is_dir():
            raise UsageError(
                "NO_FOLDER", f"{folder} is not a folder.", hint="Give --workspace a folder that exists."
            )
        return cls(
            start_dir=(folder or Path.cwd()).resolve(),
            environ=environ,
            console=Console.system(environ, colour=False if given.get("no_color") else None),
            profile=given.get("profile"),
            runtime=given.get("runtime"),
            as_json=bool(given.get("as_json")),
            trust=bool(given.get("trust")),
            verbosity=int(given.get("verbose", 0)),
        )


def _remember(context: click.Context, parameter: click.Parameter, value: object) -> None:
    if value and parameter.name:
        context.meta.setdefault(_META, {})[parameter.name] = value


def global_options(*, hidden: bool) -> list[click.Parameter]:
    """The options that every command takes; only ``--json`` is shown in a command's own help."""

    def option(*names: str, shown: bool = False, **settings: Any) -> click.Option:
        concealed = hidden and not shown
        return click.Option(names, expose_value=False, callback=_remember, hidden=concealed, **settings)

    runtimes = click.Choice(["auto", "sandbox", "podman", "docker"])
    return [
        option("--json", "as_json", is_flag=True, shown=True, help="Print the result as JSON."),
        option("--profile", metavar="NAME", help="Use this profile instead of the active one."),
        option("--workspace", metavar="DIR", type=click.Path(path_type=Path), help="Work in this workspace."),
        option("--runtime", type=runtimes, help="Run agents with this engine (also: PLOINKY_RUNTIME)."),
        option("--trust", is_flag=True, help="Trust repositories whose hooks run on the host (for CI)."),
        option("--no-color", "no_color", is_flag=True, help="Never use colours."),
        option("-v", "--verbose", "verbose", count=True, help="Say more; twice for details of errors."),
    ]


class PloinkyCommand(click.Command):
    """A command with the global options and an example below its help."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.params.extend(global_options(hidden=True))
        self.examples = tuple(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Example" if len(self.examples) == 1 else "Examples"):
            for example in self.examples:
                formatter.write(f"{'':>{formatter.current_indent}}{example}\n")
        formatter.write_paragraph()
        formatter.write_text("Global options (--profile, --workspace, --runtime, ...): see ploinky --help.")


def command(
    name: str, *examples: str, cls: type[PloinkyCommand] = PloinkyCommand, **settings: Any
) -> Callable[[Callable[Concatenate[Invocation, _P], None]], PloinkyCommand]:
    """Make a function a command; it gets the invocation first. At least one example is shown in its help."""
    assert examples, f"the command {name} needs an example"

    def wrap(function: Callable[Concatenate[Invocation, _P], None]) -> PloinkyCommand:
        @functools.wraps(function)
        def call(*args: _P.args, **kwargs: _P.kwargs) -> None:
            function(Invocation.of(click.get_current_context()), *args, **kwargs)

        made: PloinkyCommand = click.command(name, cls=cls, examples=examples, **settings)(call)
        return made

    return wrap


class LazyGroup(click.Group):
    """A group whose commands are rows of the table, imported when they are used."""

    def __init__(
        self, entries: Sequence[Entry], *, default: str = "", bare: str = "", **settings: Any
    ) -> None:
        super().__init__(**settings)
        self.entries = {entry.name: entry for entry in entries}
        self.default = default
        self.bare = bare

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = self.entries.get(cmd_name)
        return None if entry is None else load(entry)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        word = next((arg for arg in args if not arg.startswith("-")), None)
        if ctx.resilient_parsing:
            return super().parse_args(ctx, args)
        if word is None and self.bare and "--help" not in args:
            args = [*args, self.bare]
        elif self.default and word not in self.entries and "--help" not in args[:1]:
            args = [self.default, *args]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self.entries and not args[0].startswith("-"):
            raise click.exceptions.NoSuchCommand(args[0], possibilities=self.entries, ctx=ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """From the table: click's own would import every command."""
        from click.shell_completion import CompletionItem

        rows = [row for row in self.entries.values() if row.name.startswith(incomplete)]
        words = [CompletionItem(row.name, help=row.summary) for row in rows]
        if self.default and not incomplete.startswith("-"):
            first, *_ = (p for p in load(self.entries[self.default]).params if isinstance(p, click.Argument))
            words += first.shell_complete(ctx, incomplete)
        return words + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = list(self.entries.values())
        sections = [section for section in SECTIONS if any(row.section == section for row in rows)]
        for section in sections or [""]:
            shown = [(row.name, row.summary) for row in rows if row.section == section]
            with formatter.section(section or "Commands"):
                formatter.write_dl(shown, col_max=14)


def load(entry: Entry) -> click.Command:
    """The command behind a row of the table."""
    if entry.children:
        return LazyGroup(
            entry.children,
            default=entry.default,
            bare=entry.bare,
            name=entry.name,
            help=entry.summary,
            no_args_is_help=not entry.bare,
            params=global_options(hidden=True),
        )
    module, attribute = entry.target.split(":")
    found = getattr(import_module(f"ploinky.cli.commands.{module}"), attribute)
    assert isinstance(found, click.Command)
    return found
