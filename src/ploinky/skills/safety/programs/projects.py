"""What build tools, test runners and virtual machines read without being told: their project's own files.

If one of those came from the network unchecked, a run executes text from the network. To know one more such
file, add it to ``_READ``; one more program that runs its argument, to ``RUNNERS``.
"""

from __future__ import annotations

import itertools
import posixpath
import re
from dataclasses import replace

from ploinky.skills.safety.invocation import Invocation, Result
from ploinky.skills.safety.machine import FileFacts
from ploinky.skills.safety.places import Zone
from ploinky.skills.safety.programs.effects import judge_words, starts_programs
from ploinky.skills.safety.values import Stream, Taint, Value

_READ = re.compile(
    r"(?:GNUm|[Mm])akefile|.*\.mk|package(?:-lock)?\.json|npm-shrinkwrap\.json|\.npmrc|yarn\.lock"
    r"|pnpm-(?:lock|workspace)\.yaml"
    r"|bunfig\.toml|[\w.-]*(?:requirements|constraints)[\w.-]*\.(?:txt|in)|pyproject\.toml|setup\.(?:py|cfg)"
    r"|conftest\.py|tox\.ini"
    r"|noxfile\.py|pytest\.ini|Pipfile(?:\.lock)?|(?:uv|poetry|pdm)\.lock|environment\.ya?ml|test_\w+\.py"
    r"|\w+_test\.(?:py|go)"
    r"|Cargo\.(?:toml|lock)|build\.rs|go\.(?:mod|sum|work)|.*\.gemspec|Gemfile(?:\.lock)?|Rakefile"
    r"|composer\.(?:json|lock)"
    r"|[Jj]ustfile|Taskfile\.ya?ml|CMakeLists\.txt|.*\.cmake|meson\.build|build\.(?:ninja|gradle(?:\.kts)?"
    r"|sbt|xml|zig)|pom\.xml"
    r"|(?:docker-)?compose[\w.-]*\.ya?ml|(?:Docker|Container)file[\w.-]*|.*\.(?:tf|nix)|Vagrantfile"
    r"|playbook[\w.-]*\.ya?ml|Brewfile|.*\.config\.(?:m?[jt]s|cjs)"
)
RUNNERS = frozenset(
    "java javaw jshell mono wine wine64 wasmtime wasmer box64 qemu-x86_64 qemu-aarch64 kotlin dart nim zig "
    "crystal runghc runhaskell nix-build nix-instantiate ocaml erl escript clojure clj bb janet fennel sbcl "
    "octave tcc rlang appimage-run pytest py.test nosetests jest mocha vitest jbang kscript scala-cli amm "
    "dotnet-script csi cling rdmd rust-script joker lein boot nbb yaegi gorun vite-node esrun zx "
    "ansible-pull electron gforth ansible-playbook vagrant jupyter papermill streamlit uvicorn gunicorn "
    "flask django-admin celery".split()
)


def is_unchecked(facts: FileFacts | None) -> bool:
    """Whether a file is text from the network that nothing has checked."""
    return facts is not None and Taint.REMOTE in facts.taints and not facts.pinned


def has_unchecked(call: Invocation) -> bool:
    """Whether a program is given a file or a text that nothing has checked."""
    fed = call.stdin is not None and Taint.REMOTE in call.stdin.taints
    return fed or any(
        Taint.REMOTE in each.taints
        or (_is_path(each) and is_unchecked(call.machine.facts(call.place(each).path)))
        for each in call.args
    )


def names_fetched(call: Invocation, text: str) -> bool:
    """Whether code or a module's name speaks of a code file
    that came from the network unchecked; reported.
    """
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


_COMPILED = frozenset({".exe", ".jar", ".class", ".dll", ".o", ".out", ".wasm", ".pyc", ".beam"})


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
        stem, suffix = posixpath.splitext(value.text)
        if given is None and suffix in _COMPILED and not value.text.startswith("-"):
            given = machine.facts(call.place(value.with_text(stem)).path)  # what a compiler made of it
        fetched = is_unchecked(given) and given is not None and (whole_tree or not given.tree)
        if Taint.REMOTE in each.taints or fetched:
            call.report("remote-exec", f"{call.program} runs what came from the network unchecked")
            return True
    return False


_FETCHED_PACKAGE = re.compile(
    r"https?://\S+\.(?:sh|py|js|ps1|tgz|tar\.\w+|zip|deb|rpm|whl|vsix|gem|exe|msi|pkg|dmg|AppImage|jar|so"
    r"|xpi|crx|phar|nupkg|ya?ml|git)\Z",
    re.IGNORECASE,
)
_INSTALLS = re.compile(
    r"-*(?:install|add|apply|load|import|plugin|extension|run|exec|eval|create|init|sideload|i)\b",
    re.IGNORECASE,
)


def installs_fetched(call: Invocation) -> bool:
    """Whether the words of a call tell its program to take up a package by its address,
    or one that was fetched.
    """
    if not any(_INSTALLS.match(each.text) for each in call.args):
        return False
    if any(_FETCHED_PACKAGE.match(each.text) for each in call.args):
        call.report("package-source", f"{call.program} installs from a plain address")
        return True
    named = [each for each in call.args if _is_path(each)]
    if any(
        is_unchecked(call.machine.facts(call.place(each).path)) and not _INSTALLS.match(each.text)
        for each in named
    ):
        call.report("remote-exec", f"{call.program} takes up what came from the network unchecked")
        return True
    return False


_ARCHIVE = re.compile(
    r".*\.(?:zip|t[gbx]z2?|tar(?:\.\w+)?|[gxb]z2?|zst|lz4|jar|war|whl|egg|7z|rar|deb|rpm|apk|asar|xpi|crx"
    r"|vsix|cab|iso|img|dmg|pkg|cpio|ar|lzh|squashfs|appimage|ipa|nupkg|gem|crate|bundle|zim)\Z",
    re.IGNORECASE,
)


_UNPACKERS = frozenset(
    "jar unar ditto asar cabextract ouch atool aunpack dtrx undmg unsquashfs innoextract msiextract".split()
)
_FETCH_WORDS = frozenset("get fetch download pull clone checkout cp copy sync degit export".split())
_FAR = re.compile(r"\w+://|[\w.-]+@[\w.-]+:|[A-Za-z0-9][\w-]*/[\w.-]+(?:#[\w./-]+)?\Z")


def _fetches(call: Invocation) -> bool:
    """Whether a program that no rule reads brings files from elsewhere, by its words or by an address."""
    words = [each.text for each in call.args if not each.text.startswith("-")]
    far = any(_FAR.match(each) and not each.startswith(("./", "scripts/", "src/", "bin/")) for each in words)
    return (
        any("://" in each for each in words)
        or bool(_FETCH_WORDS & {call.program, *words[:2]})
        or (far and len(words) > 1 and call.program in ("degit", "tiged", "giget"))
    )


def unpacks_unseen(call: Invocation) -> None:
    """A program that no rule reads got a file that nothing has checked:
    what it may have written is as doubtful.

    An archive makes its folder so, any other file the paths beside it on the line.
    """
    machine = call.machine
    known = [(each, machine.facts(call.place(each).path)) for each in call.args if _is_path(each)]
    doubtful = [facts for _, facts in known if is_unchecked(facts)]
    fed = call.stdin is not None and Taint.REMOTE in call.stdin.taints
    given = any(Taint.REMOTE in each.taints for each in call.args)
    if not (doubtful or fed or given or _fetches(call)):
        return
    facts = FileFacts(frozenset({Taint.REMOTE}), None, call.walker.line)
    for each, before in known:
        place = call.place(each)
        here = place.zone in (Zone.SELF, Zone.TEMP, Zone.UNKNOWN, Zone.OWN_HOME) and place.path != machine.cwd
        if before is None and here:
            machine.files[place.path] = replace(facts, tree=True)
        if is_unchecked(before) and not place.path.endswith("/"):
            stem = posixpath.splitext(place.path)[0]  # what a compiler makes of it
            machine.files.setdefault(stem, facts)
    unpacks = fed and (
        _UNPACKERS & {call.program} or any(re.match(r"-?x\w?\Z|extract|unpack", each) for each in call.texts)
    )
    if unpacks or any(_ARCHIVE.match(each.text) and is_unchecked(before) for each, before in known):
        machine.overwrite_tree(machine.cwd)
        machine.files[machine.cwd] = replace(facts, tree=True)


_INTO = re.compile(
    r"(?:-[oOdC]|--?(?:out(?:put|file|dir|-dir|-file)?|output-\w+|dir|directory|dest|destination|target"
    r"|prefix|root|install-\w+|bindir))\Z"
)


def writes_elsewhere(call: Invocation) -> None:
    """An option that names where a program writes:
    a folder that is not the skill's is refused, whatever the program.
    """
    for value, following in zip(call.args, [*call.args[1:], Value("")], strict=False):
        name, equals, given = value.text.partition("=")
        target = value.with_text(given) if equals else following
        named = _INTO.match(name) and re.match(r"[/~]|\.\./", target.text)
        if named and call.place(target).zone in (Zone.OUTSIDE, Zone.SECRET, Zone.SYSTEM):
            call.report("write-outside", f"{call.program} writes into another folder")


def serves(call: Invocation) -> None:
    """A server of files: what it offers must be the skill's."""
    for each in call.args or [Value(".")]:
        outside = call.place(each).zone in (Zone.OUTSIDE, Zone.SECRET, Zone.OWN_HOME)
        if outside and re.match(r"[/~.@]", each.text):
            call.report("exfiltration", "offers the owner's files to others")
    if call.place(Value(".")).zone in (Zone.OUTSIDE, Zone.SECRET):
        call.report("exfiltration", "offers the owner's files to others")


def _is_path(value: Value) -> bool:
    text = value.text.rpartition("=")[2] if value.text.startswith("--") else value.text
    return bool(re.fullmatch(r"(?!-)[^\s:]+", text))


_INNER_ATTACKS = frozenset({"remote-exec", "reverse-shell", "exfiltration"})
_INNER_FLAGS = re.compile(r"-\w*[ceax]|--(?:command|exec|eval|run|args|on-\w[\w-]*)")
_INNER_SHELLS = frozenset("sh bash ash zsh dash".split())


def brings(call: Invocation, target: Value) -> None:
    """A file or a folder that comes from a container or an account."""
    place = call.write_file(target, Stream(frozenset({Taint.REMOTE})))
    facts = FileFacts(frozenset({Taint.REMOTE}), None, call.walker.line, tree=True)
    call.machine.files[place.path] = facts


def judge_inside(call: Invocation) -> None:
    """A text that a program, a container or another machine is told to run:
    its attacks count, its folders are others.
    """
    for before, value in itertools.pairwise(call.args):
        if not re.search(r"\s", value.text) or not value.known or not _INNER_FLAGS.fullmatch(before.text):
            continue
        for rule in sorted(call.walker.rules_of(value.text) & _INNER_ATTACKS):
            call.report(rule, "what runs inside")


_FAR_PROGRAM = re.compile(
    r"(?:--(?:url|jar|source|repo\w*|include|plugin)=|(?:-I)?\w+=(?!https://(?:github\.com/NixOS/nixpkgs/"
    r"|(?:channels\.)?nixos\.org/)))?(?:git\+)?(?:https?|ssh|git)://|[\w.-]+@[\w.-]+:\w"
)
_NAMES_A_SOURCE = re.compile(
    r"[{(\[\s][^\"']*[\"'](?:git\+)?(?:https?|ssh|git)://"
)  # data with an address in it


def runner(call: Invocation) -> Result:
    """A program that runs its argument or its project: ``java -jar``, ``pytest``, ``wasmtime``."""
    fed = call.stdin
    judge_words(call)
    if not reads_the_network(call, whole_tree=True):
        facts = call.machine.facts(call.machine.cwd)
        if is_unchecked(facts) or (fed is not None and Taint.REMOTE in fed.taints):
            call.report("remote-exec", "runs what came from the network unchecked")
        elif any(_FAR_PROGRAM.match(each) for each in call.texts):
            call.report("remote-exec", "runs a program from the network")
        elif any(_NAMES_A_SOURCE.search(each) for each in call.texts):
            call.report("package-source", f"{call.program} is told of a source of packages")
        elif fed is not None and starts_programs(fed.text or ""):
            call.report("inline-code", f"{call.program} is fed code that starts programs")
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
