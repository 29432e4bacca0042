"""The shell's own commands: cd, test, set, trap, alias, eval, source, export's kin."""

from __future__ import annotations

import re
from dataclasses import replace

from ploinky.skills.safety.invocation import EMPTY, QUIET, Invocation, Result
from ploinky.skills.safety.places import Zone
from ploinky.skills.safety.programs.system import system_programs
from ploinky.skills.safety.values import HOLE, Stream, Taint, Value, joined

_DIGEST = re.compile(r"[0-9a-f]{64}(?:[0-9a-f]{32}|[0-9a-f]{64})?\Z", re.IGNORECASE)
_FISH_SET = re.compile(r"(?:-[gUxl]+ |--(?:global|universal|export|local|erase) )+[A-Za-z_]\w*(?: |\Z)")
_SET_SAFE = re.compile(r"[-+](?:[euxhB]+|o|eo|euo|eux|euxo)\Z")


def change_folder(call: Invocation) -> Result:
    """``cd``, ``pushd``: later paths count from there;
    a folder that is not the skill's is no place to work.
    """
    operands = [each for each in call.args if each.text not in ("-P", "-L", "--")]
    target = operands[0] if operands else Value("/@home")
    if target.text == "-":
        target = call.machine.lookup("OLDPWD")[0]
    place = call.place(target)
    call.machine.variables["OLDPWD"] = (Value(call.machine.cwd),)
    call.machine.cwd = place.path or call.machine.cwd
    if place.zone is Zone.UNKNOWN:
        call.report("unknown-path")
    elif place.zone is Zone.SECRET:
        call.report("read-secret")
    return QUIET


def test(call: Invocation) -> Result:
    """``test`` and ``[``: a comparison of a file's digest with a written one proves the file."""
    texts = [each for each in call.args if each.text != "]"]
    _check_indexes(call)
    if len(texts) == 3 and texts[1].text in ("=", "==", "!="):
        left, right = texts[0], texts[2]
        for digest, other in ((left, right), (right, left)):
            if _DIGEST.match(digest.text) and not digest.taints & {Taint.REMOTE, Taint.DECODED}:
                proved = frozenset(name for name in other.variables if name.startswith("digest:"))
                paths = frozenset(name.removeprefix("digest:") for name in proved)
                return Result(denies=paths) if texts[1].text == "!=" else Result(proves=paths)
    return QUIET


def _check_indexes(call: Invocation) -> None:
    if any(re.search(r"\w\[[^\]]*(?:\$\(|`)", each) for each in call.texts):
        call.report("dynamic-eval", "an index that runs a command")


def leave(call: Invocation) -> Result:
    """``exit``, ``return``: what follows does not run."""
    return Result(leaves=True)


def evaluate(call: Invocation) -> Result:
    """``eval``: known text is walked, everything else is refused."""
    whole = joined(call.args)
    return execute_text(call, replace(whole, masked=any(each.masked for each in call.args)))


def execute_text(call: Invocation, text: Value) -> Result:
    """A text that a shell executes."""
    if Taint.REMOTE in text.taints:
        call.report("remote-exec")
    elif not text.known or text.taints & {Taint.DECODED, Taint.PIPE, Taint.COMPUTED}:
        call.report("dynamic-eval")
    else:
        call.report("own-code", "executes text")
        if text.masked:
            call.report("obfuscated", "quotes or escapes hide what is executed")
        return call.walker.evaluate(text.text, call.stdin)
    return EMPTY


def source(call: Invocation) -> Result:
    """``source`` and ``.``: a file executed in this very shell."""
    if not call.args:
        if call.stdin is not None:  # fish executes what comes in
            call.report("remote-exec" if Taint.REMOTE in call.stdin.taints else "piped-code")
        return EMPTY
    target = call.args[0]
    if target.text in ("/dev/stdin", "-") and call.stdin is not None:
        call.report("remote-exec" if Taint.REMOTE in call.stdin.taints else "piped-code")
        return EMPTY
    own = re.search(r"(?:^|/)(?:\.?venv|env)/bin/activate\Z", target.text)
    if own and call.machine.facts(call.place(target).path) is None:
        return EMPTY
    if re.search(r"/\.(?:bashrc|zshrc|profile|bash_profile|zprofile|cargo/env|nvm/nvm\.sh)\Z", target.text):
        call.report("outside-read", "executes a start-up file")
        return EMPTY
    place = call.place(target)
    facts = call.machine.facts(place.path)
    if place.path.rpartition("/")[2].startswith(".env") and not (facts and facts.taints):
        call.report("secret-file", "reads credentials from a file")
        return EMPTY
    return call.run_file(target, call.args[1:])


def settings(call: Invocation) -> Result:
    """``set`` and ``shopt``: what makes a script stricter is fine. ``set`` alone lists all variables."""
    if not call.args and call.program == "set":
        return Result(Stream(frozenset({Taint.SECRET})))
    if call.program == "set" and _FISH_SET.match(" ".join(call.texts)):
        call.report("not-shell", "variables as fish sets them")
        return EMPTY
    for each in call.texts:
        if _SET_SAFE.match(each) or each in (
            "pipefail",
            "errexit",
            "nounset",
            "-s",
            "-u",
            "nullglob",
            "globstar",
        ):
            if (each.startswith("+") and "e" in each) or each == "+o":
                call.machine.errexit = False
            continue
        if each in ("-a", "allexport"):
            call.report("unknown-option", "exports every variable")
        elif each == "expand_aliases" or HOLE in each:
            call.report("obfuscated", "aliases in a script hide what runs")
        else:
            call.report("unknown-option", f"{call.program} with {each!r} is not on the list")
    return EMPTY


def trap(call: Invocation) -> Result:
    """``trap``: its text runs later; it is walked now."""
    if call.args and call.args[0].text not in ("", "-", "-p", "-l"):
        text = call.args[0]
        if not text.known:
            call.report("dynamic-eval")
        elif text.text.strip() in call.machine.functions:
            call.walker.call_function(text.text.strip(), [], None)
        else:
            call.walker.evaluate(text.text, None)
            call.machine.traps.append(text.text)
    return EMPTY


def alias(call: Invocation) -> Result:
    """``alias``: gives a command another meaning; what it means is walked."""
    for each in call.args:
        name, equals, meaning = each.text.partition("=")
        if equals and each.taints & {Taint.REMOTE, Taint.DECODED}:
            call.report("remote-exec" if Taint.REMOTE in each.taints else "piped-code")
        if equals and each.known:
            call.machine.aliases[name] = meaning
            call.walker.evaluate(meaning, None)
        call.report("hijack" if equals and name.strip() in system_programs() else "complex", "an alias")
    return EMPTY


def exec_builtin(call: Invocation) -> Result:
    """``exec``: its redirections are judged already; a command in it takes the place of the shell."""
    args = list(call.args)
    while args and args[0].text in ("-c", "-l", "-a", "--"):
        if args.pop(0).text == "-a" and args:
            args.pop(0)
    return call.inner(args) if args else EMPTY


def kill(call: Invocation) -> Result:
    """``kill``: an own job by a variable asks; anything broad is refused."""
    operands = [
        each.text for each in call.args if not re.fullmatch(r"-(?:\d{1,2}|[A-Z]+|s|SIG[A-Z]+|0)", each.text)
    ]
    digits = [each for each in call.texts if re.fullmatch(r"-\d+", each)]
    listed = any(Taint.COMPUTED in each.taints for each in call.args)
    own = all(HOLE in each or each in ("0", "%1") for each in operands)
    if listed or len(digits) > 1 or "-1" in call.texts or not own:
        call.report("other-processes")
    elif not call.texts or "-0" not in call.texts:
        call.report("unknown-option", "kill is not on the list")
    return EMPTY


def command_builtin(call: Invocation) -> Result:
    """``command``: ``-v`` only asks whether a program is there."""
    args = list(call.args)
    if args and args[0].text in ("-v", "-V"):
        return Result(Stream(frozenset({Taint.COMPUTED})))
    while args and args[0].text in ("-p", "--"):
        args.pop(0)
    return call.inner(args)


def rebind(call: Invocation) -> Result:
    """``hash -p``, ``enable -f``, ``bind -x``, ``complete -C``: a name gets another meaning."""
    if any(re.match(r"-\w*[pfxCF]", each) for each in call.texts):
        call.report("hijack", f"{call.program} gives a name another meaning")
    elif call.texts not in ([], ["-r"], ["-v"]) and call.program != "hash":
        call.report("unknown-option", f"{call.program} is not on the list")
    return Result(Stream(frozenset({Taint.SECRET}))) if call.program == "compgen" else EMPTY


def let(call: Invocation) -> Result:
    """``let``, ``declare`` as a word, ``unset``: variables;
    an index that runs a command is seen as it expands.
    """
    _check_indexes(call)
    if call.program in ("export", "declare", "typeset", "local", "readonly"):
        for each in call.args:
            name, equals, text = each.text.partition("=")
            if not equals and each.taints & {Taint.REMOTE, Taint.DECODED}:
                call.report("hijack", "sets variables that came from elsewhere")
            if equals:
                call.assign(name, each.with_text(text))
    if call.program == "unset":
        for name in call.texts:
            call.machine.variables.pop(name, None)
            call.machine.functions.pop(name, None)
    return EMPTY
