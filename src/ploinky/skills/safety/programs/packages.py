"""Package managers: where a package may come from, and which installs run nobody else's code.

A lock file with digests and without scripts is allowed; a registry asks; plain addresses, unpinned
repositories and other indexes are refused. The managers are rows of ``managers``.
"""

from __future__ import annotations

import re

from ploinky.skills.safety.invocation import Invocation, Result
from ploinky.skills.safety.machine import FileFacts
from ploinky.skills.safety.places import Zone
from ploinky.skills.safety.programs.hosts import is_forge
from ploinky.skills.safety.programs.managers import MANAGERS, Manager, name_of
from ploinky.skills.safety.programs.projects import (
    reads_the_network,
)
from ploinky.skills.safety.values import HOLE, Stream, Taint, Value

_SOURCE_FLAGS = re.compile(
    r"(?:-i|--(?:extra-)?index(?:-url)?|--default-index|--registry|--find-links|-f|--source"
    r"|--repo(?:sitory)?|--trusted-host|--proxy"
    r"|--allow-insecure\S*|--allow-unauthenticated|--no-gpg-check|--nogpgcheck|--allow-untrusted"
    r"|--no-verify\S*|--index-strategy"
    r"|--channel|-c|--override-channels|--from-git|--git|--config-settings|--userconfig|--globalconfig"
    r"|--cert|--node-options"
    r"|--strict-ssl|--no-strict-ssl|--unsafe-perm|--force-yes|--nodeps|--nosignature|--skip-verify\S*"
    r"|--ignore-signature\S*|--script-shell|-X|--repository|--extra-experimental-features|--git-url"
    r"|--tap)(?:=.*)?\Z"
)
_HARMLESS_SHORT = {
    **dict.fromkeys(("conda", "mamba"), frozenset({"-c", "--channel"})),
    **dict.fromkeys(("npm", "pnpm", "bun", "yarn", "pipx"), frozenset({"-f", "-c"})),
    **dict.fromkeys(("brew", "apt", "apt-get", "cargo", "poetry", "dotnet"), frozenset({"-f"})),
    **dict.fromkeys(("uv", "pip"), frozenset({"-c"})),
    "gem": frozenset({"-i"}),
    "go": frozenset({"-i", "-c"}),
}
_ADDRESS = re.compile(
    r"(?:[\w.-]+ ?@ ?)?(?:git\+)?(?:https?|git|ssh|svn|hg|ftp|file)(?:\+\w+)?://|[\w./@-]*@(?:git|github"
    r"|gitlab|bitbucket|gist):|git@|github:|gitlab:|bitbucket:|gist:"
)
_NIXPKGS = re.compile(
    r"(?:[\w.-]+=)?(?:github:NixOS/nixpkgs(?:[/?]|\Z)|https://github\.com/NixOS/nixpkgs/"
    r"|https://nixos\.org/channels/|https://channels\.nixos\.org/)"
)
_PINNED = re.compile(r"[@#=](?:semver:)?[0-9a-f]{40}(?:#|\Z|&)|#sha(?:256|512)[=:-]|--rev[= ][0-9a-f]{40}")
_SHORT_REPO = re.compile(r"[A-Za-z0-9][\w-]*/[\w.-]+(?:#.+)?\Z")


def package_manager(call: Invocation) -> Result:
    """A call of a package manager."""
    name = name_of(call.program)
    manager = MANAGERS[name]
    texts = call.texts
    words = [each for each in texts if not each.startswith("-")]
    verb = next(iter(words), next(iter(texts), ""))
    if texts and texts[0] in manager.installs | manager.looks:
        verb = texts[0]
    out = Result(Stream(frozenset({Taint.COMPUTED})))
    if not texts or (verb in manager.looks and not _does_more(name, texts, words)):
        if not texts and (not manager.looks or name in ("yarn", "bundle", "pnpm")):
            call.report("package-install")
        return out
    _told_text(call, verb)
    _brought_archives(call, name, verb, words)
    if not _bad_source(call, name, texts, words, verb):
        _judge_verb(call, name, verb, manager)
    return out


_RUNS_MORE = re.compile(
    r"-(?:toolexec|vettool|exec|overlay|modfile)\b|(?:--config[= ]?)?.*\b(?:runner|rustc|rustdoc"
    r"|rustc-wrapper|linker|ar)\s*=\s*\S|--(?:runner|linker|shell-command)\b"
)
_MORE_FLAGS = re.compile(r"-w\Z|--?(?:write|fix|toolexec|vettool|exec|modfile|overlay|output|out)\b")
_LOOK_FLAGS = re.compile(
    r"-[aglhvqsioeu]\Z|-V\Z|--(?:json|depth(?:=\d+)?|global|all|long|parseable|format(?:=[\w-]+)?|outdated"
    r"|not-required|local|user|verbose"
    r"|quiet|version|versions|help|installed|omit(?:=dev)?|prod|production|dev|no-color|color(?:=\w+)?|tree"
    r"|freeze|exclude-editable|formula"
    r"|cask|upgradable|limit(?:=\d+)?|include(?:=dev)?|silent|level|audit-level=\w+|prefix|files|no-dev"
    r"|explicit|name|manual-installed|edges|offline|locked|frozen|no-deps|workspace|active|bare|path)\Z"
)
_MORE_WORDS = frozenset(
    "fix update upgrade init purge clean set add push remove rm install lock archive".split()
)


def _does_more(name: str, texts: list[str], words: list[str]) -> bool:
    """Whether a verb that looks is told to do more:
    ``go env -w``, ``npm audit fix``, ``nix flake init -t github:...``.
    """
    if name == "go" and any(
        re.match(r"(?:GO(?:PROXY|FLAGS|SUMDB|NOSUMDB|INSECURE|PRIVATE)|CC|CXX)=", each) for each in texts
    ):
        return True
    flags = [each for each in texts[1:] if each.startswith("-") and len(texts) > 1]
    return (
        any(not _LOOK_FLAGS.match(each) for each in flags)
        or bool(_source_flags(name, texts))
        or any(_MORE_FLAGS.match(each) or _ADDRESS.match(each) for each in texts)
        or bool(_MORE_WORDS & set(words[1:2]))
    )


def _judge_verb(call: Invocation, name: str, verb: str, manager: Manager) -> None:
    texts = call.texts
    runs = verb not in manager.looks | manager.configures or manager.fetches_itself
    if runs and reads_the_network(call):
        return
    if call.stdin is not None and Taint.REMOTE in call.stdin.taints:
        call.report("remote-exec", "installs what a list from the network names")
    if any(_RUNS_MORE.match(each) for each in texts):
        call.report("hijack", f"{name} with another program in the place of one of its own")
    if name == "npm" and texts[:1] in (["set-script"], ["pkg"]):
        _script_set(call, texts)
    elif verb in manager.configures:
        _configure(call, texts)
    elif verb in manager.runs:
        _run_project(call, name, verb)
    elif not _is_locked(call, name, verb, texts):
        call.report("package-install")


def _told_text(call: Invocation, verb: str) -> None:
    """``npm exec -c TEXT``: a shell executes it."""
    for flag, value in zip(call.texts, call.args[1:], strict=False):
        if verb in ("exec", "x", "dlx") and flag in ("-c", "--call"):
            call.walker.evaluate(value.text, None)


def _brought_archives(call: Invocation, name: str, verb: str, words: list[str]) -> None:
    """``npm pack``, ``pip download``: archives of whose names only the beginning is known."""
    if (name, verb) not in (("npm", "pack"), ("pip", "download"), ("gem", "fetch"), ("pip", "wheel")):
        return
    for each in words[1:]:
        path = f"{call.machine.cwd}/{each}{HOLE}"
        call.machine.files[path] = FileFacts(frozenset({Taint.REMOTE}), None, call.walker.line, tree=True)


def _script_set(call: Invocation, texts: list[str]) -> None:
    """``npm set-script``, ``npm pkg set scripts.name=text``: a text that will be executed is walked."""
    if texts[0] == "pkg" and texts[1:2] == ["get"]:
        return
    call.report("own-code", "changes the project's scripts")
    for each in texts[2:]:
        call.walker.evaluate(each.partition("=")[2] if texts[0] == "pkg" else each, None)


def _source_flags(name: str, texts: list[str]) -> list[str]:
    fine = _HARMLESS_SHORT.get(name, frozenset())
    return [each for each in texts if _SOURCE_FLAGS.match(each) and each.partition("=")[0] not in fine]


def _bad_source(call: Invocation, name: str, texts: list[str], words: list[str], verb: str) -> bool:
    """Report packages that come from elsewhere than the manager's registry."""
    whole = " ".join(texts)
    pinned = bool(_PINNED.search(whole))
    addresses = [
        each for each in texts if _ADDRESS.match(each.partition("=")[2] if each.startswith("-") else each)
    ]
    flags = _source_flags(name, texts)
    if name.startswith("nix"):  # the search path names its channels: nixpkgs=ADDRESS
        addresses += [each for each in texts if _ADDRESS.match(each.partition("=")[2])]
        addresses = [each for each in addresses if not _NIXPKGS.match(each)]
        flags = []
    hooks = [
        each
        for each in texts
        if re.search(r"\w+::(?:\w+-)*Invoke|Dir::|::Proxy|^GO(?:PROXY|FLAGS|SUMDB|NOSUMDB|INSECURE)=", each)
    ]
    if hooks:
        call.report(
            "package-source" if name == "go" else "hijack", "a setting that changes what is run or trusted"
        )
        return True
    if name == "cargo" and any(each.startswith("--git") for each in texts) and pinned:
        flags = []
        addresses = []
    if any(
        HOLE in each and Taint.UNSET not in value.taints for each, value in zip(texts, call.args, strict=True)
    ):
        call.report("unknown-option", "a package whose name is computed")
    if addresses and not (pinned and all(each.startswith(("git+https:", "https:", "git+ssh:",
                                                          "github:")) or " @ git+" in each
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


_QUIET_SETTINGS = re.compile(
    r"(?:fund|audit|loglevel|progress|color|save-exact|save-prefix|engine-strict|update-notifier|nodeLinker"
    r"|enableTelemetry"
    r"|virtualenvs[.-]in-project|virtualenvs[.-]create|cache[.-]dir|parallel|jobs|auto-install-peers)\Z"
)
_ACCOUNTS = frozenset("publish login adduser token owner push signin cert services untap self".split())
_SECRET_SETTING = re.compile(r"auth|token|passw|secret|key", re.IGNORECASE)


def _configure(call: Invocation, texts: list[str]) -> None:
    """A setting of a manager: a few only change what is shown or kept;
    any other may change what runs or is trusted.
    """
    words = [each.partition("=")[0] for each in texts if not each.startswith("-")]
    if words[:1] and words[0] in _ACCOUNTS:
        call.report("account")
    elif len(words) > 2 and words[1] in ("set", "delete", "rm", "unset") and _QUIET_SETTINGS.match(words[2]):
        call.report("account", "changes a setting of the owner")
    elif words[1:2] in (["list"], ["get"], ["ls"]) and not _SECRET_SETTING.search(" ".join(words)):
        call.report("account", "reads settings of the owner")
    else:
        call.report("package-source", "changes where packages come from or what they run")


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
    plain = {"--silent", "-s", "--no-audit", "--no-fund", "--omit=dev", "--production",
             "--quiet", "-q", "--prefer-offline", "--no-progress", "--loglevel=error"}  # fmt: skip
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
    allowed = {"--require-hashes", "--no-deps", "--only-binary=:all:", "--quiet", "-q",
               "--no-cache-dir", "--upgrade", "-U", "--disable-pip-version-check", "--no-input",
               "--user"}  # fmt: skip
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
