"""Programs that run another one: the inner command is judged, the wrapper adds what it does itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from ploinky.skills.safety.invocation import EMPTY, Invocation, Result
from ploinky.skills.safety.programs.builtins import execute_text
from ploinky.skills.safety.programs.denied import DENIED, environment_dump
from ploinky.skills.safety.programs.interpreters import SHELLS, language_of
from ploinky.skills.safety.values import HOLE, NONE, Stream, Taint, Value, joined

_ASSIGN = re.compile(r"([A-Za-z_]\w*)=(.*)\Z", re.DOTALL)


def plain_wrapper(call: Invocation) -> Result:
    """``time``, ``nice``, ``timeout``, ``stdbuf`` and their kin: skip their own words, judge the rest."""
    args = list(call.args)
    takes = _TAKES.get(call.program, frozenset())
    while args and args[0].text.startswith("-") and args[0].text != "-":
        text = args.pop(0).text
        if text == "--":
            break
        if not (text in takes or _PLAIN.match(text)):
            call.report("unknown-option", f"{call.program} with {text!r} is not on the list")
        if text in takes and args:
            value = args.pop(0)
            if (call.program, text) == ("time", "-o"):
                call.write_file(value)
    skip = 1 if call.program in ("timeout", "gtimeout", "chrt", "taskset", "flock", "unbuffer-p") else 0
    if call.program not in ("time", "nice", "timeout", "gtimeout", "stdbuf", "ionice", "builtin", "unbuffer"):
        call.report("unknown-option", f"{call.program} is not on the list")
    inner = args[skip:]
    if call.program == "flock" and inner and inner[0].text in ("-c", "--command"):
        return execute_text(call, joined(inner[1:]))
    return call.inner(inner)


_PLAIN = re.compile(
    r"-(?:\d+|n-?\d+|[pvqt]|[ioe](?:[0L]|\d+[KM]?)|k\d+s?|s\w+|c[123])\Z|--(?:foreground|preserve-status"
    r"|verbose|portability|(?:kill-after|signal|adjustment|output|error|input)=\w+)\Z"
)
_TAKES = {
    "nice": frozenset({"-n"}),
    "timeout": frozenset({"-s", "-k", "--signal", "--kill-after"}),
    "gtimeout": frozenset({"-s", "-k"}),
    "stdbuf": frozenset({"-i", "-o", "-e"}),
    "ionice": frozenset({"-c", "-n"}),
    "time": frozenset({"-f", "-o"}),
}
PLAIN = ("time", "nice", "timeout", "gtimeout", "stdbuf", "ionice", "builtin", "unbuffer",
         "chrt", "taskset", "flock", "linux64", "catchsegv", "prlimit", "choom", "caffeinate",
         "arch-run", "rlwrap", "dbus-run-session", "xvfb-run", "eatmydata", "winpty", "chpst",
         "softlimit", "cpulimit", "dotenv", "direnv", "entr", "watchexec", "retry", "ts")  # fmt: skip


def env(call: Invocation) -> Result:
    """``env``: its assignments are judged as any other, ``-S`` is a command line of its own."""
    args = list(call.args)
    before = dict(call.machine.variables)
    while args:
        text = args[0].text
        split = re.match(r"-[iv0]*S(.*)\Z|--split-string=?(.*)\Z", text, re.DOTALL)
        assign = _ASSIGN.match(text)
        if split:
            first = args.pop(0)
            rest = split.group(1) or split.group(2)
            whole = [first.with_text(rest)] if rest else []
            return execute_text(call, joined([*whole, *args]))
        if assign:
            value = args.pop(0).with_text(assign.group(2))
            call.walker.programs.check_assign(call, assign.group(1), value)
            call.machine.assign(assign.group(1), [value])
        elif text in ("-u", "-C", "--unset", "--chdir"):
            args.pop(0)
            if args and text in ("-C", "--chdir"):
                call.report("unknown-option", "env that changes the folder")
            if args:
                args.pop(0)
        elif text.startswith("-"):
            args.pop(0)
            if text not in ("-", "-i", "-0", "-v", "--", "--ignore-environment"):
                call.report("unknown-option", f"env with {text!r} is not on the list")
        else:
            break
    if not args:
        return environment_dump(call)
    result = call.inner(args)
    call.machine.variables = before
    return result


def xargs(call: Invocation) -> Result:
    """``xargs``, ``parallel``: the inner command gets what comes in as arguments."""
    args = list(call.args)
    while args and args[0].text.startswith("-") and args[0].text != "-":
        text = args.pop(0).text
        if text in ("-a", "--arg-file") and args:
            call = replace(call, stdin=call.read_file(args[0]))
        if (
            text
            in (
                "-I",
                "-n",
                "-P",
                "-L",
                "-d",
                "-E",
                "-s",
                "-a",
                "--arg-file",
                "-j",
                "--max-args",
                "--max-procs",
                "--delimiter",
            )
            and args
        ):
            args.pop(0)
    fed = call.stdin
    taints = fed.taints if fed is not None else NONE
    if not args and call.program != "xargs":
        call.report(
            "remote-exec" if Taint.REMOTE in taints else "piped-code", "executes lines that it is fed"
        )
        return EMPTY
    name = args[0].text.rpartition("/")[2] if args else "echo"
    passed = NONE
    if Taint.SECRET in taints and name not in ("echo", "wc"):
        call.report(
            "destruction" if name in ("rm", "shred", "unlink") else "read-secret", "works on files of others"
        )
    if name in SHELLS or language_of(name) or name in ("env", "sudo", "eval", "source"):
        call.report(
            "remote-exec" if Taint.REMOTE in taints else "piped-code", "an interpreter that is fed arguments"
        )
    if args and (HOLE in args[0].text or args[0].text in ("{}", "%")):
        call.report("remote-exec" if Taint.REMOTE in taints else "piped-code")
        return EMPTY
    text = fed.text if fed is not None and fed.text is not None and not fed.taints else HOLE
    given = [Value(each, taints) for each in (text.split() if text != HOLE else [])] or [
        Value(HOLE, taints | {Taint.COMPUTED})
    ]
    if (
        fed is not None
        and fed.text is None
        and name in ("echo", "cat", "ls", "wc", "grep", "head", "basename", "dirname")
    ):
        given, passed = [], taints  # it prints what it gets: nothing new is read by it
    filled = [each for value in args for each in (given if value.text == "{}" else [value])]
    if not any(value.text == "{}" for value in args):
        filled += given
    if not args:
        return Result(Stream(taints))  # 'xargs' alone is 'xargs echo'
    result = call.inner(filled)
    return replace(result, out=replace(result.out, taints=result.out.taints | passed))


def busybox(call: Invocation) -> Result:
    """``busybox applet``, ``toybox applet``."""
    return call.inner(call.args) if call.args else EMPTY


def script_recorder(call: Invocation) -> Result:
    """``script -c``, ``watch``, ``hyperfine``: their text is a command."""
    args = list(call.args)
    while args:
        value = args.pop(0)
        if re.fullmatch(r"-[a-z]*c|--command", value.text) and args:
            return execute_text(call, args[0])
        if not value.text.startswith("-") and call.program != "script":
            return execute_text(call, joined([value, *args]))
    call.report("unknown-option", f"{call.program} is not on the list")
    return EMPTY


def privileged(call: Invocation) -> Result:
    """``sudo`` and its kin: refused, and the inner command is judged too."""
    call.report(DENIED[call.program], f"runs {call.program}")
    args = list(call.args)
    while args and (args[0].text.startswith("-") or _ASSIGN.match(args[0].text)):
        text = args.pop(0).text
        if text in ("-u", "-g", "-U", "-C", "-h", "-p") and args:
            args.pop(0)
    return (
        call.inner(args)
        if args and call.program in ("sudo", "doas", "nohup", "setsid", "fakeroot")
        else EMPTY
    )


def editor(call: Invocation) -> Result:
    """Editors and pagers: they start programs at a key; with commands on the line they are refused."""
    whole = " ".join(call.texts)
    fed = call.stdin is not None and call.stdin.origin != "here"
    if (
        call.program in ("less", "more")
        and fed
        and all(re.fullmatch(r"-[RrSXFNiMmE]+", each) for each in call.texts)
    ):
        return Result(call.stdin or Stream())
    if (
        re.search(
            r"(?:^| )(?:-c|\+|-es|-s|--cmd|-S|-u|--eval|-e|-l|-batch|--batch|--script|-script|-x)", whole
        )
        or "!" in whole
    ):
        call.report("inline-code", "an editor with commands on its line")
    else:
        call.report("unknown-option", f"{call.program} is not on the list")
    for each in call.args:
        if not each.text.startswith(("-", "+")):
            call.read_file(each)
    if call.stdin is not None and call.stdin.origin != "here":
        return EMPTY
    if call.stdin is not None:
        call.report("inline-code", "an editor with commands on its input")
    return EMPTY


Handler = Callable[[Invocation], Result]
