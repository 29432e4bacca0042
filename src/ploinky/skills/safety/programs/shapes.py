"""The closed list of plain tools: a row each.
A tool that starts programs or talks to hosts has no row here.
"""

from __future__ import annotations

import re
from dataclasses import replace

from ploinky.skills.safety.invocation import EMPTY, Invocation, Result
from ploinky.skills.safety.places import holds_everything
from ploinky.skills.safety.programs.options import Operands, Read, Role, Shape, read_options, shape
from ploinky.skills.safety.values import NONE, Stream, Taint

_NONE, _TEXT, _WRITE = Operands.NONE, Operands.TEXT, Operands.WRITE
_PATTERN = Operands.TEXT_THEN_READ

SHAPES: dict[str, Shape] = {
    "true": shape(operands=_TEXT),
    "false": shape(operands=_TEXT),
    ":": shape(operands=_TEXT),
    "pwd": shape("LP", operands=_NONE),
    "ls": shape("1AaBbCcdFfghHiklLmnNopqrRsStuUvxXZ",
                "all almost-all human-readable recursive directory color reverse", text="color sort time I"),
    "dir": shape("la"),
    "tree": shape("adfhs", "", text="L I P", write="o", digits=True),
    "stat": shape("Lt", "dereference terse", text="c f format printf"),
    "file": shape("biLkzs", "brief mime mime-type"),
    "du": shape("abchkmsSx0", "human-readable summarize all total", text="d max-depth"),
    "df": shape("ahHiklT", "human-readable"),
    "cat": shape("AbeEnstTuv", "number show-all show-ends show-tabs"),
    "tac": shape(""),
    "head": shape("qv", "quiet verbose", text="n c lines bytes", digits=True),
    "tail": shape("qvfF", "quiet verbose", text="n c lines bytes", digits=True),
    "wc": shape("clmwL", "bytes chars lines words"),
    "nl": shape("", text="b w s"),
    "cut": shape("s", "complement", text="b c d f bytes characters delimiter fields output-delimiter"),
    "tr": shape("cCdst", "complement delete squeeze-repeats", _TEXT),
    "uniq": shape("cdDiu", "count repeated unique ignore-case", Operands.READ_THEN_WRITE, text="f s w"),
    "comm": shape("123", ""),
    "paste": shape("sz", "serial", text="d delimiters"),
    "join": shape("", text="t 1 2 o"),
    "fold": shape("s", text="w"),
    "column": shape("tx", text="s c"),
    "expand": shape("", text="t"),
    "rev": shape(""),
    "grep": shape("aEFGIPbcHhilLnoqrRsvwxyzU",
                  "extended-regexp fixed-strings perl-regexp ignore-case invert-match quiet silent count "
                  "line-number recursive only-matching word-regexp line-regexp files-with-matches "
                  "no-messages", _PATTERN,
                  text="e m A B C regexp max-count color include exclude exclude-dir after-context "
                  "before-context context", read="f file"),
    "egrep": shape("chilnoqrvwx", "", _PATTERN, text="e m A B C"),
    "fgrep": shape("chilnoqrvwx", "", _PATTERN, text="e m A B C"),
    "rg": shape("ciFlnNoquvwx", "files ignore-case files-with-matches line-number hidden json", _PATTERN,
                text="e g t m A B C"),
    "jq": shape("acCejMnrRsS", "raw-output compact-output exit-status null-input slurp sort-keys raw-input",
                _PATTERN, text="indent arg argjson", read="f from-file slurpfile"),
    "yq": shape("CejMnPr", "", _PATTERN, text="o p"),
    "diff": shape("abBcdeiNqrsuwy", "brief recursive unified ignore-case", text="U C"),
    "cmp": shape("bls", "silent quiet"),
    "date": shape("uIR", "utc universal", _TEXT, text="d date"),
    "cal": shape("", operands=_TEXT),
    "sleep": shape("", operands=_TEXT),
    "shuf": shape("erz", "", text="n i", write="o output"),
    "bc": shape("lq", "mathlib quiet"),
    "seq": shape("w", "equal-width", _TEXT, text="s f"),
    "expr": shape("", operands=_TEXT),
    "basename": shape("a", "", _TEXT, text="s suffix"),
    "dirname": shape("", "", _TEXT),
    "realpath": shape("ems", "relative-to", _TEXT),
    "readlink": shape("efmn", "", _TEXT),
    "uname": shape("amnprsvio", "all machine kernel-name", _NONE),
    "arch": shape("", operands=_NONE),
    "nproc": shape("", "all", _NONE),
    "id": shape("gGnru", "", _TEXT),
    "whoami": shape("", operands=_NONE),
    "hostname": shape("sf", operands=_NONE),
    "uptime": shape("ps", operands=_NONE),
    "locale": shape("a", operands=_TEXT),
    "which": shape("a", "", _TEXT),
    "type": shape("aPpt", "", _TEXT),
    "wait": shape("n", "", _TEXT),
    "clear": shape(operands=_NONE),
    "umask": shape("S", operands=_TEXT),
    "getopts": shape(operands=_TEXT),
    "shift": shape(operands=_TEXT),
    "break": shape(operands=_TEXT),
    "continue": shape(operands=_TEXT),
    "md5sum": shape("bct", "check"),
    "cksum": shape("", text="a"),
    "sum": shape("rs"),
    "b2sum": shape("bt", text="l"),
    "od": shape("bcdovx", text="A N j t w"),
    "hexdump": shape("bcCdovx", text="n s"),
    "strings": shape("a", text="n"),
    "iconv": shape("cs", text="f t from-code to-code", write="o output"),
    "dos2unix": shape("q", operands=_WRITE),
    "touch": shape("acmh", "no-create", _WRITE, text="d t date", read="r reference"),
    "mkdir": shape("pv", "parents verbose", _WRITE, text="m mode"),
    "rmdir": shape("pv", "parents ignore-fail-on-non-empty", _WRITE),
    "mkfifo": shape("", operands=_WRITE, text="m"),
    "truncate": shape("c", operands=_WRITE, text="s size"),
    "gzip": shape("cdfklqrtv123456789", "decompress keep force stdout best fast", _WRITE),
    "gunzip": shape("cfklqrtv", "keep force stdout", _WRITE),
    "zcat": shape("f"),
    "bzip2": shape("cdfkqtvz123456789", "decompress keep force", _WRITE),
    "bunzip2": shape("cfkqtv", "keep force", _WRITE),
    "xz": shape("cdfklqtvz0123456789e", "decompress keep force stdout", _WRITE, text="T threads"),
    "unxz": shape("cfkqtv", "keep force", _WRITE),
    "zstd": shape("dcfkqv", "decompress force keep rm", _WRITE, write="o", digits=True),
    "pdftotext": shape("", "layout raw", Operands.READ_THEN_WRITE, text="f l"),
    "shellcheck": shape("x", "", text="s e f"),
    "jsonlint": shape("q"),
    "xmllint": shape("", "noout format"),
    "return": shape(operands=_TEXT),
}  # fmt: skip


_TREES = {name: frozenset({"r", "R", "recursive"}) for name in ("grep", "egrep", "fgrep")}


def run_shape(call: Invocation, of: Shape) -> tuple[Result, Read]:
    """Judge a call of a plain tool: unknown options ask, paths go by their zones. Its output is its input."""
    read = read_options(call.args, of)
    if read.has("pre", "hostname-bin"):
        call.report("inline-code", f"{call.program} that starts a program")
    for unknown in read.unknown[:1]:
        call.report("unknown-option", f"{call.program} with {unknown.split('=')[0]!r} is not on the list")
    roles = dict(of.takes)
    streams: list[Stream] = []
    for name, value in read.options:
        if value is not None and roles.get(name) is Role.READ:
            streams.append(call.read_file(value))
        elif value is not None and roles.get(name) is Role.WRITE:
            call.write_file(value, call.stdin)
    streams += _operands(call, of, read)
    if _TREES.get(call.program, frozenset()) & {name for name, _ in read.options} or call.program == "rg":
        for each in read.operands[1:]:
            if holds_everything(call.place(each).path):
                call.report("read-secret", "searches everything that the owner has")
    if call.stdin is not None and not streams:
        streams.append(call.stdin)
    taints = NONE.union(*(stream.taints for stream in streams)) if streams else NONE
    origin = call.stdin.origin if call.stdin is not None else ""
    endless = any(each.origin == "endless" for each in streams)
    if endless and any(
        re.fullmatch(r"\d+[GTPE]i?B?", each.text) for each in read.values("c", "bytes", "n", "lines")
    ):
        return Result(Stream(taints, None, "endless")), read
    return Result(Stream(taints, None, origin if origin.startswith("digest:") else "")), read


def _operands(call: Invocation, of: Shape, read: Read) -> list[Stream]:
    operands = read.operands
    if of.operands is Operands.READ:
        return [call.read_file(each) for each in operands]
    if of.operands is Operands.TEXT_THEN_READ:
        skip = 0 if read.has("e", "regexp", "f", "file", "from-file") else 1
        return [call.read_file(each) for each in operands[skip:]]
    if of.operands is Operands.WRITE:
        for each in operands:
            call.write_file(each, Stream())
    if of.operands is Operands.READ_THEN_WRITE:
        found = [call.read_file(each) for each in operands[:-1] or operands]
        if len(operands) > 1:
            call.write_file(operands[-1], Stream(NONE.union(*(each.taints for each in found))))
        return found
    if of.operands is Operands.NONE and operands:
        call.report("unknown-option", f"{call.program} with an argument is not on the list")
    return []


LOCAL_FACTS = frozenset(
    {"uname", "whoami", "hostname", "id", "uptime", "ls", "arch", "df", "du", "tree", "stat"}
)


_PACKERS = frozenset("gzip gunzip bzip2 bunzip2 xz unxz".split())


def _pack(call: Invocation) -> Result:
    """``gzip`` and its kin: what is known of a file is known of what is packed or unpacked from it."""
    streams = [call.read_file(each) for each in call.args if not each.text.startswith("-")]
    result, read = run_shape(call, SHAPES[call.program])
    for each, stream in zip(read.operands, streams, strict=False):
        for ending in (".gz", ".bz2", ".xz", ".tgz"):
            call.write_file(each.with_text(each.text.removesuffix(ending)), stream)
    taints = NONE.union(result.out.taints, *(each.taints for each in streams))
    return Result(Stream(taints))


def _amounts(call: Invocation, name: str, read: Read) -> frozenset[Taint]:
    """Sizes, modes and words of plain tools that make them more than plain;
    what that adds to their output.
    """
    sizes = read.values("s", "size") if name == "truncate" else []
    if any(re.search(r"\d{10}|\d[GTPEZY]i?B?\Z", each.text) for each in sizes):
        call.report("destruction", "fills the disk")
    if any(re.match(r"[2-7][0-7]{3}\Z|.*[+=][rwx]*[st]", each.text) for each in read.values("m", "mode")):
        call.report("privilege", "sets the setuid or setgid bit")
    if name == "umask" and not all(
        re.fullmatch(r"0?0?[0-7]?[2367]7|0?0?[02]?22|0?0?02", each) for each in call.texts
    ):
        call.report("unknown-option", "a umask that is not on the list")
    if name == "sleep" and not all(re.fullmatch(r"\d{1,3}(?:\.\d+)?s?|[1-5]m", each) for each in call.texts):
        call.report("unknown-option", "sleeps longer than an install")
    if name in ("jq", "yq") and any(_QUERY_READS.search(each.text) for each in read.operands[:1]):
        call.report("outside-read", f"{name} reads the environment or other files")
        return frozenset({Taint.SECRET})
    return NONE


_QUERY_READS = re.compile(
    r"\$ENV\b|\benv(?:subst)?\b|\b(?:str)?load(?:_\w+)?\s*\(|\binclude\b|\bimport\b|\binput_filename\b"
    r"|\$__prog"
)


def shaped(call: Invocation) -> Result:
    """The handler of every plain tool."""
    name = call.program
    if name == "wait" or name not in SHAPES:
        return EMPTY
    if name in _PACKERS:
        return _pack(call)
    result, read = run_shape(call, SHAPES[name])
    if (name == "date" and read.has("s", "set")) or (name == "hostname" and read.operands):
        call.report("privilege", "changes the machine")
    if name == "seq" and any(re.fullmatch(r"\d{9,}|inf\w*|\d+e\d+", each.text) for each in read.operands):
        return Result(Stream(origin="endless"))
    more = _amounts(call, name, read)
    if more:
        return Result(Stream(result.out.taints | more))
    if name in LOCAL_FACTS:
        return Result(Stream(result.out.taints | {Taint.LOCAL}))
    if name == "cat" and len(call.args) == 1 and not call.args[0].text.startswith("-"):
        stream = call.read_file(call.args[0])
        return Result(replace(stream, origin="cat" if stream.origin != "endless" else "endless"))
    if name == "cat" and not call.args and call.stdin is not None:
        return Result(replace(call.stdin, origin="cat"))
    if name == "date":
        return Result(Stream(text="2026"))
    if name in ("rev", "tr") and call.stdin is not None:
        return Result(Stream(result.out.taints | {Taint.DECODED}))
    return result
