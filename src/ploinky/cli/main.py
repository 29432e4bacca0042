"""The entry of ``ploinky``: one boundary where every error becomes a message and an exit code.

Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 needs approval or secrets, 130 interrupted.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from ploinky import __version__
from ploinky.base.errors import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, PloinkyError
from ploinky.cli.frame import Invocation, LazyGroup, global_options
from ploinky.cli.table import COMMANDS

_INTRO = "A workspace of agents: any program becomes a sandboxed tool server behind one MCP router."
_COMPLETE = "_PLOINKY_COMPLETE"
_COLLECT_EVERY = 200_000  # new objects; a command makes few that need the collector, and imports many
_NO_PLUGINS = "PYDANTIC_DISABLE_PLUGINS"
"""Keeps pydantic from reading the metadata of every installed distribution in search of plug-ins."""
_EPILOG = "Without a command, the interactive shell opens. Example: ploinky start demo 8080"


def make_root() -> LazyGroup:
    """The command ``ploinky``; a new one for each use, so that uses do not share state."""
    return LazyGroup(
        COMMANDS,
        name="ploinky",
        help=_INTRO,
        epilog=_EPILOG,
        invoke_without_command=True,
        no_args_is_help=False,
        callback=_open_shell,
        params=[*global_options(hidden=False), _version_option()],
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )


def main(words: Sequence[str] | None = None) -> NoReturn:
    """Run one command line and leave with its exit code."""
    if instruction := os.environ.get(_COMPLETE):
        from click.shell_completion import shell_complete

        sys.exit(shell_complete(make_root(), {}, "ploinky", _COMPLETE, instruction))
    gc.set_threshold(_COLLECT_EVERY)
    os.environ.setdefault(_NO_PLUGINS, "1")
    sys.exit(run_words(list(sys.argv[1:] if words is None else words)))


def run_words(words: list[str], *, as_json: bool | None = None) -> int:
    """Run a command; every failure is shown on ``stderr`` (as JSON on ``stdout`` with ``--json``)."""
    wants_json = _asks_json(words) if as_json is None else as_json
    try:
        made = make_root()
        status = made.main(words, prog_name="ploinky", standalone_mode=False)
        sys.stdout.flush()
    except PloinkyError as error:
        _show_error(error.code, error.message, error.hint, error.details, wants_json)
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        sys.stderr.write(error.format_message() + "\n")
        return EXIT_USAGE
    except click.UsageError as error:
        _show_error("USAGE", error.format_message(), _usage_hint(error), {}, wants_json)
        return EXIT_USAGE
    except click.ClickException as error:
        _show_error("FAILED", error.format_message(), None, {}, wants_json)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        sys.stderr.write("\nInterrupted.\n")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        _forget_stdout()
        return EXIT_DONE
    except Exception as error:
        return _unexpected(error, words)
    return status if isinstance(status, int) else EXIT_DONE


def _open_shell() -> None:
    context = click.get_current_context()
    if context.invoked_subcommand is None:
        from ploinky.cli.interactive import run_shell

        context.exit(run_shell(Invocation.of(context), run_words, make_root()))


def _version_option() -> click.Option:
    def show(context: click.Context, parameter: click.Parameter, value: bool) -> None:
        if value and not context.resilient_parsing:
            click.echo(f"ploinky {__version__}")
            context.exit()

    return click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=show,
        help="Print the version.",
    )


def _asks_json(words: list[str]) -> bool:
    own = words[: words.index("--")] if "--" in words else words
    arguments = [own[index + 1 : index + 2] for index, word in enumerate(own) if word == "--json"]
    return any(not following or not following[0].startswith("{") for following in arguments)


def _usage_hint(error: click.UsageError) -> str | None:
    return None if error.ctx is None else f"See: {error.ctx.command_path} --help"


def _show_error(code: str, message: str, hint: str | None, details: dict[str, str], as_json: bool) -> None:
    if as_json:
        fault = {"code": code, "message": message, "hint": hint, "details": details}
        sys.stdout.write(json.dumps({"error": fault}, ensure_ascii=False) + "\n")
        sys.stdout.flush()
        return
    sys.stdout.flush()
    colour = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    mark = "\x1b[31mError:\x1b[0m" if colour else "Error:"
    sys.stderr.write(f"{mark} {message}\n")
    if hint:
        sys.stderr.write(f"{hint}\n")


def _unexpected(error: Exception, words: list[str]) -> int:
    """A fault of the program itself: the whole story only when asked for."""
    if isinstance(error, BaseExceptionGroup):
        inner = _single(error)
        if isinstance(inner, PloinkyError):
            _show_error(inner.code, inner.message, inner.hint, inner.details, _asks_json(words))
            return inner.exit_code
    if "-v" in words or "--verbose" in words or os.environ.get("PLOINKY_TRACEBACK"):
        import traceback

        traceback.print_exception(error)
    name = type(error).__name__
    _show_error(
        "INTERNAL",
        f"Ploinky itself failed ({name}: {error}).",
        "Run it again with -v to see where.",
        {},
        _asks_json(words),
    )
    return EXIT_FAILED


def _single(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _forget_stdout() -> None:
    """Whoever read the output is gone: nothing more may be written, not even at exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
