"""git: clones are known as other people's files until they stand at a full commit;
hooks and options that run programs are refused.
"""

from __future__ import annotations

import itertools
import posixpath
import re
from collections.abc import Sequence
from dataclasses import replace

from ploinky.skills.safety.invocation import EMPTY, Invocation, Result
from ploinky.skills.safety.machine import FileFacts
from ploinky.skills.safety.places import Zone
from ploinky.skills.safety.programs.hosts import look_at
from ploinky.skills.safety.values import Stream, Taint, Value

_LOOKS = frozenset("status log diff show branch rev-parse ls-files describe remote blame shortlog tag "
                   "version --version cat-file rev-list ls-tree name-rev grep".split())  # fmt: skip
_RUNS = re.compile(
    r"core\.(?:hookspath|sshcommand|editor|pager|fsmonitor|gitproxy|askpass|attributesfile|excludesfile"
    r"|worktree)|alias\.|filter\."
    r"|diff\..*(?:textconv|command|external)|merge\..*driver|credential|gpg|protocol\.|http\.|https\.|url\."
    r"|init\.templatedir|include|sequence\.editor|mergetool|difftool|pager\.|sendemail|uploadpack|receivepack"
    r"|remote\..*(?:uploadpack|receivepack|vcs)"
    r"|submodule\..*update|browser|man\.|web\.browser|interactive\.|safe\.",
    re.IGNORECASE,
)
_LOOK_FLAGS = re.compile(
    r"-(?:\d+|[abcdfhilLmnopqrstuvwzCEFSUsv]{1,3}|n\d+|U\d+|L\d+,\d+(?::.*)?|[SG].+|-)\Z|--(?:short"
    r"|porcelain(?:=v?[12])?|branch|stat(?:=\d+)?|shortstat|numstat"
    r"|name-only|name-status|oneline|graph|all|decorate(?:=\w+)?|format=.*|pretty(?:=.*)?|abbrev-commit"
    r"|abbrev(?:-ref)?(?:=\w+)?|no-color"
    r"|color(?:=\w+)?|cached|staged|summary|since=.*|until=.*|after=.*|before=.*|author=.*|grep=.*"
    r"|max-count=\d+|reverse|follow|first-parent"
    r"|merges|no-merges|date=.*|show-current|list|merged|no-merged|contains|sort=.*|points-at|show-toplevel"
    r"|is-inside-work-tree|git-dir"
    r"|short=\d+|verify|quiet|show-prefix|show-cdup|absolute-git-dir|others|exclude-standard|modified"
    r"|deleted|untracked-files(?:=\w+)?"
    r"|ignored|tags|always|dirty|long|count|objects|no-patch|patch|word-diff(?:=\w+)?|ignore-(?:space-change"
    r"|all-space|blank-lines)"
    r"|minimal|exit-code|check|diff-filter=\w+|find-renames|ignore-case|line-number|full-name|heads|remotes"
    r"|version|no-pager|verbose|numbered|email|left-right|cherry-pick|batch-check|pretty)\Z"
)
_REMOTE = frozenset({Taint.REMOTE})
_COMMIT = re.compile(r"[0-9a-f]{40}\Z")


def git(call: Invocation) -> Result:
    """``git``."""
    args = list(call.args)
    cwd = call.machine.cwd
    while args and args[0].text.startswith("-"):
        flag = args.pop(0)
        name, equals, given = flag.text.partition("=")
        if name == "-C":
            place = call.place(args.pop(0)) if args else call.place(Value("."))
            cwd = place.path
            if place.zone not in (Zone.SELF, Zone.TEMP, Zone.UNKNOWN, Zone.OWN_HOME):
                call.report("write-outside", "works in a repository outside")
        elif name in ("-c", "--config-env"):
            setting = flag.with_text(given) if equals else (args.pop(0) if args else Value(""))
            call.report(
                "hijack" if _RUNS.match(setting.text) or not setting.known else "unknown-option",
                "git with settings",
            )
        elif name in ("--git-dir", "--work-tree", "--exec-path", "--namespace"):
            value = flag.with_text(given) if equals else (args.pop(0) if args else Value(""))
            call.report("hijack" if name == "--exec-path" else "unknown-option", f"git with {name}")
            if call.place(value).zone not in (Zone.SELF, Zone.TEMP):
                call.report("write-outside")
        elif name not in ("--no-pager", "-p", "--version", "--no-optional-locks", "--help"):
            call.report("unknown-option", f"git with {name!r} is not on the list")
    if not args:
        return EMPTY
    verb, rest = args[0].text, args[1:]
    handler = _VERBS.get(verb)
    if handler is not None:
        handler(call, rest, cwd)
    else:
        _other(call, verb, rest)
    far = verb == "archive" and any(each.text.startswith("--remote") for each in rest)
    return Result(Stream(frozenset({Taint.REMOTE if far else Taint.COMPUTED})))


def _other(call: Invocation, verb: str, rest: list[Value]) -> None:
    call.show(rest)
    if verb.startswith("credential"):
        call.report("read-secret", f"git {verb}")
    elif verb == "bundle" and len(rest) > 1 and rest[0].text == "create":
        call.write_file(rest[1])
        call.report("unknown-option", "git bundle")
    elif verb in _LOOKS:
        _look(call, verb, rest)
    else:
        call.report(
            "account" if verb in ("push", "request-pull", "send-email") else "unknown-option", f"git {verb}"
        )


def _look(call: Invocation, verb: str, rest: list[Value]) -> None:
    texts = [each.text for each in rest]
    if any(
        each.startswith(("--output", "-O", "--open-files-in-pager", "--ext-diff", "--textconv", "--exec"))
        for each in texts
    ):
        call.report("unknown-option", f"git {verb} with an option that is not on the list")
    if any(re.match(r"-O.|--open-files-in-pager=", each) for each in texts):
        call.report("inline-code", "git that starts a pager of its own")
    for each, following in zip(rest, [*rest[1:], Value("")], strict=False):
        name, equals, given = each.text.partition("=")
        if name == "--output":
            call.write_file(each.with_text(given) if equals else following)
    call.show(rest)
    if any(not _LOOK_FLAGS.match(each) for each in texts if each.startswith("-")) or (
        verb in ("branch", "tag", "remote") and any(not each.startswith("-") for each in texts)
    ):
        call.report("unknown-option", f"git {verb} with a word that is not on the list")
    if verb == "remote" and texts and texts[0] in ("add", "set-url"):
        call.report("network", "names another repository")
        names = [each for each in texts[1:] if not each.startswith("-")]
        if names:
            call.machine.variables[f"git remote {names[0]}"] = ()


def _clone(call: Invocation, rest: list[Value], cwd: str) -> None:
    operands, pending = [], list(rest)
    while pending:
        value = pending.pop(0)
        name, equals, given = value.text.partition("=")
        if name in (
            "-c",
            "--config",
            "--template",
            "-u",
            "--upload-pack",
            "--separate-git-dir",
            "--reference",
        ):
            setting = given if equals else (pending.pop(0).text if pending else "")
            risky = name not in ("-c", "--config") or _RUNS.match(setting)
            call.report("hijack" if risky else "unknown-option", f"git clone with {name}")
        elif name in (
            "-b",
            "--branch",
            "--depth",
            "-j",
            "--jobs",
            "-o",
            "--origin",
            "--filter",
            "--shallow-since",
        ):
            if not equals and pending:
                pending.pop(0)
        elif not value.text.startswith("-"):
            operands.append(value)
    if not operands:
        return
    source = operands[0]
    _check_source(call, source)
    name = posixpath.basename(source.text.rstrip("/")).removesuffix(".git").rpartition(":")[2]
    target = operands[1] if len(operands) > 1 else Value(name or ".")
    if not target.text.startswith(("/", "\0")):
        target = target.with_text(posixpath.join(cwd, target.text))
    place = call.write_file(target, Stream(frozenset({Taint.REMOTE})))
    remote = "://" in source.text or "@" in source.text or ":" in source.text or not source.known
    if remote:
        call.report("download", "clones a repository")
        call.machine.files[place.path] = FileFacts(
            frozenset({Taint.REMOTE}), None, call.walker.line, tree=True
        )


def clone_from(call: Invocation, rest: Sequence[Value]) -> None:
    """Another program that clones: the folder it makes holds what came from the network."""
    operands = [each for each in rest if not each.text.startswith("-")]
    if not operands:
        return
    name = posixpath.basename(operands[0].text.rstrip("/")).removesuffix(".git")
    place = call.write_file(operands[1] if len(operands) > 1 else Value(name or "."), Stream(_REMOTE))
    call.report("download", "clones a repository")
    call.machine.files[place.path] = FileFacts(_REMOTE, None, call.walker.line, tree=True)


def other_clone(call: Invocation) -> Result:
    """``svn``, ``hg`` and their kin: they ask; what they bring is known as such."""
    texts = call.texts
    if any(each.startswith(("--config", "--ssh", "--remotecmd", "--debugger")) for each in texts):
        call.report("hijack", f"{call.program} with settings")
    if texts and texts[0] in ("clone", "checkout", "co", "export", "branch", "switch"):
        clone_from(call, call.args[1:])
    elif texts and texts[0] in ("update", "up", "pull"):
        _update(call, [], call.machine.cwd)
    elif not texts or texts[0] not in ("status", "log", "diff", "info", "st"):
        call.report("unknown-option", f"{call.program} is not on the list")
    return EMPTY


def patch(call: Invocation) -> Result:
    """``patch``: the folder is as good as what was applied to it."""
    _apply(call, list(call.args), call.machine.cwd)
    for each in [each for each in call.args if not each.text.startswith("-")][:1]:
        call.write_file(each)
    for flag, value in zip(call.texts, call.args[1:], strict=False):
        if flag in ("-d", "--directory", "-o", "--output"):
            call.write_file(value)
    for each in call.args:
        match = re.match(r"(?:-[do]|--(?:directory|output)=)(.+)", each.text)
        if match:
            call.write_file(each.with_text(match.group(1)))
    return EMPTY


def _apply(call: Invocation, rest: list[Value], cwd: str) -> None:
    streams = [call.read_file(each) for each in rest if not each.text.startswith("-")]
    if call.stdin is not None:
        streams.append(call.stdin)
    if any(each.text == "--unsafe-paths" for each in rest):
        call.report("write-outside", "a patch of files outside")
    if any(Taint.REMOTE in each.taints for each in streams):
        call.machine.files[cwd] = FileFacts(_REMOTE, None, call.walker.line, tree=True)
    call.report("unknown-option", "applies a patch")


def _push(call: Invocation, rest: list[Value], cwd: str) -> None:
    operands = [each for each in rest if not each.text.startswith("-")]
    target = operands[0].text if operands else ""
    named = any(each == f"git remote {target}" or not target for each in call.machine.variables
                if each.startswith("git remote "))  # fmt: skip
    elsewhere = (
        "://" in target or re.match(r"[\w.-]+@?[\w.-]*:", target) or target.startswith(("/", "..", "\0"))
    )
    gone = any(each.text in ("--delete", "-d", "--mirror") for each in rest) or any(
        each.text.startswith(":") for each in operands[1:]
    )
    if gone:
        call.report("destruction", "removes what others have")
    call.report("exfiltration" if elsewhere or named else "account", "sends a repository away")


def _worktree(call: Invocation, rest: list[Value], cwd: str) -> None:
    operands = [each for each in rest[1:] if not each.text.startswith("-")]
    if rest and rest[0].text in ("add", "move") and operands:
        call.write_file(operands[0] if rest[0].text == "add" else operands[-1])
    call.report("unknown-option", "git worktree")


def _check_source(call: Invocation, source: Value) -> None:
    text = source.text
    if text.startswith(("ext::", "fd::", "-")) or "::" in text:
        call.report("inline-code", "a transport that runs a program")
    elif source.taints & {Taint.SECRET, Taint.LOCAL}:
        call.report("exfiltration")
    elif "://" in text:
        address = look_at(text)
        if address.problem:
            call.report(address.problem, address.why)
        elif address.scheme in ("http", "git", "ftp"):
            call.report("package-source", "a repository without encryption")


def _checkout(call: Invocation, rest: list[Value], cwd: str) -> None:
    facts = call.machine.facts(cwd)
    fixed = any(_COMMIT.match(each.text) for each in rest)
    if facts is not None and facts.tree:
        folder = max((each for each in call.machine.files if cwd.startswith(each)), key=len, default=cwd)
        call.machine.files[folder] = replace(facts, pinned=fixed)
    call.report("unknown-option", "changes the working tree")


def _update(call: Invocation, rest: list[Value], cwd: str) -> None:
    if any(
        each.text in ("--upload-pack", "--exec") or each.text.startswith(("--upload-pack=", "--exec="))
        for each in rest
    ):
        call.report("hijack")
    files = call.machine.files
    files.setdefault(cwd, FileFacts(_REMOTE, None, call.walker.line, tree=True))
    for path in [path for path, facts in files.items() if facts.pinned and cwd.startswith(path)]:
        files[path] = replace(files[path], pinned=False)
    for each in rest:
        if "::" in each.text:
            _check_source(call, each)
    place = call.place(Value(cwd))
    call.report("agent-instructions" if place.zone in (Zone.OUTSIDE,
                                                       Zone.SECRET) and "skill" in cwd else "download",
                "brings the repository's newest state")  # fmt: skip


def _discard(call: Invocation, rest: list[Value], cwd: str) -> None:
    if any(_COMMIT.match(each.text) for each in rest):
        _checkout(call, rest, cwd)
    spots = [Value(cwd), *(each for each in rest if each.text.startswith(("/", ".", "~")))]
    outside = any(call.place(each).zone not in (Zone.SELF, Zone.TEMP) for each in spots)
    call.report("destruction" if outside else "unknown-option", "discards work")


_CONFIG_LOOKS = re.compile(
    r"--(?:get(?:-all)?|list|local|show-origin|show-scope|name-only|type=\w+|bool|int|null)\Z|-[lz]\Z"
)


def _config(call: Invocation, rest: list[Value], cwd: str) -> None:
    texts = [each.text for each in rest]
    names = [each for each in texts if not each.startswith("-")]
    if any(_RUNS.match(each) for each in names) and len(names) > 1:
        call.report(
            "security-off" if names[0].lower().endswith("sslverify") else "hijack",
            "a setting that runs programs",
        )
    elif "--global" in texts or "--system" in texts:
        call.report("write-outside" if "--system" in texts else "home-write", "the person's own settings")
    elif len(names) > 1 or not (names or "--list" in texts or "-l" in texts):
        call.report("unknown-option", "changes the repository's settings")
    elif any(each.startswith("-") and not _CONFIG_LOOKS.match(each) for each in texts):
        call.report("unknown-option", "git config with a word that is not on the list")


def _submodule(call: Invocation, rest: list[Value], cwd: str) -> None:
    texts = [each.text for each in rest]
    call.report("inline-code" if texts[:1] == ["foreach"] else "download", "git submodules")
    if texts[:1] == ["add"]:
        clone_from(call, rest[1:])
    elif "update" in texts:
        _update(call, [], cwd)
    if texts[:1] == ["foreach"] and len(rest) > 1:
        call.walker.evaluate(" ".join(texts[1:]), None)


def _bisect(call: Invocation, rest: list[Value], cwd: str) -> None:
    if rest and rest[0].text == "run":
        call.report("own-code", "git that starts a program")
        call.inner(rest[1:])
    call.report("unknown-option", "git bisect")


def _init(call: Invocation, rest: list[Value], cwd: str) -> None:
    for each in rest:
        if each.text.startswith("--template"):
            call.report("hijack")
        elif not each.text.startswith("-"):
            call.write_file(each)


def _rewrite(call: Invocation, rest: list[Value], cwd: str) -> None:
    whole = " ".join(each.text for each in rest)
    runs = re.search(
        r"--exec|-x |--tree-filter|--index-filter|--msg-filter|--env-filter|--upload-pack", whole
    )
    call.report("inline-code" if runs else "unknown-option", "git that rewrites history")


def _stash(call: Invocation, rest: list[Value], cwd: str) -> None:
    if [each.text for each in rest[:1]] not in (["list"], ["show"]):
        call.report("unknown-option", "git stash")


def _archive(call: Invocation, rest: list[Value], cwd: str) -> None:
    far = any(each.text.startswith("--remote") for each in rest)
    for flag, value in itertools.pairwise(rest):
        if flag.text in ("-o", "--output"):
            call.write_file(value, Stream(_REMOTE) if far else None)
    for each in rest:
        if each.text.startswith("--output="):
            call.write_file(each.with_text(each.text.partition("=")[2]), Stream(_REMOTE) if far else None)
    _rewrite(call, rest, cwd)


_VERBS = {
    "clone": _clone,
    "am": _apply,
    "apply": _apply,
    "push": _push,
    "worktree": _worktree,
    "checkout": _checkout,
    "switch": _checkout,
    "reset": _discard,
    "clean": _discard,
    "pull": _update,
    "fetch": _update,
    "config": _config,
    "stash": _stash,
    "submodule": _submodule,
    "bisect": _bisect,
    "init": _init,
    "rebase": _rewrite,
    "filter-branch": _rewrite,
    "archive": _archive,
    "difftool": _rewrite,
    "mergetool": _rewrite,
    "ls-remote": _update,
}
