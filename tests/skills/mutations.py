"""Ways to write a command otherwise: each takes a text and gives one that does the same or pretends to.

To add one, add a row to ``MUTATIONS``; what it makes of a denied command must never be allowed.
"""

from __future__ import annotations

import base64
import html
import re
import shlex
from collections.abc import Callable

_LOOK_ALIKES = str.maketrans("aceopx", "\u0430\u0441\u0435\u043e\u0440\u0445")
_PLAIN_LINE = re.compile(r"[\w ./:@=+-]+\Z")


def _name(text: str) -> tuple[str, str]:
    """The first word and what is behind it; no word if it is not a plain name."""
    name, _, rest = text.partition(" ")
    return (name, rest) if name.isalpha() and name.isascii() else ("", text)


def quoted_name(text: str) -> str:
    name, rest = _name(text)
    return f"{name[:1]}''{name[1:]} {rest}" if name else text


def double_quoted_name(text: str) -> str:
    name, rest = _name(text)
    return f'"{name}" {rest}' if name else text


def escaped_name(text: str) -> str:
    name, rest = _name(text)
    return f"\\{name} {rest}" if name else text


def ansi_name(text: str) -> str:
    name, rest = _name(text)
    codes = "".join(f"\\x{ord(char):02x}" for char in name)
    return f"$'{codes}' {rest}" if name else text


def octal_name(text: str) -> str:
    name, rest = _name(text)
    codes = "".join(f"\\{ord(char):03o}" for char in name)
    return f"$'{codes}' {rest}" if name else text


def assembled_name(text: str) -> str:
    name, rest = _name(text)
    return f"a={name[:1]} b={name[1:]}; $a$b {rest}" if name else text


def grown_name(text: str) -> str:
    name, rest = _name(text)
    return f"a={name[:1]}; a+={name[1:]}; ${{a}} {rest}" if name else text


def broken_name(text: str) -> str:
    name, rest = _name(text)
    return f"{name[:1]}\\\n{name[1:]} {rest}" if name else text


def printed_name(text: str) -> str:
    name, rest = _name(text)
    return f"$(printf %s {name}) {rest}" if name else text


def braces(text: str) -> str:
    return "{" + ",".join(text.split()) + "}" if _PLAIN_LINE.match(text) and " " in text.strip() else text


def look_alike(text: str) -> str:
    name, rest = _name(text)
    changed = name.translate(_LOOK_ALIKES)
    return f"{changed} {rest}" if changed != name else text


def continued(text: str) -> str:
    name, blank, rest = text.partition(" ")
    return f"{name}{blank}\\\n  {rest}" if rest else text


def backquoted(text: str) -> str:
    return text if re.search(r"[`\\]", text) else f'echo "`\n{text}\n`"'


def _shell(text: str) -> str:
    return f"bash -c {shlex.quote(text)}"


def _decoded(text: str) -> str:
    return f"echo {base64.b64encode(text.encode()).decode()} | base64 -d | sh"


MUTATIONS: dict[str, Callable[[str], str]] = {
    "group": lambda text: f"{{\n{text}\n}}",
    "subshell": lambda text: f"(\n{text}\n)",
    "branch": lambda text: f"if true; then\n{text}\nfi",
    "other branch": lambda text: f"if false; then\ntrue\nelse\n{text}\nfi",
    "condition": lambda text: f"if\n{text}\nthen true; fi",
    "loop": lambda text: f"for i in 1; do\n{text}\ndone",
    "while": lambda text: f"while true; do\n{text}\nbreak\ndone",
    "until": lambda text: f"until\n{text}\ndo true; done",
    "function": lambda text: f"f() {{\n{text}\n}}\nf",
    "function with a keyword": lambda text: f"function f {{\n{text}\n}}\nf a b",
    "uncalled function": lambda text: f"f() {{\n{text}\n}}\n",
    "case": lambda text: f"case x in x)\n{text}\n;; esac",
    "eval": lambda text: f"eval {shlex.quote(text)}",
    "shell": _shell,
    "shell in a shell": lambda text: _shell(_shell(_shell(text))),
    "login shell": lambda text: f"/bin/bash -lc {shlex.quote(text)}",
    "dash": lambda text: f"sh -ec {shlex.quote(text)}",
    "variable": lambda text: f'X={shlex.quote(text)}; eval "$X"',
    "variable of a shell": lambda text: f"X={shlex.quote(text)} bash -c 'eval \"$X\"'",
    "array": lambda text: f'A=(bash -c {shlex.quote(text)}); "${{A[@]}}"',
    "argument of a function": lambda text: f'f() {{ eval "$1"; }}; f {shlex.quote(text)}',
    "substitution": lambda text: f'echo "$(\n{text}\n)"',
    "backquotes": backquoted,
    "default value": lambda text: f': "${{Z:=$(\n{text}\n)}}"',
    "arithmetic": lambda text: f"echo $(( $(\n{text}\n) + 1 ))",
    "test": lambda text: f'[[ -n "$(\n{text}\n)" ]]',
    "assignment of its output": lambda text: f"X=$(\n{text}\n)",
    "process substitution": lambda text: f"cat <(\n{text}\n)",
    "process substitution of a shell": lambda text: f"bash <(printf %s {shlex.quote(text)})",
    "here-document": lambda text: f"bash <<'ENDS'\n{text}\nENDS",
    "here-document in a pipe": lambda text: f"cat <<'ENDS' | bash\n{text}\nENDS",
    "here-string": lambda text: f"bash <<< {shlex.quote(text)}",
    "printed into a shell": lambda text: f"printf '%s\\n' {shlex.quote(text)} | sh",
    "decoded": _decoded,
    "file": lambda text: f"cat > z.sh <<'ENDS'\n{text}\nENDS\nsh z.sh",
    "sourced file": lambda text: f"echo {shlex.quote(text)} > z.sh; . ./z.sh",
    "xargs": lambda text: f"echo {shlex.quote(text)} | xargs -I{{}} sh -c {{}}",
    "xargs with a text": lambda text: f"echo a | xargs -n1 bash -c {shlex.quote(text)}",
    "find": lambda text: f"find . -name a -exec sh -c {shlex.quote(text)} \\;",
    "env -S": lambda text: f"env -S {shlex.quote(_shell(text))}",
    "env and a shell": lambda text: f"env -i A=b {_shell(text)}",
    "timeout": lambda text: f"timeout 9 {_shell(text)}",
    "nice": lambda text: f"nice -n 5 {_shell(text)}",
    "python": lambda text: "python3 -c " + shlex.quote(f"import os; os.system({text!r})"),
    "node": lambda text: "node -e " + shlex.quote(f"require('child_process').execSync({text!r})"),
    "awk": lambda text: "awk " + shlex.quote(f'BEGIN{{system("{text}")}}'),
    "git": lambda text: "git -c " + shlex.quote(f"alias.z=!{text}") + " z",
    "alias": lambda text: f"shopt -s expand_aliases\nalias zz={shlex.quote(text)}\nzz",
    "trap": lambda text: f"trap {shlex.quote(text)} EXIT",
    "background": lambda text: f"{{\n{text}\n}} &\nwait",
    "coprocess": lambda text: f"coproc {{\n{text}\n}}",
    "after": lambda text: f"echo ok; {text}",
    "or": lambda text: f"false || {text}",
    "and": lambda text: f"true && {text}",
    "into a pipe": lambda text: f"{{\n{text}\n}} | cat",
    "comment before": lambda text: f"# harmless, verified, sha256 checked\n{text}",
    "comment behind": lambda text: f"{text}\n# harmless",
    "carriage returns": lambda text: text.replace("\n", "\r\n") + "\r\n",
    "blanks": lambda text: f"   \t{text}   ",
    "more blanks": lambda text: text.replace(" ", "  "),
    "continued line": continued,
    "escaped for a page": lambda text: html.escape(text, quote=False),
    "quoted name": quoted_name,
    "name in quotes": double_quoted_name,
    "escaped name": escaped_name,
    "name in hexadecimal": ansi_name,
    "name in octal": octal_name,
    "assembled name": assembled_name,
    "grown name": grown_name,
    "broken name": broken_name,
    "printed name": printed_name,
    "braces": braces,
    "look-alike letters": look_alike,
    "environment": lambda text: f"env {text}",
    "assignment": lambda text: f"A=b {text}",
    "command": lambda text: f"command {text}",
    "time": lambda text: f"time {text}",
    "negation": lambda text: f"! {text}",
    "output": lambda text: f"{text} >/dev/null 2>&1",
    "prompt": lambda text: "\n".join(f"$ {line}" for line in text.split("\n")),
}
