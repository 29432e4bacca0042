"""Programs that print, and the names of paths: echo, printf, dirname, mktemp, sed, awk, find, and so on."""

from __future__ import annotations

import posixpath
import re

from ploinky.skills.safety.invocation import EMPTY, Invocation, Result
from ploinky.skills.safety.places import Zone
from ploinky.skills.safety.programs.options import Operands, read_options, shape
from ploinky.skills.safety.programs.projects import is_unchecked
from ploinky.skills.safety.reading import decode_ansi
from ploinky.skills.safety.values import HOLE, NONE, Stream, Taint, Value, joined

_SED = shape("nEriszu", "quiet silent regexp-extended in-place null-data", Operands.TEXT_THEN_READ,
             text="e expression", read="f file")  # fmt: skip
_SED_SAFE = re.compile(
    r"(?:\d+|\$|/(?:[^/\\\n]|\\.)*/)?(?:,(?:\d+|\$|\+\d+|/(?:[^/\\\n]|\\.)*/))?!?\s*"
    r"(?:s(?P<d>[/|#,:@!~%])(?:(?!(?P=d))[^\\\n]|\\.)*(?P=d)(?:(?!(?P=d))[^\\\n]|\\.)*(?P=d)[gpiIm0-9]*"
    r"|[dpq=]|[aic]\\?\s*[^\n]*|y(?P<e>[/|])[^\n]*)\s*\Z",
    re.DOTALL,
)
_SED_SUBSTITUTES = re.compile(
    r"\s*s(?P<d>[/|#,:@!~%])(?:(?!(?P=d))[^\\\n]|\\.)*(?P=d)(?:(?!(?P=d))[^\\\n]|\\.)*(?P=d)[gpiIm0-9]*\s*\Z",
    re.DOTALL,
)
_AWK_LITERAL = re.compile(r'"(?:[^"\\\n]|\\.)*"|(?<=[~(,!&|{;\s])/(?:[^/\\\n]|\\.)+/|\A/(?:[^/\\\n]|\\.)+/')
_AWK_TOKEN = re.compile(
    r"\s+|\d+(?:\.\d+)?|\$|[{}();,\[\]]|&&|\|\||[-+*/%^]=?|\+\+|--|[=!<]=?|>=|>\s*(?=\d)|>(?=[^;{}]*[)])|~"
    r"|\?|:|[A-Za-z_]\w*\s*\(?|[\n]"
)
_AWK_WORDS = frozenset(
    "BEGIN END NR NF FS OFS RS ORS FNR FILENAME SUBSEP RSTART RLENGTH print printf if else for while do in "
    "next exit delete break continue return".split()
)
_AWK_CALLS = frozenset(
    "length substr split gsub sub gensub match index tolower toupper sprintf int sqrt exp log sin cos rand "
    "srand if for while print printf exit return strftime systime asort asorti".split()
)
_FIND_TESTS = frozenset(
    "name iname path ipath type size mtime mmin newer maxdepth mindepth empty regex perm user prune print "
    "print0 o a not depth xdev mount follow executable readable writable".split()
)
_SECRET_FILE = re.compile(
    r"id_(?:rsa|dsa|ecdsa|ed25519)|\.(?:env|pem|key|p12|pfx|kdbx|jks|ovpn|gpg|asc|keystore|wallet|netrc"
    r"|npmrc|pgpass)\b|\.(?:ssh|aws|kube|gnupg)\b"
    r"|wallet|credential|secret|passw|token|cookies|keychain|mnemonic|known_hosts|authorized_keys|shadow"
    r"|htpasswd",
    re.IGNORECASE,
)
_FIND_RUNS = frozenset({"exec", "execdir", "ok", "okdir"})
_FIND_WRITES = frozenset({"fprint", "fprint0", "fprintf", "fls"})


def echo(call: Invocation) -> Result:
    """``echo``: its words, known where they are."""
    words = list(call.args)
    while words and re.fullmatch(r"-[neE]+", words[0].text):
        words.pop(0)
    whole = joined(words)
    interprets = any("e" in each.text for each in call.args[: len(call.args) - len(words)])
    text = decode_ansi(whole.text) if interprets else whole.text
    if call.args and any(each.text == "|" and not each.quoted for each in call.args):
        return Result(Stream(whole.taints, None))
    taints = whole.taints | _secrets(words)
    if interprets and re.search(r"\\(?:x|0?[0-7]{2,})", whole.text):
        taints |= {Taint.DECODED}
    return Result(Stream(taints, text + "\n" if whole.known else None, "echo"))


def printf(call: Invocation) -> Result:
    """``printf``: the format with its words put in, where both are known."""
    words = list(call.args)
    if words and words[0].text == "-v" and len(words) > 1:
        if "[" in words[1].text:
            call.report("dynamic-eval", "an index that runs a command")
        made = printf(Invocation(call.name, tuple(words[2:]), None, call.walker)).out
        text = HOLE if made.text is None else made.text
        call.assign(words[1].text, Value(text, made.taints | {Taint.COMPUTED}))
        return EMPTY
    whole = joined(words)
    taints = whole.taints | _secrets(words)
    if not words or not whole.known:
        return Result(Stream(taints))
    template = decode_ansi(words[0].text)
    given = [each.text for each in words[1:]]
    parts = re.split(r"%(?:[-0-9.]*[sdbq]|%)", template)
    if len(parts) == 1:
        text = template
    else:
        rounds = max(1, -(-len(given) // (len(parts) - 1)))
        filled = iter(given)
        text = "".join(
            "".join(
                part + (next(filled, "") if index < len(parts) - 1 else "")
                for index, part in enumerate(parts)
            )
            for _ in range(rounds)
        )
    if "\\" in words[0].text and re.search(r"\\(?:x|[0-7]{2,})", words[0].text):
        taints |= {Taint.DECODED}
    return Result(Stream(taints, text, "printf"))


def _secrets(words: list[Value]) -> frozenset[Taint]:
    from ploinky.skills.safety.machine import SECRET_NAME

    names = [name for each in words for name in each.variables]
    return frozenset({Taint.SECRET}) if any(SECRET_NAME.search(name) for name in names) else NONE


def name_of_path(call: Invocation) -> Result:
    """``dirname``, ``basename``, ``realpath``, ``readlink``, ``pwd``: paths made of paths."""
    operands = [each for each in call.args if not each.text.startswith("-")]
    if call.program == "pwd":
        return Result(Stream(text=call.machine.cwd + "\n"))
    if len(operands) != 1:
        return Result(Stream(frozenset({Taint.COMPUTED})))
    value = operands[0]
    if call.program == "dirname":
        text = posixpath.dirname(value.text) or "."
    elif call.program == "basename":
        text = posixpath.basename(value.text)
    else:
        text = call.place(value).path
    return Result(Stream(value.taints, text + "\n"))


def mktemp(call: Invocation) -> Result:
    """``mktemp``: a new path in the private /tmp."""
    for value in call.args:
        text = value.text
        if text in ("-d", "-u", "-q", "-t", "--directory", "-dt", "-td"):
            continue
        if text.startswith("-") or call.place(value).zone not in (Zone.TEMP, Zone.SELF, Zone.UNKNOWN):
            call.report("write-outside" if not text.startswith("-") else "unknown-option")
    return Result(Stream(text="/tmp/mktemp\n"))  # noqa: S108


def sed(call: Invocation) -> Result:
    """``sed`` with the plain commands; its w, e, r and scripts from files are not on the list."""
    texts = call.texts
    in_place = any(re.match(r"-[nEr]*i|--in-place", each) for each in texts)
    args = [
        each for each in call.args if not re.match(r"-[nEr]*i[.\w]*\Z|--in-place", each.text) and each.text
    ]
    read = read_options(args, _SED)
    scripts = read.values("e", "expression")
    files = list(read.operands)
    if not scripts and files:
        scripts = [files.pop(0)]
    if read.unknown or read.has("f", "file"):
        call.report("unknown-option", "sed with an option that is not on the list")
    for script_file in read.values("f", "file"):
        _odd_sed(call, _script_from(call, script_file).strip())
    for script in scripts:
        whole = _SED_SUBSTITUTES.match(script.text)  # a ';' in it is text
        if not whole:
            _odd_sed(call, script.text.strip())
        for each in [] if whole else re.split(r";\s*(?=[\d$/sdpq])", script.text):
            if not _SED_SAFE.match(each.strip().strip("{}").strip()):
                call.report("unknown-option", "a sed script with commands that are not on the list")
                _odd_sed(call, each.strip())
    taints = joined(scripts).taints if scripts else NONE
    streams = []
    for each in files:
        streams.append(call.read_file(each))
        if in_place:
            call.write_file(each, Stream(taints | streams[-1].taints))
    if call.stdin is not None:
        streams.append(call.stdin)
    return _onward(call, streams)


_SED_ADDRESS = r"(?:^|[;{\n])\s*(?:(?:\d+|\$|/(?:[^/\\]|\\.)*/)(?:,(?:\+?\d+|\$|/(?:[^/\\]|\\.)*/))?)?!?\s*"
_SED_RUNS = re.compile(
    _SED_ADDRESS
    + r"(?:e(?:\s|\Z|[;}])|s(?P<d>[^\w\s])(?:(?!(?P=d)).)*(?P=d)(?:(?!(?P=d)).)*(?P=d)[gpiIm0-9]*e)"
)
_SED_WRITES = re.compile(
    _SED_ADDRESS + r"(?:[wW]\s*"
    r"|s(?P<d>[^\w\s])(?:(?!(?P=d)).)*(?P=d)(?:(?!(?P=d)).)*(?P=d)[gpiIm0-9e]*w\s*)(?P<path>[^\s;}]+)"
)


def _odd_sed(call: Invocation, script: str) -> None:
    """A sed script that starts programs or writes other files."""
    if _SED_RUNS.search(script):
        call.report("inline-code", "a sed script that starts programs")
    for match in _SED_WRITES.finditer(script):
        call.write_file(Value(match.group("path")), call.stdin)


def _script_from(call: Invocation, value: Value) -> str:
    """A script of sed or awk that lies in a file or comes in;
    its text where the commands themselves wrote it.
    """
    stream = call.stdin if value.text in ("-", "/dev/stdin") else call.read_file(value)
    if stream is not None and stream.taints & {Taint.REMOTE, Taint.DECODED}:
        call.report("remote-exec" if Taint.REMOTE in stream.taints else "piped-code")
    return (stream.text if stream is not None else None) or ""


def awk(call: Invocation) -> Result:
    """``awk`` that prints; programs that start others,
    redirect or read the environment are not on the list.
    """
    read = read_options(
        call.args, shape("", "", Operands.TEXT_THEN_READ, text="F v f file e source i include l load")
    )
    program = read.operands[0].text if read.operands else ""
    written = []
    for each in read.values("f", "file", "i", "include", "l", "load"):
        written.append(_script_from(call, each))
        call.report("unknown-option", "an awk program in a file")
    program = " ".join([program, *written, *(given.text for given in read.values("e", "source"))]).strip()
    if re.search(r"system\s*\(|\|\s*getline|\"\s*\|\s*|\|\s*&?\s*\"|/inet/", program):
        call.report("inline-code", "an awk program that starts programs or opens connections")
    elif re.search(r'>\s*"[^"]+"', program):
        for path in re.findall(r'>\s*"([^"]+)"', program):
            call.write_file(Value(path), call.stdin)
        call.report("unknown-option", "an awk program that writes files")
    elif read.unknown or not _awk_prints(program):
        call.report("unknown-option", "an awk program that is not on the list")
    streams = [call.read_file(each) for each in read.operands[1:]]
    if call.stdin is not None:
        streams.append(call.stdin)
    return _onward(call, streams)


def _awk_prints(program: str) -> bool:
    """Whether every word of an awk program is of the closed list, or a variable of its own."""
    rest = _AWK_LITERAL.sub(" 0 ", program)
    at = 0
    while at < len(rest):
        token = _AWK_TOKEN.match(rest, at)
        if token is None:
            return False
        word = token.group().strip()
        name = word.rstrip("( \t")
        if word.endswith("(") and name and name not in _AWK_CALLS:
            return False
        if name.isalpha() and name.isupper() and len(name) > 1 and name not in _AWK_WORDS:
            return False
        if name in ("getline", "system", "close", "fflush", "function", "func"):
            return False
        at = token.end()
    return bool(program)


def _onward(call: Invocation, streams: list[Stream]) -> Result:
    """What comes out of a filter: the taints of what went in; a digest stays one."""
    taints = NONE.union(*(each.taints for each in streams)) if streams else NONE
    return Result(Stream(taints, None, digest_origin(call)))


def digest_origin(call: Invocation) -> str:
    """The file whose digest flows through a pipe, or nothing."""
    origin = call.stdin.origin if call.stdin is not None else ""
    return origin if origin.startswith("digest:") else ""


def find(call: Invocation) -> Result:
    """``find``: the tests it makes, the folders it looks into, and what it runs on what it finds."""
    args = list(call.args)
    roots = []
    while args and not args[0].text.startswith(("-", "(", "!")):
        roots.append(args.pop(0))
    zones = [call.place(each) for each in roots or [Value(".")]]
    wanted: list[str] = []
    outside = [place for place in zones if place.zone not in (Zone.SELF, Zone.TEMP)]
    while args:
        word = args.pop(0).text
        name = word.lstrip("-")
        if name in _FIND_RUNS:
            end = next((at for at, each in enumerate(args) if each.text in (";", "+")), len(args))
            target = Value(f"{zones[0].path}/found") if zones else Value("./found")
            if outside and not (args and args[0].text in ("rm", "unlink", "shred")):
                call.report("read-secret", "works on what it finds outside")
            _run_on(
                call, [target if each.text == "{}" else each for each in args[:end]], outside=bool(outside)
            )
            args = args[end + 1 :]
        elif name == "delete":
            call.report("destruction" if outside else "unknown-option", "find that deletes")
        elif name in _FIND_WRITES:
            if args:
                call.write_file(args.pop(0))
        elif word in ("(", ")", "!", ","):
            continue
        elif name not in _FIND_TESTS:
            call.report("unknown-option", f"find with {word!r} is not on the list")
        elif name not in ("print", "print0", "o", "a", "not", "prune", "empty", "depth", "xdev", "mount",
                          "follow",
                          "executable", "readable", "writable") and args:  # fmt: skip
            wanted.append(args.pop(0).text)
    keys = any(_SECRET_FILE.search(each) for each in wanted)
    for place in outside:
        call.report("read-secret" if keys or place.zone is Zone.SECRET else "outside-read")
    return Result(Stream(frozenset({Taint.LOCAL} | ({Taint.SECRET} if outside else set()))))


def _run_on(call: Invocation, argv: list[Value], *, outside: bool) -> None:
    if outside:
        call.report("destruction" if argv and argv[0].text in ("rm", "shred", "unlink") else "outside-read")
    if argv and posixpath.basename(argv[0].text) in (
        "sh",
        "bash",
        "python3",
        "python",
        "perl",
        "node",
        "source",
    ):
        fetched = any(is_unchecked(each) for path, each in call.machine.files.items()
                      if path not in call.machine.verified)  # fmt: skip
        call.report("remote-exec" if fetched else "own-code", "runs an interpreter on what it finds")
    call.inner(argv)


def read_builtin(call: Invocation) -> Result:
    """``read``, ``mapfile``: a variable gets what comes in."""
    stream = call.stdin or Stream(frozenset({Taint.COMPUTED}))
    if any("[" in each or each.startswith("-C") for each in call.texts):
        call.report("dynamic-eval", "text that runs while it reads")
    names = [each.text for each in call.args if re.fullmatch(r"[A-Za-z_]\w*", each.text)] or ["REPLY"]
    value = Value("\0", stream.taints | {Taint.COMPUTED})
    if stream.text is not None and len(names) == 1 and "\n" not in stream.text.strip():
        value = Value(stream.text.strip(), stream.taints)
    for name in names:
        call.assign(name, value)
    return EMPTY
