"""Programs that make, move, change and remove files:
cp, mv, ln, rm, chmod, chown, install, tee, dd, rsync.
"""

from __future__ import annotations

import posixpath
import re

from ploinky.skills.safety.invocation import QUIET, Invocation, Result
from ploinky.skills.safety.machine import FileFacts
from ploinky.skills.safety.places import SKILL, Place, Zone, within
from ploinky.skills.safety.programs.effects import judge_words
from ploinky.skills.safety.programs.options import Operands, Role, Shape, read_options, shape
from ploinky.skills.safety.values import HOLE, NONE, Stream, Taint, Value

_COPY = shape(
    "abfinpPrRuvLTHd",
    "archive force interactive no-clobber recursive update verbose parents preserve no-target-directory "
    "dereference",
    Operands.READ_THEN_WRITE,
    text="S m mode",
    write="t target-directory",
)
_LINK = shape("fsvnrT", "symbolic force verbose relative no-dereference", write="t target-directory")
_REMOVE = shape("firRvdI", "force recursive verbose dir", Operands.WRITE)
_TEE = shape("ai", "append", Operands.WRITE)
_SAFE_MODE = re.compile(r"(?:[ugoa]*[-+=][rwxX]*(?:,[ugoa]*[-+=][rwxX]*)*|0?[0-7]{3})\Z")
_SETUID = re.compile(r"[ugoa]*[+=][rwxX]*[st]|[0-7]*[2-7][0-7]{3}\Z", re.ASCII)


def copy(call: Invocation) -> Result:
    """``cp``, ``mv``, ``install``: sources are read, the target is written;
    what is known of a file goes along.
    """
    if call.program == "install":
        return _install(call)
    read = read_options(call.args, _COPY)
    _unknown(call, read.unknown)
    targets = read.values("t", "target-directory")
    sources = list(read.operands)
    if not targets and len(sources) > 1:
        targets = [sources.pop()]
    if not targets:
        call.report("unknown-option", f"{call.program} without a target")
    into = bool(read.values("t", "target-directory")) or len(sources) > 1
    for target in targets:
        for source in sources:
            _copy_one(call, source, target, into=into)
    return QUIET


def _copy_one(call: Invocation, source: Value, target: Value, *, into: bool) -> None:
    if call.program == "mv":
        moved = call.place(source)
        if moved.zone not in (Zone.SELF, Zone.TEMP, Zone.UNKNOWN, Zone.OWN_HOME):
            call.report("write-outside", "moves a file away that is not the skill's")
    stream = call.read_tree(source)
    origin = call.place(source)
    folder = into or target.text.endswith("/") or call.place(target).path in (SKILL, call.machine.cwd)
    folder = folder or call.place(target).zone is Zone.SYSTEM
    contents = source.text.endswith("/.") or source.text == "."
    name = "" if contents else posixpath.basename(origin.path.rstrip("/"))
    final = target.with_text(posixpath.join(target.text, name)) if folder and name else target
    place = call.write_file(final, stream)
    if origin.zone is Zone.SYSTEM and re.match(r"/(?:usr/(?:local/)?)?s?bin/", origin.path):
        call.machine.links[place.path] = origin.path
    known = call.machine.facts(origin.path) is not None or not stream.taints & {Taint.REMOTE, Taint.DECODED}
    if place.zone is not Zone.SINK and known:
        call.machine.copy_file(origin.path, place.path, call.walker.line)
        if "*" in name or HOLE in name:
            _copy_tree(call, posixpath.dirname(origin.path), posixpath.dirname(place.path))
    if (
        any(each in (".bashrc", "authorized_keys", ".profile") for each in (name,))
        and place.zone is not Zone.SELF
    ):
        call.report("persistence")


def _copy_tree(call: Invocation, source: str, target: str) -> None:
    facts = call.machine.facts(source)
    if facts is not None and facts.tree:
        call.machine.copy_file(source, target, call.walker.line)


def _install(call: Invocation) -> Result:
    read = read_options(call.args, shape("cdDpsvT", "directory", text="m mode o owner g group", write="t"))
    _unknown(call, read.unknown)
    if read.values("o", "owner", "g", "group"):
        call.report("privilege", "gives a file to another owner")
    for mode in read.values("m", "mode"):
        _check_mode(call, mode)
    if read.has("d", "directory"):
        for each in read.operands:
            call.write_file(each)
        return QUIET
    targets = read.values("t")
    sources = list(read.operands)
    if not targets and len(sources) > 1:
        targets = [sources.pop()]
    for target in targets:
        for source in sources:
            _copy_one(call, source, target, into=len(sources) > 1)
    return QUIET


def link(call: Invocation) -> Result:
    """``ln``: a link is as good as what it points at; a link out of the folder is refused."""
    read = read_options(call.args, _LINK)
    _unknown(call, read.unknown)
    operands = list(read.operands)
    targets = read.values("t", "target-directory")
    where = targets[0] if targets else (operands.pop() if len(operands) > 1 else Value("."))
    for source in operands:
        base = call.place(where).path
        name = where if not targets and not where.text.endswith(("/", ".")) else None
        spot = name or where.with_text(
            posixpath.join(where.text, posixpath.basename(source.text.rstrip("/")))
        )
        place = call.write_file(spot)
        start = posixpath.dirname(base) if name is not None else base
        points = call.machine.place(source.with_text(_from(start, source.text)))
        if points.zone not in (Zone.SELF, Zone.TEMP):
            call.report(
                "unknown-path" if points.zone is Zone.UNKNOWN else "write-outside", "a link out of the folder"
            )
            if points.zone is not Zone.UNKNOWN:
                call.machine.links[place.path] = points.path
        else:
            call.machine.copy_file(points.path, place.path, call.walker.line)
    return QUIET


def _from(folder: str, text: str) -> str:
    return text if text.startswith(("/", HOLE)) else posixpath.join(folder, text)


def remove(call: Invocation) -> Result:
    """``rm``: inside the folder only; the folder itself and unknown names ask, everything else destroys."""
    read = read_options(call.args, _REMOVE)
    if read.has("no-preserve-root"):
        call.report("destruction")
    else:
        _unknown(call, read.unknown)
    recursive = read.has("r", "R", "recursive")
    for value in read.operands:
        place = call.place(value)
        if place.zone is Zone.SELF:
            folder, name = posixpath.split(place.path)
            everything = recursive and value.glob and folder == SKILL and name in ("*", ".*")
            if place.path == SKILL or everything:
                call.report("unknown-path", "removes the skill itself")
        elif place.zone is Zone.UNKNOWN and not (recursive and re.match(rf"{HOLE}(?:/\**)?\Z", value.text)):
            call.report("unknown-path")
        elif place.zone not in (Zone.TEMP, Zone.OWN_HOME):
            call.report("destruction")
        elif place.zone is Zone.OWN_HOME:
            call.report("home-write")
    return QUIET


def mode(call: Invocation) -> Result:
    """``chmod``: ordinary modes inside the folder."""
    operands: list[Value] = []
    for value in call.args:
        if re.fullmatch(r"-[Rvfc]+|--recursive|--verbose", value.text):
            continue
        if value.text.startswith("--"):
            call.report("unknown-option", "chmod with an option that is not on the list")
        else:
            operands.append(value)
    if not operands:
        return QUIET
    _check_mode(call, operands[0])
    for value in operands[1:]:
        place = call.place(value)
        if place.zone is Zone.UNKNOWN:
            call.report("unknown-path")
        elif place.zone is Zone.OWN_HOME:
            call.report("home-write")
        elif place.zone not in (Zone.SELF, Zone.TEMP):
            call.report("write-outside")
        elif "/.git/" in place.path:
            call.report("persistence", "switches a git hook on")
    return QUIET


def _check_mode(call: Invocation, value: Value) -> None:
    if _SETUID.match(value.text) or re.search(r"[+=][rwxX]*s", value.text):
        call.report("privilege", "sets the setuid or setgid bit")
    elif not _SAFE_MODE.match(value.text):
        call.report("unknown-option", "a mode that is not on the list")


def owner(call: Invocation) -> Result:
    """``chown`` and ``chgrp``: nobody needs them in a folder of their own."""
    call.report("privilege", "changes the owner of files")
    return QUIET


def tee(call: Invocation) -> Result:
    """``tee``: what comes in goes on and into files."""
    read = read_options(call.args, _TEE)
    _unknown(call, read.unknown)
    stream = call.stdin or Stream()
    for value in read.operands:
        call.write_file(value, stream, append=read.has("a", "append"))
    return Result(stream)


def sort(call: Invocation) -> Result:
    """``sort``: its --compress-program is not on the list."""
    read = read_options(call.args, shape("bdfghiMnRrVucmsz", "numeric-sort reverse unique "
                                                             "human-numeric-sort version-sort "
                                                             "ignore-case", text="k t key field-separator",
                                         write="o output"))  # fmt: skip
    if read.has("compress-program"):
        call.report("inline-code", "sort that starts a program")
    _unknown(call, read.unknown)
    streams = [call.read_file(each) for each in read.operands]
    if call.stdin is not None:
        streams.append(call.stdin)
    taints = NONE.union(*(each.taints for each in streams)) if streams else NONE
    for value in read.values("o", "output"):
        call.write_file(value, Stream(taints))
    return Result(Stream(taints))


def split(call: Invocation) -> Result:
    """``split``, ``csplit``: many files from one; what is known of it is known of their folder."""
    read = read_options(call.args, shape("dsqzk", "numeric-suffixes additional-suffix quiet "
                                                  "elide-empty-files",
                                         text="l b n a f lines bytes number suffix-length"))  # fmt: skip
    if read.has("filter"):
        call.report("inline-code", "split that starts a program")
    _unknown(call, read.unknown)
    stream = call.read_file(read.operands[0]) if read.operands else (call.stdin or Stream())
    prefix = next(iter([*read.operands[1:2], *read.values("f")]), Value("xaa"))
    if call.program == "csplit":
        prefix = next(iter(read.values("f")), Value("xx"))
    place = call.write_file(prefix, stream)
    if Taint.REMOTE in stream.taints:
        facts = FileFacts(stream.taints, None, call.walker.line, tree=True)
        call.machine.files[posixpath.dirname(place.path)] = facts
    return QUIET


def dd(call: Invocation) -> Result:
    """``dd``: never onto devices, never without a bound from an endless source."""
    pairs = dict(each.text.partition("=")[::2] for each in call.args)
    source, target = pairs.get("if", ""), pairs.get("of", "")
    if target.startswith("/dev/") and target != "/dev/null":
        call.report("destruction")
    elif source in ("/dev/zero", "/dev/urandom", "/dev/random") and "count" not in pairs:
        call.report("destruction", "fills the disk")
    else:
        call.report("unknown-option", "dd is not on the list")
    stream = call.read_file(Value(source)) if source else (call.stdin or Stream())
    if (
        stream.origin == "endless"
        and re.fullmatch(r"\d{1,4}", pairs.get("count", ""))
        and "G" not in pairs.get("bs", "")
    ):
        stream = Stream()
    if target:
        call.write_file(Value(target), stream)
    return Result(stream)


def rsync(call: Invocation) -> Result:
    """``rsync``: here only; to another machine it sends files away."""
    operands = [each for each in call.args if not each.text.startswith("-")]
    if any(re.match(r"-e|--rsh|--rsync-path", each) for each in call.texts):
        call.report("own-code", "rsync with a program of its own")
        for flag, value in zip(call.texts, call.args[1:], strict=False):
            if re.fullmatch(r"-\w*e|--rsh|--rsync-path", flag) and value.known:
                call.walker.evaluate(value.text, None)
    judge_words(call)
    remote = [bool(re.match(r"(?:[\w.-]+@)?[\w.-]+:|rsync://", each.text)) for each in operands]
    if remote and remote[-1]:
        call.report("exfiltration")
        return QUIET
    if any(remote):
        call.report("network")
    call.report("unknown-option", "rsync is not on the list")
    if operands:
        for each, far in zip(operands[:-1], remote[:-1], strict=True):
            if not far:
                plain = each.text.endswith("/")  # what lies in it, not itself
                _copy_one(
                    call,
                    each.with_text(f"{each.text}.") if plain else each,
                    operands[-1],
                    into=len(operands) > 2,
                )
        if any(remote):
            place = call.write_file(operands[-1], Stream(frozenset({Taint.REMOTE})))
            facts = FileFacts(frozenset({Taint.REMOTE}), None, call.walker.line, tree=True)
            call.machine.files[place.path] = facts
    return QUIET


def wipe(call: Invocation) -> Result:
    """``shred``, ``fallocate`` and their kind: inside asks, outside destroys."""
    for value in call.args:
        if not value.text.startswith("-") and _is_outside(call.place(value)):
            call.report("destruction")
    if call.program == "fallocate" and any(re.search(r"\d[GTPE]", each) for each in call.texts):
        call.report("destruction", "fills the disk")
    call.report("unknown-option", f"{call.program} is not on the list")
    return QUIET


def _is_outside(place: Place) -> bool:
    return place.zone not in (Zone.SELF, Zone.TEMP, Zone.SINK) or not within(place.path, "/")


def _unknown(call: Invocation, unknown: list[str]) -> None:
    for each in unknown[:1]:
        call.report("unknown-option", f"{call.program} with {each.split('=')[0]!r} is not on the list")


__all__ = ["Role", "Shape", "copy", "dd", "link", "mode", "owner", "remove", "rsync", "sort", "tee", "wipe"]
