"""Interpreters: what they are fed, the code on their command line, the scripts that they run."""

from __future__ import annotations

import re

from ploinky.skills.safety.invocation import EMPTY, Invocation, Result
from ploinky.skills.safety.programs.builtins import execute_text
from ploinky.skills.safety.programs.inline_code import judge_code
from ploinky.skills.safety.programs.managers import manager_of
from ploinky.skills.safety.programs.projects import is_unchecked, names_fetched, serves
from ploinky.skills.safety.programs.python_modules import python_module
from ploinky.skills.safety.rules import Verdict
from ploinky.skills.safety.values import HOLE, Stream, Taint, Value

SHELLS = frozenset(
    "sh bash dash zsh ksh ash mksh fish csh tcsh rbash busybox-sh yash elvish nu xonsh".split()
)
LANGUAGES = {
    "python": "python",
    "python2": "python",
    "python3": "python",
    "pypy": "python",
    "pypy3": "python",
    "ipython": "python",
    "node": "node",
    "nodejs": "node",
    "deno": "node",
    "bun": "node",
    "tsx": "node",
    "ts-node": "node",
    "perl": "perl",
    "ruby": "ruby",
    "irb": "ruby",
    "php": "php",
    "lua": "lua",
    "luajit": "lua",
    "Rscript": "r",
    "R": "r",
    "tclsh": "tcl",
    "expect": "tcl",
    "osascript": "applescript",
    "pwsh": "powershell",
    "powershell": "powershell",
    "julia": "julia",
    "groovy": "groovy",
    "scala": "scala",
    "swift": "swift",
    "guile": "guile",
    "racket": "racket",
    "elixir": "elixir",
    "gdb": "gdb",
    **dict.fromkeys(
        (
            "wish slsh m4 gm4 dc jrunscript octave octave-cli raku rakudo clisp ecl chicken csi gst newlisp "
            "pike rexx gnuplot maxima gp sage ghci ocaml-top iex scheme mit-scheme chibi-scheme gosh bsh "
            "nickle dg moon fennel-ls qjs duktape rhino d8"
        ).split(),
        "other",
    ),
}
_CODE_FLAGS = {
    "python": ("-c",),
    "node": ("-e", "-p", "-pe", "--eval", "--print", "eval"),
    "perl": ("-e", "-E", "-ne", "-pe", "-ple", "-nle", "-pie", "-i -pe", "-0pe", "-lane", "-le", "-we"),
    "ruby": ("-e", "-ne", "-pe"),
    "php": ("-r", "--run"),
    "lua": ("-e",),
    "r": ("-e",),
    "applescript": ("-e",),
    "powershell": ("-c", "-Command", "-enc", "-EncodedCommand", "-e"),
    "julia": ("-e", "--eval"),
    "gdb": ("-ex", "-iex", "--eval-command", "--init-eval-command"),
}
_ANY_CODE_FLAG = ("-e", "-c", "-E", "-x", "--eval", "-eval", "--exec", "--execute", "--command", "-b")
_VALUE_FLAGS = frozenset({"-W", "-X", "-r", "--require", "--loader", "--import", "-I", "-M", "-d"})
_PRELOADS = frozenset({"-r", "--require", "--loader", "--experimental-loader", "--import", "-M", "-d", "-l"})
_PLAIN_FLAGS = frozenset({"-u", "-B", "-E", "-I", "-O", "-s", "-S", "-q", "-b", "-w", "-T",
                          "--no-warnings", "--trace-warnings", "--experimental-strip-types",
                          "-x", "-n", "--vanilla", "run", "--enable-source-maps"})  # fmt: skip
_SHELL_FLAGS = re.compile(
    r"-(?:[abefhiklmnprtuvxBCEHPT]*)\Z|--(?:norc|noprofile|posix|login|verbose)\Z|-o|\+o"
)
_OWN_PROGRAM = re.compile(r"(?:.*/)?(?:\.?venv|env|node_modules/\.bin)/(?:bin/)?([\w.-]+)\Z")
_SCRIPT_NAME = re.compile(r"[\w./@{}\0+-]*[\w}\0]\Z")


def language_of(program: str) -> str | None:
    """The language that a program of that name interprets, or None."""
    if program in LANGUAGES:
        return LANGUAGES[program]
    match = re.fullmatch(r"(python|pypy|perl|ruby|php|lua|node|tclsh)-?\d[\d.]*", program)
    return LANGUAGES[match.group(1)] if match else None


def shell(call: Invocation) -> Result:
    """A shell as a command: text by ``-c``, a script, or whatever it is fed."""
    args = list(call.args)
    if call.texts[:1] == ["-n"] and len(args) > 1 and not any(each.text.startswith("-") for each in args[1:]):
        for each in args[1:]:  # only looks at the syntax
            call.read_file(each)
        return EMPTY
    reads_stdin = False
    while args and args[0].text.startswith(("-", "+")) and args[0].text not in ("-", "--"):
        flag = args.pop(0)
        text = flag.text
        if HOLE in text:
            call.report("dynamic-eval")
            return EMPTY
        if re.fullmatch(r"-[a-zA-Z]*c[a-zA-Z]*", text):
            return _shell_text(call, args)
        reads_stdin = reads_stdin or ("s" in text[1:] and not text.startswith("--"))
        if "i" in text[1:] and not text.startswith("--"):
            call.report(
                "reverse-shell" if call.stdin is not None else "unknown-option", "an interactive shell"
            )
        if re.fullmatch(r"[-+][a-zA-Z]*[oO]", text) and args:
            args.pop(0)
        elif text in ("--rcfile", "--init-file"):
            call.report("hijack", "a start-up file of its own")
            return EMPTY
        elif not (_SHELL_FLAGS.match(text) or re.fullmatch(r"-[a-z]*o", text)):
            call.report("unknown-option", f"a shell with {text!r} is not on the list")
    if args and args[0].text in ("-", "--"):
        args.pop(0)
    if reads_stdin or not args or args[0].text == "/dev/stdin" or args[0].text.startswith("-"):
        return _fed(call)
    return _script(call, args)


def _shell_text(call: Invocation, args: list[Value]) -> Result:
    if not args:
        return EMPTY
    if Taint.UNSET in args[0].taints and args[0].text == HOLE:
        call.report("dynamic-eval")
        return EMPTY
    for number, value in enumerate(args[1:6]):
        call.machine.assign(str(number), [value])
    return execute_text(call, args[0])


def _fed(call: Invocation) -> Result:
    """An interpreter that executes its input."""
    stream = call.stdin
    if stream is None:
        call.report("unknown-option", "an interpreter without a script")
        return EMPTY
    if Taint.REMOTE in stream.taints:
        call.report("remote-exec")
    elif stream.text is not None and stream.origin == "here" and not stream.taints:
        language = language_of(call.program)
        if language is None:
            return execute_text(call, Value(stream.text))
        return _code(call, language, Value(stream.text))
    elif stream.origin.startswith("/"):
        return call.run_file(Value(stream.origin))
    else:
        call.report("piped-code")
    return Result(Stream(frozenset({Taint.COMPUTED})))


def _script(call: Invocation, args: list[Value]) -> Result:
    script = args[0]
    if re.match(r"https?:|npm:|jsr:|data:", script.text):
        call.report("remote-exec", "runs a script from the network")
        return EMPTY
    if script.glob:
        fetched = Taint.REMOTE in script.taints or is_unchecked(call.machine.facts(call.place(script).path))
        call.report("remote-exec" if fetched else "unknown-path", "runs whatever matches")
        return EMPTY
    own = _OWN_PROGRAM.match(script.text)
    if own and (language_of(own.group(1)) or manager_of(own.group(1))):
        return call.inner([script.with_text(own.group(1)), *args[1:]])
    if not _SCRIPT_NAME.match(script.text) and not script.taints & {Taint.PIPE}:
        call.report("not-shell", "what follows the interpreter is no script")
        return EMPTY
    return call.run_file(script, args[1:])


def interpreter(call: Invocation) -> Result:
    """Any other interpreter."""
    language = language_of(call.program) or ""
    args = list(call.args)
    if any(re.match(r"-run", each) for each in call.texts):
        serves(call)
    _loads(call, language)
    if language == "gdb" and any(re.match(r"-p\Z|--?pid\b|--?attach\b|\d+\Z", each) for each in call.texts):
        call.report("other-processes", "looks into another process")
    flags = _CODE_FLAGS.get(language, _ANY_CODE_FLAG)
    while args:
        text = args[0].text
        if text in flags or (language == "perl" and re.fullmatch(r"-[a-zA-Z0-9]*[eE]", text)):
            if language in ("perl", "ruby") and any(re.match(r"-[a-z0-9]*i", each) for each in call.texts):
                for each in args[2:]:
                    call.write_file(each)
            return _code(call, language, args[1] if len(args) > 1 else Value(""))
        if language == "python" and re.fullmatch(r"-[uBEIOsS]*c.*", text):
            return _code(
                call,
                language,
                args[0].with_text(text.partition("c")[2]) if not text.endswith("c") else args[1],
            )
        if language == "python" and text == "-m":
            return python_module(call, args[1:])
        if not text.startswith("-") and text not in _PLAIN_FLAGS:
            return _script(call, args)
        if text in ("-", "/dev/stdin"):
            return _fed(call)
        args.pop(0)
        if text == "--":
            break
        _flag(call, text, args)
    return _script(call, args) if args and language != "gdb" else _fed(call)


def _loads(call: Invocation, language: str) -> None:
    """Modules and scripts that options name: none of them may come from the network."""
    args = list(call.args)
    preloads = [value for flag, value in zip(call.texts, call.args[1:], strict=False) if flag in _PRELOADS]
    preloads += [each.with_text(each.text.partition("=")[2]) for each in args if each.text.startswith("--")]
    modules = [
        each.text[2:] for each in args if language in ("perl", "ruby") and re.match(r"-[Mmr]\w", each.text)
    ]
    if modules:
        names_fetched(call, " ".join(modules))
    if call.program in ("deno", "bun") and any(
        re.match(r"https?:|npm:|jsr:", each.text) for each in args[1:]
    ):
        call.report("remote-exec" if re.search(r"https?:", " ".join(call.texts)) else "package-install")
    for each in preloads:
        facts = call.machine.facts(call.place(each).path) if each.text else None
        if re.match(r"(?:\w+=)?(?:data:|https?:)", each.text) or (
            facts is not None and Taint.REMOTE in facts.taints
        ):
            call.report("remote-exec", "loads what came from the network")


def _flag(call: Invocation, text: str, args: list[Value]) -> None:
    if text in _VALUE_FLAGS or (text == "-l" and call.program == "osascript"):
        if args:
            args.pop(0)
        call.report("unknown-option", f"an interpreter with {text!r} is not on the list")
    elif text in ("-A", "--allow-all", "--allow-run", "--inspect", "--allow-ffi"):
        call.report("unknown-option", f"an interpreter with {text!r} is not on the list")
    elif text not in _PLAIN_FLAGS and not re.match(r"--(?:max-old-space-size=\d+|allow-(?:read|net)=)", text):
        call.report(
            "unknown-option", f"an interpreter with {text.split('=', maxsplit=1)[0]!r} is not on the list"
        )


def _code(call: Invocation, language: str, code: Value) -> Result:
    if Taint.REMOTE in code.taints:
        call.report("remote-exec")
        return EMPTY
    names_fetched(call, code.text)
    verdict = judge_code(language, code.text)
    if verdict is Verdict.DENY:
        call.report("inline-code")
    elif verdict is Verdict.NEEDS_APPROVAL:
        call.report("own-code", "code on the command line")
    return Result(Stream(frozenset({Taint.COMPUTED})))
