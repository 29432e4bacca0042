"""Package managers: where a package may come from, and which installs run nobody else's code.

A lock file with digests and without scripts is allowed; a registry asks; plain addresses, unpinned repositories
and other indexes are refused. To know one more manager, add a row to ``MANAGERS``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ploinky.skills.safety.invocation import EMPTY, Invocation, Result
from ploinky.skills.safety.places import Zone
from ploinky.skills.safety.programs.hosts import is_forge
from ploinky.skills.safety.programs.projects import names_fetched, reads_the_network
from ploinky.skills.safety.values import HOLE, Stream, Taint, Value

_SOURCE_FLAGS = re.compile(
    r"(?:-i|--(?:extra-)?index(?:-url)?|--default-index|--registry|--find-links|-f|--source|--repo(?:sitory)?|--trusted-host|--proxy"
    r"|--allow-insecure\S*|--allow-unauthenticated|--no-gpg-check|--nogpgcheck|--allow-untrusted|--no-verify\S*|--index-strategy"
    r"|--channel|-c|--override-channels|--from-git|--git|--config-settings|--userconfig|--globalconfig|--cert|--node-options"
    r"|--unsafe-perm|--script-shell|-X|--repository|--extra-experimental-features|--git-url|--tap)(?:=.*)?\Z"
)
_HARMLESS_SHORT = {"conda": {"-c", "--channel"}, "mamba": {"-c", "--channel"}, "uv": {"-c"}, "pip": {"-c"}, "gem": {"-i"},
                   "npm": {"-f", "-c"}, "brew": {"-f"}, "apt": {"-f"}, "apt-get": {"-f"}, "cargo": {"-f"}, "poetry": {"-f"},
                   "dotnet": {"-f"}, "pnpm": {"-f", "-c"}, "bun": {"-f", "-c"}, "yarn": {"-f", "-c"}, "go": {"-i", "-c"},
                   "pipx": {"-f", "-c"}}  # fmt: skip
_ADDRESS = re.compile(
    r"(?:[\w.-]+ ?@ ?)?(?:git\+)?(?:https?|git|ssh|svn|hg|ftp|file)(?:\+\w+)?://|git@|github:|gitlab:|bitbucket:|gist:"
)
_PINNED = re.compile(r"[@#=](?:semver:)?[0-9a-f]{40}(?:#|\Z|&)|#sha(?:256|512)[=:-]|--rev[= ][0-9a-f]{40}")
_SHORT_REPO = re.compile(r"[A-Za-z0-9][\w-]*/[\w.-]+(?:#.+)?\Z")


@dataclass(frozen=True)
class Manager:
    """A package manager: verbs that install, verbs that only look, verbs that run what is there."""

    installs: frozenset[str]
    looks: frozenset[str]
    runs: frozenset[str] = frozenset()
    configures: frozenset[str] = frozenset()
    system: bool = False
    fetches_itself: bool = False  # npx, uvx: the verb is the package


def _row(
    installs: str,
    looks: str = "",
    runs: str = "",
    configures: str = "config",
    *,
    system: bool = False,
    fetches_itself: bool = False,
) -> Manager:
    return Manager(
        frozenset(installs.split()),
        frozenset(looks.split()),
        frozenset(runs.split()),
        frozenset(configures.split()),
        system=system,
        fetches_itself=fetches_itself,
    )


_LOOKS = "list ls show info search view outdated why help version freeze check --version -v -V --help -h doctor root prefix audit"
MANAGERS: dict[str, Manager] = {
    "npm": _row("install i add ci update up upgrade link install-test it clean-install exec x create init", _LOOKS,
                "run run-script start test t build restart stop prune rebuild dedupe", "config set publish login adduser token"),
    "pnpm": _row("install i add update up dlx exec create import fetch", _LOOKS, "run start test build rebuild", "config set publish"),
    "yarn": _row("install add upgrade up dlx global create", _LOOKS, "run start test build workspaces", "config set publish"),
    "bun": _row("install i add update x create pm upgrade", _LOOKS, "run start test build", "config publish"),
    "pip": _row("install download wheel", _LOOKS + " hash inspect debug cache", "", "config"),
    "pipx": _row("install run upgrade inject upgrade-all reinstall ensurepath", _LOOKS, ""),
    "uv": _row("add sync lock pip tool venv python run init export remove build self publish", _LOOKS + " tree", ""),
    "poetry": _row("install add update self init", _LOOKS, "run build shell", "config source publish"),
    "pdm": _row("install add update sync", _LOOKS, "run build", "config"),
    "pipenv": _row("install sync update", _LOOKS + " graph", "run shell"),
    "conda": _row("install create update env", _LOOKS, "run activate deactivate", "config"),
    "mamba": _row("install create update env", _LOOKS, "run activate"),
    "cargo": _row("install add fetch update binstall", _LOOKS + " tree metadata", "build run test check clippy fmt bench",
                  "config publish login owner"),
    "go": _row("install get mod work", "version env list help doc vet fmt", "build run test generate tool", "-"),
    "gem": _row("install update fetch", _LOOKS + " environment", "", "sources push signin cert"),
    "bundle": _row("install update add", _LOOKS, "exec", "config"),
    "brew": _row("install upgrade tap reinstall cask bundle update link", _LOOKS + " deps leaves --prefix", "", "services untap"),
    "apt": _row("install update upgrade remove purge autoremove", _LOOKS + " policy", system=True),
    "apt-get": _row("install update upgrade remove purge autoremove dist-upgrade", _LOOKS, system=True),
    "aptitude": _row("install update", _LOOKS, system=True),
    "dpkg": _row("-i --install --configure", "-l -L -s -S --list --print-architecture", system=True),
    "dnf": _row("install update upgrade remove group groupinstall", _LOOKS, "", "config-manager copr", system=True),
    "yum": _row("install update upgrade remove groupinstall localinstall", _LOOKS, "", "config-manager", system=True),
    "apk": _row("add update upgrade del", _LOOKS, system=True),
    "pacman": _row("-S -Sy -Syu -Syy -U -R -Rs", "-Q -Qi -Ss -Si", system=True),
    "zypper": _row("install in update addrepo ar", _LOOKS, system=True),
    "nix": _row("profile develop shell run build flake-update", "flake search --version show-config", ""),
    "nix-env": _row("-i -iA -f --install", "-q --query", ""),
    "nix-shell": _row("-p --packages", "--version", ""),
    "snap": _row("install refresh", _LOOKS, "", "connect set", system=True),
    "flatpak": _row("install update", _LOOKS, "run", "remote-add", system=True),
    "port": _row("install", _LOOKS, system=True),
    "choco": _row("install upgrade", _LOOKS, "", "source config", system=True),
    "winget": _row("install upgrade", _LOOKS, "", "source settings", system=True),
    "scoop": _row("install update bucket", _LOOKS, "", "config", system=True),
    "composer": _row("install require update create-project global", _LOOKS, "run-script exec dump-autoload", "config"),
    "dotnet": _row("add restore tool new workload", _LOOKS + " --info --list-sdks --list-runtimes", "build run test publish", "nuget"),
    "mix": _row("deps.get deps.update archive.install escript.install", "help", "compile test run"),
    "cpan": _row("-i install", "-l", ""),
    "cpanm": _row("install", "--version", "", fetches_itself=True),
    "luarocks": _row("install", _LOOKS, "", "config"),
    "cabal": _row("install update", _LOOKS, "build run test"),
    "stack": _row("install upgrade setup", _LOOKS, "build run test exec"),
    "opam": _row("install update upgrade pin", _LOOKS, "exec"),
    "asdf": _row("install plugin", _LOOKS + " current which", "", "global local"),
    "mise": _row("install use", _LOOKS + " current which", "run exec", "settings trust"),
    "nvm": _row("install use alias", _LOOKS + " current ls-remote", "exec"),
    "fnm": _row("install use", _LOOKS + " current env", "exec"),
    "pyenv": _row("install global local", _LOOKS + " versions", "exec"),
    "rustup": _row("install update toolchain component target default self", _LOOKS, "run"),
    "rbenv": _row("install global local", _LOOKS + " versions", "exec"),
    "volta": _row("install pin", _LOOKS, "run"),
    "corepack": _row("enable prepare install", _LOOKS, ""),
    "mas": _row("install", _LOOKS, system=True),
    "playwright": _row("install install-deps", _LOOKS, "test codegen"),
    "npx": _row("", "--version -v --help", "", fetches_itself=True),
    "bunx": _row("", "--version --help", "", fetches_itself=True),
    "pnpx": _row("", "--version --help", "", fetches_itself=True),
    "uvx": _row("", "--version --help", "", fetches_itself=True),
}  # fmt: skip
_ALIASES = {
    "pip3": "pip",
    "pip2": "pip",
    "micromamba": "mamba",
    "cargo-binstall": "cargo",
    "bundler": "bundle",
    "nala": "apt",
}


def manager_of(program: str) -> Manager | None:
    """The manager that a program of that name is, or None."""
    if re.fullmatch(r"pip\d[\d.]*", program):
        program = "pip"
    return MANAGERS.get(_ALIASES.get(program, program))


def package_manager(call: Invocation) -> Result:
    """A call of a package manager."""
    name = _ALIASES.get(call.program, call.program)
    name = "pip" if re.fullmatch(r"pip\d[\d.]*", name) else name
    manager = MANAGERS[name]
    texts = call.texts
    words = [each for each in texts if not each.startswith("-")]
    verb = next(iter(words), next(iter(texts), ""))
    if texts and texts[0] in manager.installs | manager.looks:
        verb = texts[0]
    out = Result(Stream(frozenset({Taint.COMPUTED})))
    if not texts or (verb in manager.looks and not _source_flags(name, texts)):
        if (not texts and not manager.looks) or (not texts and name in ("yarn", "bundle", "pnpm")):
            call.report("package-install")
        return out
    if _bad_source(call, name, texts, words, verb):
        return out
    runs = verb in manager.installs | manager.runs or manager.fetches_itself
    if runs and reads_the_network(call):
        return out
    if name == "npm" and texts[:1] in (["set-script"], ["pkg"]):
        _script_set(call, texts)
    elif verb in manager.configures:
        _configure(call, texts)
    elif verb in manager.runs:
        _run_project(call, name, verb)
    elif _is_locked(call, name, verb, texts):
        return out
    else:
        call.report("package-install")
    return out


def _script_set(call: Invocation, texts: list[str]) -> None:
    """``npm set-script``, ``npm pkg set scripts.name=text``: a text that will be executed is walked."""
    if texts[0] == "pkg" and texts[1:2] == ["get"]:
        return
    call.report("own-code", "changes the project's scripts")
    for each in texts[2:]:
        call.walker.evaluate(each.partition("=")[2] if texts[0] == "pkg" else each, None)


def _source_flags(name: str, texts: list[str]) -> list[str]:
    fine = _HARMLESS_SHORT.get(name, set())
    return [each for each in texts if _SOURCE_FLAGS.match(each) and each.partition("=")[0] not in fine]


def _bad_source(call: Invocation, name: str, texts: list[str], words: list[str], verb: str) -> bool:
    """Report packages that come from elsewhere than the manager's registry."""
    whole = " ".join(texts)
    pinned = bool(_PINNED.search(whole))
    addresses = [
        each for each in texts if _ADDRESS.match(each.partition("=")[2] if each.startswith("-") else each)
    ]
    flags = _source_flags(name, texts)
    if name in ("nix", "nix-shell"):
        addresses = [each for each in addresses if not each.startswith("github:NixOS/nixpkgs")]
        flags = []
    if name == "cargo" and any(each.startswith("--git") for each in texts) and pinned:
        flags = []
        addresses = []
    if any(
        HOLE in each and Taint.UNSET not in value.taints for each, value in zip(texts, call.args, strict=True)
    ):
        call.report("unknown-option", "a package whose name is computed")
    if addresses and not (pinned and all(each.startswith(("git+https:", "https:", "git+ssh:", "github:")) or " @ git+" in each
                                         or "@git+" in each for each in addresses)):  # fmt: skip
        call.report("package-source")
        return True
    if flags:
        call.report("package-source", f"another source: {flags[0].partition('=')[0]}")
        return True
    packages = words[:1] if name in ("npx", "bunx", "pnpx") else words[1:]
    by_repository = name in ("npm", "pnpm", "yarn", "bun", "npx", "bunx", "pnpx") and verb not in (
        "run",
        "run-script",
        "exec",
    )
    if by_repository and any(
        _SHORT_REPO.match(each) and not each.startswith((".", "@")) for each in packages
    ):
        call.report("package-source", "a repository instead of a package")
        return True
    if name == "go" and verb in ("install", "get", "run"):
        return _go(call, words)
    return _local_tree(call, words, verb)


def _go(call: Invocation, words: list[str]) -> bool:
    for each in words[1:]:
        host = each.partition("/")[0]
        if (
            "." in host
            and not host.startswith(".")
            and not is_forge(host)
            and not re.search(r"@v\d+\.\d+\.\d+\Z", each)
        ):
            call.report("package-source", f"a module from {host}, not pinned")
            return True
    return False


def _local_tree(call: Invocation, words: list[str], verb: str) -> bool:
    """A local path outside the skill, or an archive from the network, as the package."""
    for flag, value in _folders(call):
        if call.place(value).zone not in (Zone.SELF, Zone.TEMP, Zone.UNKNOWN, Zone.OWN_HOME):
            call.report("write-outside", f"installs into another folder by {flag}")
    for each in words[1:]:
        if not each.startswith((".", "/", "~")) and not each.endswith(
            (".whl", ".tgz", ".tar.gz", ".zip", ".deb", ".rpm", ".gem")
        ):
            continue
        place = call.place(Value(each))
        facts = call.machine.facts(place.path)
        if facts is not None and Taint.REMOTE in facts.taints and not facts.tree:
            call.report("remote-exec", "installs a package file from the network unchecked")
            return True
        if place.zone not in (Zone.SELF, Zone.TEMP, Zone.UNKNOWN):
            call.report("outside-read")
    return False


def _folders(call: Invocation) -> list[tuple[str, Value]]:
    """The folders that options name as the place to install into."""
    names = (
        "-t",
        "--target",
        "--prefix",
        "--root",
        "--install-dir",
        "--destdir",
        "--dest",
        "-C",
        "--dir",
        "--cwd",
        "--bindir",
    )
    found = []
    for value, following in zip(call.args, [*call.args[1:], Value("")], strict=True):
        name, equals, given = value.text.partition("=")
        if name in names and not (name == "-t" and call.program not in ("pip", "pip3")):
            found.append((name, value.with_text(given) if equals else following))
    return found


def _configure(call: Invocation, texts: list[str]) -> None:
    whole = " ".join(texts)
    if re.search(
        r"registry|index|ssl|strict|proxy|source|script-shell|url|cert|trusted|repo|channel|global\.", whole
    ):
        call.report("package-source" if re.search(r"set|add|registry|index", whole) else "security-off",
                    "changes where packages come from")  # fmt: skip
    else:
        call.report("account")


def _run_project(call: Invocation, name: str, verb: str) -> None:
    facts = call.machine.facts(call.machine.cwd)
    if (
        facts is not None
        and facts.tree
        and Taint.REMOTE in facts.taints
        and not facts.pinned
        and name not in ("go",)
    ):
        call.report("remote-exec" if verb in ("run", "start", "exec", "test") else "package-install")
    else:
        call.report("own-code", f"runs what the project calls {verb!r}")


def _is_locked(call: Invocation, name: str, verb: str, texts: list[str]) -> bool:
    facts = call.machine.facts(call.machine.cwd)
    zone = call.place(Value(".")).zone
    if zone is not Zone.SELF or (facts is not None and Taint.REMOTE in facts.taints):
        return False
    plain = {"--silent", "-s", "--no-audit", "--no-fund", "--omit=dev", "--production", "--quiet", "-q", "--prefer-offline",
             "--no-progress", "--loglevel=error"}  # fmt: skip
    rest = set(texts[1:]) - plain
    if name == "npm" and verb in ("ci", "clean-install"):
        return rest == {"--ignore-scripts"}
    if name in ("pnpm", "yarn", "bun") and verb == "install":
        return rest in ({"--frozen-lockfile", "--ignore-scripts"}, {"--immutable", "--mode=skip-build"})
    if name == "pip" and verb == "install":
        return _hashed(call, texts)
    if name == "uv" and verb == "venv":
        return all(
            call.place(each).zone is Zone.SELF for each in call.args[1:] if not each.text.startswith("-")
        )
    if name == "uv" and verb == "sync":
        return rest in ({"--frozen", "--no-build"}, {"--locked", "--no-build"})
    if name == "uv" and verb == "run":
        return _uv_run(call, texts)
    if name == "composer" and verb == "install":
        return rest >= {"--no-scripts", "--no-plugins"} and not rest - {
            "--no-scripts",
            "--no-plugins",
            "--no-dev",
            "--no-interaction",
        }
    return False


def _hashed(call: Invocation, texts: list[str]) -> bool:
    rest = list(texts[1:])
    if "--require-hashes" not in rest or "-r" not in rest:
        return False
    allowed = {"--require-hashes", "--no-deps", "--only-binary=:all:", "--quiet", "-q", "--no-cache-dir", "--upgrade", "-U",
               "--disable-pip-version-check", "--no-input", "--user"}  # fmt: skip
    pending = iter(rest)
    for each in pending:
        if each in ("-r", "-t", "--target", "--prefix", "--only-binary", "--requirement"):
            value = next(pending, "")
            if value != ":all:" and call.place(Value(value)).zone is not Zone.SELF:
                return False
        elif each.startswith(("--target=", "--prefix=")):
            if call.place(Value(each.partition("=")[2])).zone is not Zone.SELF:
                return False
        elif each not in allowed:
            return False
    return True


def _uv_run(call: Invocation, texts: list[str]) -> bool:
    """``uv run script.py``: the skill's own script, by the project's own environment."""
    args = list(call.args[1:])
    while args and args[0].text in (
        "--quiet",
        "-q",
        "--frozen",
        "--locked",
        "--no-sync",
        "--offline",
        "--script",
        "-s",
    ):
        args.pop(0)
    if not args or args[0].text.startswith("-"):
        return False
    if args[0].text.endswith(".py"):
        call.run_file(args[0], args[1:])
        return True
    if re.fullmatch(r"python3?", args[0].text) and len(args) > 1 and args[1].text.endswith(".py"):
        call.run_file(args[1], args[2:])
        return True
    return False


def python_module(call: Invocation, args: list[Value]) -> Result:
    """``python -m module``."""
    name = args[0].text if args else ""
    rest = args[1:]
    if name == "pip":
        return Invocation(Value("pip"), tuple(rest), call.stdin, call.walker).inner([Value("pip"), *rest])
    if name in ("venv", "virtualenv"):
        for each in rest:
            if not each.text.startswith("-"):
                call.write_file(each)
        return EMPTY
    if name in ("json.tool", "py_compile", "compileall", "tabnanny", "this", "calendar", "platform"):
        for each in rest:
            if not each.text.startswith("-"):
                call.read_file(each)
        return EMPTY
    if name in ("zipfile", "tarfile", "gzip"):
        call.report("unknown-option", f"python -m {name} is not on the list")
        return EMPTY
    if name == "http.server":
        call.report("network", "serves files")
        return EMPTY
    if not names_fetched(call, name) and not reads_the_network(call.with_args(rest), whole_tree=True):
        call.report("own-code", f"runs the module {name!r}")
    return EMPTY
