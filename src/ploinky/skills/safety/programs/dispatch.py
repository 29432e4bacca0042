"""The door to all programs: one simple command finds its rule here, or needs approval.

Order: what hides its name, functions, what is no command, paths, looks at a version, the tables, the rest.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable

from ploinky.skills.safety.invocation import EMPTY, Invocation, Result
from ploinky.skills.safety.places import Zone
from ploinky.skills.safety.programs import (
    archives,
    builds,
    builtins,
    ciphers,
    clouds,
    containers,
    data_tools,
    digests,
    effects,
    file_tools,
    interpreters,
    network,
    own_tools,
    projects,
    shapes,
    skill_tools,
    text_tools,
    vcs,
    wrappers,
)
from ploinky.skills.safety.programs.denied import (
    DENIED,
    denied,
    environment_dump,
    processes,
    tells_of_the_machine,
)
from ploinky.skills.safety.programs.foreign import why_foreign
from ploinky.skills.safety.programs.keys import asks_for_a_key
from ploinky.skills.safety.programs.managers import MANAGERS, manager_of
from ploinky.skills.safety.programs.packages import package_manager
from ploinky.skills.safety.programs.system import system_programs
from ploinky.skills.safety.values import HOLE, NONE, Stream, Taint, Value

Handler = Callable[[Invocation], Result]

_SYSTEM_FOLDER = re.compile(r"/(?:usr/(?:local/)?)?s?bin/|/opt/homebrew/bin/|/opt/local/bin/")
_OWN_ENVIRONMENT = re.compile(
    r"(?:.*/)?(?:\.?venv|env|node_modules/\.bin|\.venv/Scripts)/(?:bin/)?([\w.-]+)\Z"
)
_LOADER = re.compile(r"ld(?:-[\w.-]+)?\.so(?:\.\d+)*\Z")
_VERSION = frozenset({"--version", "-V", "-v", "version", "--help", "-h", "help", "-version"})
_OPENERS = frozenset({"start", "open", "xdg-open", "explorer", "run"})
_WINDOWS_FILE = re.compile(r"\.(?:exe|msi|bat|cmd|ps1|vbs|scr|lnk)\Z", re.IGNORECASE)
_TOOL_CALL = re.compile(r"[a-z_]+:(?!//)[^/@]", re.IGNORECASE)


def _table(*rows: tuple[str, Handler]) -> dict[str, Handler]:
    return {name: handler for names, handler in rows for name in names.split()}


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(shapes.SHAPES, shapes.shaped),
    **dict.fromkeys(DENIED, denied),
    **dict.fromkeys(MANAGERS, package_manager),
    **dict.fromkeys(interpreters.SHELLS, interpreters.shell),
    **dict.fromkeys(wrappers.PLAIN, wrappers.plain_wrapper),
    **dict.fromkeys(clouds.CLOUDS, clouds.cloud),
    **dict.fromkeys(projects.RUNNERS, projects.runner),
    **_table(
        ("echo", text_tools.echo),
        ("printf", text_tools.printf),
        ("dirname basename realpath readlink pwd", text_tools.name_of_path),
        ("mktemp", text_tools.mktemp),
        ("sed gsed", text_tools.sed),
        ("awk gawk mawk nawk", text_tools.awk),
        ("find gfind", text_tools.find),
        ("sqlite3 duckdb", data_tools.sqlite),
        ("ed red", data_tools.line_editor),
        ("read mapfile readarray", text_tools.read_builtin),
        ("cp mv install ginstall", file_tools.copy),
        ("ln", file_tools.link),
        ("rm unlink", file_tools.remove),
        ("trash trash-put", file_tools.remove),
        ("chmod", file_tools.mode),
        ("chown chgrp", file_tools.owner),
        ("tee sponge", file_tools.tee),
        ("sort", file_tools.sort),
        ("split csplit", file_tools.split),
        ("ssh-keygen", network.ssh_key),
        ("dd", file_tools.dd),
        ("rsync", file_tools.rsync),
        ("shred fallocate srm", file_tools.wipe),
        ("cd pushd popd chdir", builtins.change_folder),
        ("test [", builtins.test),
        ("exit return logout", builtins.leave),
        ("eval", builtins.evaluate),
        ("source .", builtins.source),
        ("set shopt setopt", builtins.settings),
        ("trap", builtins.trap),
        ("alias", builtins.alias),
        ("exec", builtins.exec_builtin),
        ("kill", builtins.kill),
        ("command", builtins.command_builtin),
        ("let unset", builtins.let),
        ("sha256sum sha384sum sha512sum sha1sum md5sum shasum b2sum b3sum gsha256sum", digests.checksum),
        ("openssl", digests.openssl),
        ("curl", network.curl),
        ("wget", network.wget),
        ("nc ncat netcat nc.traditional nc.openbsd", network.raw_connection),
        ("scp sftp ftp lftp tftp", network.remote_copy),
        ("ssh mosh", network.ssh),
        ("dig nslookup host ping drill resolvectl traceroute ping6", network.name_lookup),
        (("aria2c http https httpie xh lynx links w3m elinks axel fetch lwp-request GET POST youtube-dl "
          "yt-dlp curlie git-lfs hurl"), network.other_fetch),
        ("tar gtar bsdtar star", archives.tar),
        ("cpio pax", archives.copy_archive),
        ("rpm dpkg-deb alien installer pkgutil", archives.system_package),
        ("unzip", archives.unzip),
        ("7z 7za 7zr unrar rar", archives.seven_zip),
        ("zip", archives.zip_up),
        ("base64 base32 xxd uudecode basenc gbase64", archives.decode),
        ("git", vcs.git),
        ("svn hg bzr fossil jj cvs", vcs.other_clone),
        ("hash enable bind complete compgen", builtins.rebind),
        ("patch", vcs.patch),
        ("docker podman docker-compose podman-compose nerdctl colima buildah", containers.container),
        (("clawhub clawdhub molthub openclaw clawdbot moltbot skills skillhub add-skill openskills "
          "claude codex gemini cursor opencode smithery mcp-get cursor-agent copilot aider "
          "goose"), skill_tools.skill_tool),
        (("make gmake cmake ninja meson ant mvn gradle bazel just task rake scons tox nox invoke gulp "
         "grunt"), builds.build),
        ("env", wrappers.env),
        ("printenv", environment_dump),
        ("ps", processes),
        ("xargs parallel gxargs", wrappers.xargs),
        ("busybox toybox", wrappers.busybox),
        ("script watch hyperfine", wrappers.script_recorder),
        ("sudo doas nohup setsid fakeroot", wrappers.privileged),
        (("vi vim nvim ex emacs nano less more man view rvim gvim rview vimdiff vimtutor pico joe jed micro "
          "hx kak helix mcedit emacsclient most pg"), wrappers.editor),
        ("gpg gpg2 gpgv age rage ccrypt mcrypt aescrypt bcrypt scrypt sops", ciphers.cipher),
        ("export declare typeset local readonly", builtins.let),
    ),
}  # fmt: skip


def dispatch(call: Invocation) -> Result:
    """Judge one simple command; what is wrong is reported, the result is what it leaves."""
    name = call.name
    if name.masked:
        call.report("obfuscated", "quotes hide the program's name")
    made = name.taints & {Taint.REMOTE, Taint.DECODED}
    if made or not name.known or (name.glob and name.text not in ("[", "[[")):
        return _computed(call)
    if name.text in call.machine.aliases and not name.masked:
        return _alias(call)
    if name.text in call.machine.functions:
        return call.walker.call_function(name.text, call.args, call.stdin)
    why = why_foreign(name, call.args)
    if why is not None:
        call.report("odd-characters" if not name.text.isascii() else "not-shell", why)
        return EMPTY
    if "/" in name.text:
        return _path(call)
    return _program(call, name.text)


def _runs_code(texts: list[str]) -> bool:
    """Whether ``bun`` is called as an interpreter, not as a package manager."""
    words = texts[1:] if texts[:1] == ["run"] else texts
    first = next(iter(words), "")
    return first in ("-", "-e", "-p", "--eval", "--print") or first.endswith((".ts", ".js", ".mjs", ".tsx"))


def _alias(call: Invocation) -> Result:
    """What an alias stands for, with the arguments behind it."""
    meaning = call.machine.aliases.pop(call.name.text)
    words = [Value(each) for each in meaning.split()]
    result = call.inner([*words, *call.args])
    call.machine.aliases[call.name.text] = meaning
    return result


def _computed(call: Invocation) -> Result:
    taints = call.name.taints
    fed = call.stdin is not None and Taint.REMOTE in call.stdin.taints
    if Taint.REMOTE in taints or fed:
        call.report("remote-exec")
    elif Taint.DECODED in taints:
        call.report("piped-code", "decoded text is executed")
    else:
        call.report("computed-command")
    return EMPTY


def _path(call: Invocation) -> Result:
    text = call.name.text
    place = call.place(call.name)
    base = posixpath.basename(place.path if _SYSTEM_FOLDER.match(place.path) else text)
    if _LOADER.match(base):
        call.report("hijack", "the loader starts a program in the place of the kernel")
        return EMPTY
    own = _OWN_ENVIRONMENT.match(text)
    if (
        _SYSTEM_FOLDER.match(place.path)
        and posixpath.dirname(place.path).rstrip("/") + "/" in (_SYSTEM_FOLDER.match(place.path) or [""])[0]
    ):
        return _program(call, base)
    if own and place.zone is Zone.SELF and (manager_of(base) or interpreters.language_of(base)):
        facts = call.machine.facts(place.path)
        if facts is None:
            return _program(call, base)
    if base in DENIED or base in interpreters.SHELLS:
        return _program(call, base)
    return call.run_file(call.name, call.args)


def _program(call: Invocation, name: str) -> Result:
    call = Invocation(call.name.with_text(name), call.args, call.stdin, call.walker)
    if _LOADER.match(name):
        call.report("hijack", "the loader starts a program in the place of the kernel")
        return EMPTY
    if name.startswith("mkfs."):
        call.report("destruction", f"runs {name}")
        return EMPTY
    if _is_downloaded(call, name) or (name not in HANDLERS and projects.in_fetched_folder(call, name)):
        call.report("remote-exec", f"runs {name}, which came from the network unchecked")
        return EMPTY
    looks_only = len(call.args) == 1 and call.args[0].text in _VERSION and call.stdin is None
    if looks_only and name not in DENIED:
        return Result(Stream(frozenset({Taint.COMPUTED})))
    if name in ("npx", "bunx", "pnpx", "uvx", "pipx"):
        if any(_is_downloaded(call, each.text) for each in call.args if not each.text.startswith("-")):
            call.report("remote-exec", "runs a program that came from the network unchecked")
        skill_tools.through_npx(call)
    if interpreters.language_of(name) and name not in ("bun", "deno"):
        return interpreters.interpreter(call)
    if name == "deno" or (name == "bun" and _runs_code(call.texts)):
        return interpreters.interpreter(call)
    handler = HANDLERS.get(name)
    if handler is not None:
        return handler(call)
    if manager_of(name):
        return package_manager(call)
    return _unknown(call)


def _is_downloaded(call: Invocation, name: str) -> bool:
    machine = call.machine
    return any(
        posixpath.basename(path) == name
        and Taint.REMOTE in facts.taints
        and path not in machine.verified
        and not facts.tree
        for path, facts in machine.files.items()
    )


def _unknown(call: Invocation) -> Result:
    """A program that no rule reads: one of the skill's own that only looks is allowed;
    everything else asks.
    """
    fed = call.stdin.taints if call.stdin is not None else NONE
    taints = NONE.union(*(each.taints for each in call.args))
    brought = projects.has_unchecked(call)
    tells = {Taint.LOCAL} if tells_of_the_machine(call.program) else set()
    out = Result(Stream(frozenset({Taint.COMPUTED, *tells, *({Taint.REMOTE} if brought else set())})))
    if (taints | fed) & {Taint.REMOTE, Taint.DECODED}:
        _fed_unseen(call, taints, fed)
        return out
    if Taint.SECRET in taints | fed:
        keeps = effects.views(call.program) or call.program not in system_programs()
        call.report("unknown-command" if keeps else "exfiltration", "an unknown program gets secrets")
        return out
    if call.args and not call.args[0].quoted and _TOOL_CALL.match(call.args[0].text):
        call.report("not-shell", "a call of an assistant's tool, no command")
        return out
    if projects.installs_fetched(call):
        return out
    if call.program in _OPENERS and any(_WINDOWS_FILE.search(each.text) for each in call.args):
        call.report("not-shell", "a command of Windows")
    call.show(call.args)
    projects.writes_elsewhere(call)
    effects.touches_others(call)
    own = own_tools.is_own(call.program)
    if call.program not in system_programs() and asks_for_a_key(call):
        call.report("read-secret", f"{call.program} is asked for a key")
    projects.unpacks_unseen(call)
    effects.judge_words(call)
    declared = call.program in call.machine.bins and own_tools.is_plain(call)
    if own and call.stdin is None and (declared or own_tools.only_looks(call)):
        return out
    call.report("unknown-command", f"{call.program} is not on the list")
    return out


def _fed_unseen(call: Invocation, taints: frozenset[Taint], fed: frozenset[Taint]) -> None:
    """An unknown program gets text from the network or a decoder:
    a system's own, which may execute it, is refused.
    """
    executes = call.program in system_programs() and not effects.views(call.program)
    piped = Taint.PIPE in taints and Taint.REMOTE in taints and not effects.views(call.program)
    if Taint.REMOTE in taints | fed and (executes or piped):
        call.report(
            "remote-exec", f"{call.program} gets text from the network, and nobody knows what it does with it"
        )
    else:
        call.report("unknown-command", "an unknown program gets text from the network")
    effects.judge_words(call)
    projects.unpacks_unseen(call)


def name_value(text: str) -> Value:
    """A name as a value, for rules that start a program themselves."""
    return Value(text if text else HOLE)
