"""What all commands share: help, examples, unknown words, exit codes, JSON errors, what is imported."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from ploinky.cli.frame import LazyGroup, PloinkyCommand, load
from ploinky.cli.main import make_root
from ploinky.cli.table import COMMANDS, SECTIONS, Entry
from tests.cli.stage import PLOINKY, Stage


def leaves(
    entries: tuple[Entry, ...] = COMMANDS, before: tuple[str, ...] = ()
) -> Iterator[tuple[str, Entry]]:
    for entry in entries:
        path = (*before, entry.name)
        if entry.children:
            yield from leaves(entry.children, path)
        else:
            yield " ".join(path), entry


LEAVES = dict(leaves())


@pytest.mark.parametrize("path", LEAVES)
def test_every_commands_help_has_an_example_that_calls_it(path: str) -> None:
    made = load(LEAVES[path])
    assert isinstance(made, PloinkyCommand)
    shown = made.get_help(click.Context(made, info_name=f"ploinky {path}"))
    words = path.replace(" show", "").replace("profile use", "profile").split()
    assert any(set(words) <= set(example.split()) for example in made.examples), made.examples
    assert all(example in shown for example in made.examples)
    assert "--json" in shown


@pytest.mark.parametrize("path", LEAVES)
def test_the_table_says_of_a_command_what_it_says_itself(path: str) -> None:
    entry = LEAVES[path]
    made = load(entry)
    assert made.name == entry.name
    assert (made.help or "").split("\n")[0] == entry.summary


def test_every_command_is_in_a_section() -> None:
    assert {entry.section for entry in COMMANDS} == set(SECTIONS)


@pytest.mark.parametrize("group", [entry.name for entry in COMMANDS if entry.children])
def test_a_group_lists_its_commands(group: str, bare: Stage) -> None:
    shown = bare.run(group, "--help").out
    entry = next(each for each in COMMANDS if each.name == group)
    assert all(child.name in shown and child.summary in shown for child in entry.children)


def test_help_names_every_command_and_the_version_is_told(bare: Stage) -> None:
    shown = bare.run("--help").out
    assert all(f"  {entry.name} " in shown for entry in COMMANDS)
    assert bare.run("--version").out.startswith("ploinky ")


@pytest.mark.parametrize("words", ["['--help']", "['start', '--help']", "['list', 'agents', '--help']"])
def test_help_imports_nothing_heavy(words: str, bare: Stage) -> None:
    program = (
        "import atexit, sys\n"
        "heavy = ('pydantic', 'asyncio', 'anyio', 'prompt_toolkit', 'aiodocker', 'uvicorn')\n"
        "atexit.register(lambda: print([name for name in heavy if name in sys.modules]))\n"
        f"from ploinky.cli.main import main\nmain({words})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=bare.root
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("statsu",), "status"),
        (("list", "agnets"), "agents"),
        (("status", "--jsno"), "--json"),
        (("start", "--timeot"), None),
        (("--profil", "x", "status"), "--profile"),
    ],
)
def test_an_unknown_word_is_a_usage_error_that_says_what_was_meant(
    words: tuple[str, ...], meant: str | None, bare: Stage
) -> None:
    done = bare.run(*words, code=2)
    assert done.out == ""
    assert done.err.startswith("Error: No such ")
    assert "See: ploinky" in done.err
    assert meant is None or f"'{meant}'" in done.err


def test_an_unknown_word_is_never_run_as_a_program(bare: Stage) -> None:
    bare.run("touch", "made", code=2)
    bare.run(stdin="touch made\n", code=2)
    assert not (bare.root / "made").exists()


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (("status",), 3, "NO_WORKSPACE"),
        (("start", "demo", "notaport"), 2, "BAD_PORT"),
        (("start", "a b c d"), 2, "BAD_AGENT_REF"),
        (("--workspace", "/nonexistent", "status"), 2, "NO_FOLDER"),
        (("manifest", "validate", "nothing"), 3, "MANIFEST_NOT_FOUND"),
        (("statsu",), 2, "USAGE"),
    ],
)
def test_an_error_as_json_has_code_and_message(
    words: tuple[str, ...], code: int, error: str, bare: Stage
) -> None:
    fault = bare.run(*words, "--json", code=code).json["error"]
    assert fault["code"] == error
    assert fault["message"]
    plain = bare.run(*words, code=code)
    assert plain.out == ""
    assert plain.err.startswith("Error: ")
    assert "Traceback" not in plain.err


def test_global_options_may_stand_before_and_after_the_command(stage: Stage) -> None:
    before = stage.run("--json", "--workspace", str(stage.root), "list", "agents").json
    after = stage.run("list", "agents", "--workspace", str(stage.root), "--json").json
    assert before == after
    assert {row["agent"] for row in before} >= {"echo", "worker"}


def on_terminal(stage: Stage, *words: str, **environ: str) -> str:
    """What the command prints when its output is a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*PLOINKY, *words],
        cwd=stage.root,
        env={**stage.environ, "TERM": "xterm", **environ},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                data = os.read(ours, 4096)
            except OSError:
                break
            shown += data
        process.wait()
    os.close(ours)
    return shown.decode()


def test_colours_are_for_terminals_and_can_be_refused(stage: Stage) -> None:
    assert "\x1b[" in on_terminal(stage, "list", "agents")
    assert "\x1b[" not in on_terminal(stage, "list", "agents", NO_COLOR="1")
    assert "\x1b[" not in on_terminal(stage, "--no-color", "list", "agents")
    assert "\x1b[" not in stage.run("list", "agents").out


def test_a_reader_that_goes_away_is_no_failure(stage: Stage) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", '"$@" | true', "sh", *PLOINKY, "manifest", "schema"],
        cwd=stage.root,
        env=stage.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""


def test_the_root_and_its_groups_load_every_row() -> None:
    root = make_root()
    assert isinstance(root, LazyGroup)
    context = click.Context(root)
    assert all(root.get_command(context, name) is not None for name in root.list_commands(context))
    assert json.dumps(root.list_commands(context))
