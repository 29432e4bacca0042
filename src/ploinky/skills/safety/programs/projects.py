"""What build tools, test runners and virtual machines read without being told: their project's own files.

If one of those came from the network unchecked, a run executes text from the network. To know one more such file,
add it to ``_READ``; one more program that runs its argument, to ``RUNNERS``.
"""

from __future__ import annotations

import posixpath
import re

from ploinky.skills.safety.invocation import Invocation, Result
from ploinky.skills.safety.machine import FileFacts
from ploinky.skills.safety.values import Stream, Taint, Value

_READ = re.compile(
    r"(?:GNUm|[Mm])akefile|.*\.mk|package(?:-lock)?\.json|npm-shrinkwrap\.json|\.npmrc|yarn\.lock|pnpm-(?:lock|workspace)\.yaml"
    r"|bunfig\.toml|[\w.-]*(?:requirements|constraints)[\w.-]*\.(?:txt|in)|pyproject\.toml|setup\.(?:py|cfg)|conftest\.py|tox\.ini"
    r"|noxfile\.py|pytest\.ini|Pipfile(?:\.lock)?|(?:uv|poetry|pdm)\.lock|environment\.ya?ml|test_\w+\.py|\w+_test\.(?:py|go)"
    r"|Cargo\.(?:toml|lock)|build\.rs|go\.(?:mod|sum|work)|.*\.gemspec|Gemfile(?:\.lock)?|Rakefile|composer\.(?:json|lock)"
    r"|[Jj]ustfile|Taskfile\.ya?ml|CMakeLists\.txt|.*\.cmake|meson\.build|build\.(?:ninja|gradle(?:\.kts)?|sbt|xml|zig)|pom\.xml"
    r"|(?:docker-)?compose[\w.-]*\.ya?ml|(?:Docker|Container)file[\w.-]*|.*\.(?:tf|nix)|Vagrantfile|playbook[\w.-]*\.ya?ml|Brewfile"
    r"|.*\.config\.(?:m?[jt]s|cjs)"
)
RUNNERS = frozenset(
    "java javaw jshell mono wine wine64 wasmtime wasmer box64 qemu-x86_64 qemu-aarch64 kotlin dart nim zig crystal runghc runhaskell "
    "ocaml erl escript clojure clj bb janet fennel sbcl octave tcc rlang appimage-run pytest py.test nosetests jest mocha vitest "
    "electron gforth ansible-playbook vagrant jupyter papermill streamlit uvicorn gunicorn flask django-admin celery".split()
)


def is_unchecked(facts: FileFacts | None) -> bool:
    """Whether a file is text from the network that nothing has checked."""
    return facts is not None and Taint.REMOTE in facts.taints and not facts.pinned


def names_fetched(call: Invocation, text: str) -> bool:
    """Whether code or a module's name speaks of a code file that came from the network unchecked; reported."""
    machine = call.machine
    for path, facts in machine.files.items():
        stem, dot, _ = posixpath.basename(path).partition(".")
        if path in machine.verified or not is_unchecked(facts) or not (dot or facts.tree) or not stem:
            continue
        if re.search(rf"(?<!\w){re.escape(stem)}(?!\w)", text):
            call.report(
                "remote-exec", f"loads {posixpath.basename(path)}, which came from the network unchecked"
            )
            return True
    return False


def reads_the_network(call: Invocation, *, whole_tree: bool = False) -> bool:
    """Whether a file that this project's tool reads, or one that it is given, came unchecked; reported."""
    machine = call.machine
    for path, facts in machine.files.items():
        known = not facts.tree and _READ.fullmatch(posixpath.basename(path))
        if known and path not in machine.verified and is_unchecked(facts):
            call.report(
                "remote-exec", f"reads {posixpath.basename(path)}, which came from the network unchecked"
            )
            return True
    for each in call.args:
        value = each.with_text(re.sub(r"^(?:-\w|--[\w-]+=)(?=[^-])", "", each.text))
        given = (
            machine.facts(call.place(value).path) if value.text and not value.text.startswith("-") else None
        )
        fetched = is_unchecked(given) and given is not None and (whole_tree or not given.tree)
        if Taint.REMOTE in each.taints or fetched:
            call.report("remote-exec", f"{call.program} runs what came from the network unchecked")
            return True
    return False


def runner(call: Invocation) -> Result:
    """A program that runs its argument or its project: ``java -jar``, ``pytest``, ``wasmtime``."""
    fed = call.stdin
    if not reads_the_network(call, whole_tree=True):
        facts = call.machine.facts(call.machine.cwd)
        if is_unchecked(facts) or (fed is not None and Taint.REMOTE in fed.taints):
            call.report("remote-exec", "runs what came from the network unchecked")
        elif any(re.match(r"https?://", each) for each in call.texts):
            call.report("remote-exec", "runs a program from the network")
        else:
            call.report("own-code", f"{call.program} runs what it is given")
    return Result(Stream(frozenset({Taint.COMPUTED})))


def in_fetched_folder(call: Invocation, name: str) -> bool:
    """Whether ``PATH`` was made to look into a folder that came from the network."""
    machine = call.machine
    for value in machine.variables.get("PATH", ()):
        for entry in value.text.split(":"):
            facts = machine.facts(call.place(Value(entry or ".")).path)
            if is_unchecked(facts) and name:
                return True
    return False
