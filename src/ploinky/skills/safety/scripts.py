"""Bundled programs judged by their text: shell by its syntax, Python by its own, JavaScript by its words.

A program may do much in its sandbox; findings are what no honest program of a skill does, and what nobody can
judge by reading (code made at run time, compiled files).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ploinky.skills.safety.places import SECRET_HOME
from ploinky.skills.safety.rules import Finding, Verdict, finding
from ploinky.skills.safety.text import judge_text

ATTACKS = frozenset(
    "remote-exec piped-code obfuscated privilege persistence reverse-shell exfiltration read-secret "
    "destruction security-off hijack agent-instructions lure skip-confirmation odd-characters".split()
)
SHELL_ENDINGS = (".sh", ".bash", ".zsh")
_COMPILED = (b"\x7fELF", b"MZ", b"\xfe\xed\xfa", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"\0asm")
_PACKED = (b"PK\x03\x04", b"\x1f\x8b", b"Rar!", b"7z\xbc\xaf", b"BZh", b"\xfd7zXZ", b"!<arch>")
_SHEBANG = re.compile(rb"#!\s*\S*/(?:env\s+(?:-S\s+)?)?(\w+)")
_DECODES = re.compile(
    r"b64decode|decodebytes|fromhex|unhexlify|decompress|rot13|marshal\.loads|a85decode|b85decode"
)
_FETCHES = re.compile(r"urlopen|requests\.|httpx\.|urllib|http\.client|aiohttp|socket")
_JS_ATTACKS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), why)
    for pattern, why in (
        (
            r"(?:eval|Function)\s*\(\s*(?:atob|Buffer\.from|decodeURIComponent|unescape)",
            "decodes text and executes it",
        ),
        (r"(?:eval|Function)\s*\(\s*(?:await\s+)?(?:\(?\s*await\s+)?fetch", "executes what it fetches"),
        (r"\.then\s*\(\s*(?:eval|\(?\w+\)?\s*=>\s*eval)", "executes what it fetches"),
        (
            (
                r"net\.(?:connect|Socket|createConnection)[\s\S]{0,400}(?:spawn"
                r"|exec)\s*\(\s*['\"](?:/bin/)?(?:ba)?sh"
            ),
            "a reverse shell",
        ),
        (r"(?:\b_0x[0-9a-f]{4,}\b[\s\S]{0,200}){8}", "obfuscated code"),
    )
)
_JS_SHELLS = re.compile(r"(?:exec|execSync|spawn|spawnSync)\s*\(\s*(['\"`])((?:(?!\1)[^\\]|\\.){3,400})\1")
_SECRET_TEXT = re.compile(
    r"(?:sk-(?:ant-|proj-)?[A-Za-z0-9_-]{24,}|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{40,}|AKIA[0-9A-Z]{16}"
    r"|xox[baprs]-[\w-]{20,}"
    r"|AIza[\w-]{33,}|glpat-[\w-]{20,}|npm_[A-Za-z0-9]{36}|-----BEGIN (?:\w+ )?PRIVATE KEY-----"
    r"|eyJ[\w-]{20,}\.eyJ[\w-]{20,}\.[\w-]{20,})"
)


def judge_file(name: str, data: bytes) -> list[Finding]:
    """Findings about one bundled file."""
    if data.startswith(_COMPILED):
        return [finding("script-review", 1, name, "a compiled program", file=name)]
    if data.startswith(_PACKED):
        return [finding("script-review", 1, name, "an archive", file=name)]
    text = data.decode("utf-8", "replace")
    language = _language(name, data)
    found = secret_texts(text)
    if language == "shell":
        found += _shell(text)
    elif language == "python":
        found += _python(text)
    elif language == "javascript":
        found += _javascript(text)
    return [_in_file(each, name) for each in found]


def secret_texts(text: str, line: int = 1) -> list[Finding]:
    """Keys that stand in a text; the finding shows only how they begin."""
    return [
        finding("secret-text", line + text.count("\n", 0, match.start()), f"{match.group(0)[:6]}…")
        for match in _SECRET_TEXT.finditer(text)
    ]


def _in_file(each: Finding, name: str) -> Finding:
    return Finding(each.rule, name, each.line, each.text, each.reason, each.told_only)


def _language(name: str, data: bytes) -> str:
    if name.endswith(SHELL_ENDINGS):
        return "shell"
    if name.endswith((".py", ".pyw")):
        return "python"
    if name.endswith((".js", ".mjs", ".cjs", ".ts", ".mts")):
        return "javascript"
    match = _SHEBANG.match(data)
    program = match.group(1).decode() if match else ""
    if program.startswith("python"):
        return "python"
    return {"sh": "shell", "bash": "shell", "zsh": "shell", "dash": "shell", "node": "javascript"}.get(
        program, ""
    )


def _shell(text: str) -> list[Finding]:
    judged = judge_text(text)
    return [each for each in judged.findings if each.rule in ATTACKS and each.verdict is Verdict.DENY]


def _python(text: str) -> list[Finding]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return [finding("script-review", 1, text[:80], "Python that cannot be parsed")]
    return [each for node in ast.walk(tree) for each in _python_node(node)]


def _python_node(node: ast.AST) -> Iterator[Finding]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 300:
        path = node.value.removeprefix("~/").removeprefix("~")
        if node.value.startswith(("~/.", "/etc/shadow", ".ssh/")) and (
            SECRET_HOME.match(path) or "shadow" in path
        ):
            yield finding("read-secret", node.lineno, node.value)
    if not isinstance(node, ast.Call):
        return
    shown = ast.unparse(node)[:4000]
    name = ast.unparse(node.func)
    if name in ("exec", "eval", "compile", "builtins.exec", "builtins.eval", "__import__('builtins').exec"):
        inner = " ".join(ast.unparse(each) for each in node.args)
        if _DECODES.search(inner):
            yield finding("hostile-script", node.lineno, shown, "decodes text and executes it")
        elif _FETCHES.search(inner):
            yield finding("hostile-script", node.lineno, shown, "executes what it fetches")
        elif node.args and not isinstance(node.args[0], ast.Constant) and name != "compile":
            yield finding("script-review", node.lineno, shown, "executes text that it makes")
    elif name in ("os.dup2", "pty.spawn"):
        yield finding("reverse-shell", node.lineno, shown)
    elif name in ("os.system", "os.popen", "subprocess.getoutput", "commands.getoutput") or _runs_shell(
        node, name
    ):
        first = node.args[0] if node.args else None
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            judged = judge_text(first.value, line=node.lineno)
            yield from (
                each for each in judged.findings if each.rule in ATTACKS and each.verdict is Verdict.DENY
            )


def _runs_shell(node: ast.Call, name: str) -> bool:
    in_shell = any(
        each.arg == "shell" and isinstance(each.value, ast.Constant) and each.value.value
        for each in node.keywords
    )
    return name.startswith("subprocess.") and in_shell


def _javascript(text: str) -> list[Finding]:
    found = [
        finding("hostile-script", text.count("\n", 0, match.start()) + 1, match.group(0), why)
        for pattern, why in _JS_ATTACKS
        for match in [pattern.search(text)]
        if match
    ]
    for match in list(_JS_SHELLS.finditer(text))[:20]:
        line = text.count("\n", 0, match.start()) + 1
        judged = judge_text(re.sub(r"\$\{[^}]*\}", "x", match.group(2)), line=line)
        found += [each for each in judged.findings if each.rule in ATTACKS and each.verdict is Verdict.DENY]
    return found
