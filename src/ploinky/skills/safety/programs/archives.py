"""Archives: where they unpack to, what they are taken from, and the options that run programs."""

from __future__ import annotations

import posixpath
import re

from ploinky.skills.safety.invocation import EMPTY, Invocation, Result
from ploinky.skills.safety.machine import FileFacts
from ploinky.skills.safety.places import Zone
from ploinky.skills.safety.programs.options import Operands, read_options, shape
from ploinky.skills.safety.values import NONE, Stream, Taint, Value

_TAR = shape(
    "xctzjJvkmoahpUwPOSr",
    "extract get list create gzip xz bzip2 zstd verbose overwrite keep-old-files skip-old-files "
    "no-same-owner no-same-permissions wildcards touch auto-compress to-stdout absolute-names same-owner "
    "unlink-first recursive-unlink",
    Operands.TEXT,
    text="strip-components exclude transform files-from T X I use-compress-program checkpoint "
    "checkpoint-action to-command info-script new-volume-script rsh-command rmt-command F",
    write="f file C directory cd one-top-level",
)
_TAR_RUNS = ("I", "F", "use-compress-program", "checkpoint-action", "to-command", "info-script",
             "new-volume-script", "rsh-command", "rmt-command")  # fmt: skip
_TAR_LEAVES = ("P", "absolute-names", "same-owner", "unlink-first", "recursive-unlink", "U")
_TAR_ASKS = ("transform", "files-from", "T", "X", "checkpoint", "r", "S")
_ZIP = shape("oqnjuDLlvtzpaCM", "", Operands.TEXT, text="P x", write="d")
_SEVEN_ZIP = re.compile(r"-(?:y|aoa|aos|bd|bb\d?|bso\d|ba|slt|r)\Z")


def tar(call: Invocation) -> Result:
    """``tar``: unpacks inside, without absolute names, without programs."""
    args = list(call.args)
    if args and re.fullmatch(r"[A-Za-z]+", args[0].text):
        args[0] = args[0].with_text(f"-{args[0].text}")  # the old style: tar xzf
    args = [each for each in args if each.text != "--one-top-level"]  # a folder below, named as the archive
    read = read_options(args, _TAR)
    if read.has(*_TAR_RUNS):
        call.report("inline-code", "tar that starts a program")
    if read.has(*_TAR_LEAVES):
        call.report("write-outside", "tar that keeps absolute names or owners")
    if read.unknown or read.has(*_TAR_ASKS):
        call.report("unknown-option", "tar with an option that is not on the list")
    archive = next(iter(read.values("f", "file")), None)
    if read.has("c", "create") and not read.has("x", "extract", "get"):
        folder = next(iter(read.values("C", "directory", "cd")), None)
        members = [each if folder is None else _below(folder, each) for each in read.operands]
        return _create(call, archive, members)
    folders = read.values("C", "directory", "cd", "one-top-level") or [Value(".")]
    result = EMPTY
    for target in folders:
        result = _extract(call, archive, target, writes=read.has("x", "extract", "get"))
    for each in read.values("transform"):
        match = re.search(r"s(.).*?\1(.*?)\1", each.text)
        if match is None or match.group(2).startswith("/") or ".." in match.group(2):
            call.report("write-outside", "tar that moves names elsewhere")
    return result


def copy_archive(call: Invocation) -> Result:
    """``cpio``, ``pax``: unpack and copy; a folder outside and absolute names are refused."""
    texts = call.texts
    for flag, value in zip(texts, call.args[1:], strict=False):
        if re.fullmatch(r"-\w*D|--directory", flag):
            unpack_into(call, value, call.stdin or Stream())
    if "--absolute-filenames" in texts:
        call.report("write-outside", f"{call.program} that keeps absolute names")
    if any(re.match(r"-\w*p", each) for each in texts) and call.args:
        call.write_file(call.args[-1])
    if any(re.match(r"--(?:rsh-command|to-command)|-s,?.?\^?/", each) for each in texts):
        call.report("inline-code", f"{call.program} that starts a program")
    elif call.stdin is not None and Taint.REMOTE in call.stdin.taints:
        unpack_into(call, Value("."), call.stdin)
    call.report("unknown-option", f"{call.program} is not on the list")
    return EMPTY


def system_package(call: Invocation) -> Result:
    """``rpm``, ``installer``: packages of the system run their authors' scripts with its owner's rights."""
    texts = call.texts
    installs = any(re.match(r"-\w*[iUFe]|--(?:install|upgrade|import|erase)|-pkg", each) for each in texts)
    if any("://" in each for each in texts):
        call.report("package-source")
    if (
        any(
            re.match(r"-\w*[xXRe]\Z|--(?:extract|raw-extract|control|vextract)\Z", each) for each in texts[:1]
        )
        and len(texts) > 2
    ):
        unpack_into(call, call.args[-1], call.read_file(call.args[-2]))
    fetched = [
        call.machine.facts(call.place(each).path) for each in call.args if not each.text.startswith("-")
    ]
    if installs and any(facts is not None and Taint.REMOTE in facts.taints for facts in fetched):
        call.report("remote-exec", "installs a package file from the network unchecked")
    call.report("package-install" if installs else "unknown-option", f"{call.program} is not on the list")
    return EMPTY


def _below(folder: Value, member: Value) -> Value:
    """A member of an archive, seen from the folder that tar goes to first."""
    return member.with_text(posixpath.join(folder.text, member.text))


def _create(call: Invocation, archive: Value | None, members: list[Value]) -> Result:
    taints = NONE.union(*(call.read_tree(each).taints for each in members)) if members else NONE
    if archive is not None and archive.text != "-":
        call.write_file(archive, Stream(taints | {Taint.COMPUTED}))
        return EMPTY
    return Result(Stream(taints | {Taint.COMPUTED}))


def _extract(call: Invocation, archive: Value | None, target: Value, *, writes: bool) -> Result:
    stream = (
        call.read_file(archive) if archive is not None and archive.text != "-" else (call.stdin or Stream())
    )
    if archive is not None and archive.text != "-" and call.place(archive).path in call.machine.verified:
        stream = Stream()
    if writes:
        unpack_into(call, target, stream)
    return Result(Stream(stream.taints))


def unpack_into(call: Invocation, target: Value, stream: Stream) -> None:
    """A folder gets what an archive holds; what came from the network stays known as such."""
    place = call.place(target)
    if place.zone is Zone.UNKNOWN:
        call.report("unknown-path")
    elif place.zone is Zone.OWN_HOME:
        call.report("home-write")
    elif place.zone not in (Zone.SELF, Zone.TEMP):
        call.report("write-outside")
    if Taint.REMOTE in stream.taints:
        call.report("download", "unpacks what came from the network unchecked")
    if stream.taints & {Taint.REMOTE, Taint.DECODED}:
        call.machine.overwrite_tree(place.path)
        call.machine.files[place.path] = FileFacts(stream.taints, None, call.walker.line, tree=True)


def unzip(call: Invocation) -> Result:
    """``unzip``: as tar; a password on the line is a lure."""
    if any(each == "-:" or re.match(r"-[a-zA-Z]*:", each) for each in call.texts):
        call.report("write-outside", "unzip that allows '..'")
    read = read_options(call.args, _ZIP)
    if read.has("P"):
        call.report("lure", "an archive with a password")
    if read.unknown:
        call.report("unknown-option", "unzip with an option that is not on the list")
    target = next(iter(read.values("d")), Value("."))
    _unpack(call, next(iter(read.operands), None), target, writes=not read.has("l", "v", "t", "p", "z"))
    return EMPTY


def seven_zip(call: Invocation) -> Result:
    """``7z``, ``unrar``: as unzip, with options of their own."""
    target, operands = Value("."), []
    for value in call.args:
        text = value.text
        if re.match(r"-p.|--password", text):
            call.report("lure", "an archive with a password")
        elif text.startswith("-o"):
            target = value.with_text(text[2:])
        elif text.startswith("-"):
            if not _SEVEN_ZIP.match(text):
                call.report("unknown-option", f"{call.program} with {text!r} is not on the list")
        else:
            operands.append(value)
    verb = operands[0].text if operands else ""
    if verb in ("x", "e"):
        _unpack(call, next(iter(operands[1:]), None), target, writes=True)
    elif verb == "a" and len(operands) > 1:
        _create(call, operands[1], operands[2:])
        call.report("unknown-option", f"{call.program} {verb} is not on the list")
    elif verb not in ("l", "t", "i"):
        call.report("unknown-option", f"{call.program} {verb} is not on the list")
    return EMPTY


def _unpack(call: Invocation, archive: Value | None, target: Value, *, writes: bool) -> None:
    stream = call.read_file(archive) if archive is not None else Stream()
    if archive is not None and call.place(archive).path in call.machine.verified:
        stream = Stream()
    if writes:
        unpack_into(call, target, stream)


def zip_up(call: Invocation) -> Result:
    """``zip``: its -T with a command is not on the list."""
    operands = [each for each in call.args if not each.text.startswith("-")]
    if any(re.match(r"-\w*TT|--unzip-command", each) for each in call.texts):
        call.report("inline-code", "zip that starts a program")
    if any(re.match(r"-T|-TT|--unzip-command|-@|-P|-e", each) for each in call.texts):
        call.report("unknown-option", "zip with an option that is not on the list")
    taints = NONE.union(*(call.read_tree(each).taints for each in operands[1:])) if operands[1:] else NONE
    if operands:
        call.write_file(operands[0], Stream(taints | {Taint.COMPUTED}))
    return EMPTY


def decode(call: Invocation) -> Result:
    """``base64``, ``xxd``, ``uudecode``: what is decoded is known as such."""
    decodes = (
        any(re.fullmatch(r"-[a-zA-Z]*[dDr][a-zA-Z]*|--decode", each) for each in call.texts)
        or "un" in call.program
    )
    decodes = decodes or call.program in ("uudecode", "basenc")
    operands = [each for each in call.args if not each.text.startswith("-")]
    streams = [call.read_file(each) for each in operands[:1]]
    if call.stdin is not None:
        streams.append(call.stdin)
    taints = NONE.union(*(each.taints for each in streams)) if streams else NONE
    for flag, value in zip(call.texts, call.args[1:], strict=False):
        if flag == "-o" and call.program in ("uudecode", "base64"):
            call.write_file(value, Stream(taints | {Taint.DECODED}))
    if call.program == "xxd" and len(operands) > 1:
        call.write_file(operands[1], Stream(taints | {Taint.DECODED}))
    return Result(Stream(taints | ({Taint.DECODED} if decodes else {Taint.COMPUTED} if taints else set())))
