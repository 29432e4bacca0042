"""Code on the command line or fed to an interpreter: what is plainly harmless, what attacks, and the rest.

Python is judged by its own syntax tree; other languages by the words that reach outside the program.
"""

from __future__ import annotations

import ast
import re

from ploinky.skills.safety.rules import Verdict

_HOSTILE_MODULES = frozenset(
    "os subprocess socket pty ctypes urllib http ftplib smtplib telnetlib shutil pickle marshal "
    "base64 codecs zlib bz2 importlib builtins code runpy multiprocessing signal webbrowser socketserver paramiko "
    "asyncio threading tempfile glob pathlib winreg site imp".split()
)
_HOSTILE_CALLS = frozenset(
    "exec eval compile __import__ getattr setattr globals locals vars open input breakpoint delattr".split()
)
_LIBRARIES = frozenset({"requests", "httpx", "aiohttp", "urllib3", "boto3", "paramiko"})
_QUIET_OS = frozenset({"getcwd", "sep", "name", "linesep", "path", "version", "cpu_count"})
_HOSTILE_WORDS = {
    "node": r"child_process|Deno\.|Bun\.|exec|spawn|eval|Function|fetch|https?\b|\bnet\b|\bdgram\b|\btls\b|Buffer|atob|process\.(?:env"
    r"|kill|binding|mainModule)|fs\b|import\s*\(|require\(['\"](?:fs|os|net|vm|http|child|node:)|globalThis|constructor",
    "perl": r"system|exec|eval|`|qx|open|socket|IO::|LWP|HTTP|unlink|fork|syscall|pack|decode|require|\bdo\b|use\s+(?!strict|warnings)",
    "ruby": r"system|exec|eval|`|%x|open|Socket|TCP|Net::|IO\.|File|Dir|spawn|fork|require|send|Base64|unpack|Kernel",
    "php": r"\$\w+\s*\(|system|exec|shell|passthru|eval|`|popen|proc_open|fsockopen|file_|fopen|curl|base64|assert|include|unlink|socket",
    "lua": r"os\.|io\.|load|dofile|require|socket",
}
_QUIET = {
    "node": re.compile(
        r"\s*(?:console\.log\(\s*)?(?:process\.(?:version|versions\.node|platform|arch)|require\.resolve\(['\"][\w@/.-]+['\"]\)"
        r"|require\(['\"](?:\./)?[\w@/-]*(?:package\.json)['\"]\)\.version|['\"][^'\"]*['\"]|\d+)\s*\)?\s*;?\s*\Z"
    ),
    "perl": re.compile(r"\s*print\s+(?:\$\^V|\$\]|['\"][^'\"$@]*['\"])\s*;?\s*\Z"),
    "ruby": re.compile(r"\s*(?:puts|p|print)\s+(?:RUBY_VERSION|['\"][^'\"#]*['\"]|\d+)\s*\Z"),
    "php": re.compile(r"\s*echo\s+(?:PHP_VERSION|phpversion\(\)|['\"][^'\"$]*['\"])\s*;?\s*\Z"),
}


def judge_code(language: str, code: str) -> Verdict:
    """What may become of ``code`` in ``language`` (python, node, perl, ruby, php, lua, ...)."""
    if "\0" in code:
        return Verdict.DENY
    if language == "python":
        return _python(code)
    quiet = _QUIET.get(language)
    if quiet is not None and quiet.match(code):
        return Verdict.ALLOW
    words = _HOSTILE_WORDS.get(language)
    if re.search(r"\w+://", code):
        return Verdict.DENY
    return Verdict.DENY if words is None or re.search(words, code) else Verdict.NEEDS_APPROVAL


def _python(code: str) -> Verdict:
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Verdict.DENY
    if any(_hostile(node) for node in ast.walk(tree)):
        return Verdict.DENY
    return Verdict.ALLOW if all(_quiet(statement) for statement in tree.body) else Verdict.NEEDS_APPROVAL


def _hostile(node: ast.AST) -> bool:
    if isinstance(node, ast.Import):
        return any(
            alias.name.partition(".")[0] in _HOSTILE_MODULES - {"os", "pathlib"} for alias in node.names
        )
    if isinstance(node, ast.ImportFrom):
        return (node.module or "").partition(".")[0] in _HOSTILE_MODULES | _LIBRARIES
    if isinstance(node, ast.Attribute):
        if node.attr.startswith("__") and node.attr not in ("__version__", "__name__", "__file__"):
            return True
        if not isinstance(node.value, ast.Name):
            return False
        if node.value.id in _LIBRARIES:
            return not node.attr.startswith("__")
        return node.value.id == "os" and node.attr not in _QUIET_OS
    return isinstance(node, ast.Name) and node.id in _HOSTILE_CALLS


def _quiet(statement: ast.stmt) -> bool:
    """Imports and prints of plain expressions."""
    if isinstance(statement, (ast.Import, ast.ImportFrom, ast.Pass)):
        return True
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        call = statement.value
        named = isinstance(call.func, ast.Name) and call.func.id == "print"
        return named and all(not isinstance(node, ast.Call) for arg in call.args for node in ast.walk(arg))
    return isinstance(statement, ast.Assert) and not any(
        isinstance(each, ast.Call) for each in ast.walk(statement)
    )
