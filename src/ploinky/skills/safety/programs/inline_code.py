"""Code on the command line or fed to an interpreter: what is plainly harmless, what attacks, and the rest.

Python is judged by its own syntax tree; other languages by the words that reach outside the program and by a
closed list of the functions that they may call. Only what prints constants and versions is allowed.
"""

from __future__ import annotations

import ast
import re

from ploinky.skills.safety.rules import Verdict

_HOSTILE_MODULES = frozenset(
    "os subprocess socket pty ctypes urllib http ftplib smtplib telnetlib shutil pickle marshal base64 "
    "codecs zlib bz2 importlib builtins code runpy multiprocessing signal webbrowser socketserver paramiko "
    "asyncio threading tempfile glob pathlib winreg site imp pip setuptools ensurepip distutils venv "
    "zipimport pdb ftplib poplib imaplib xmlrpc".split()
)
_HOSTILE_CALLS = frozenset(
    "exec eval compile __import__ getattr setattr globals locals vars open input breakpoint delattr".split()
)
_LIBRARIES = frozenset({"requests", "httpx", "aiohttp", "urllib3", "boto3", "paramiko"})
_QUIET_OS = frozenset({"getcwd", "sep", "name", "linesep", "path", "version", "cpu_count"})
_HOSTILE_WORDS = {
    "node": r"child_process|Deno\.|Bun\.|exec|spawn|eval|Function|fetch|https?\b|\bnet\b|\bdgram\b|\btls\b"
    r"|Buffer|atob|process\.(?:env"
    r"|kill|binding|mainModule)|fs\b|import\s*\(|require\(['\"](?:fs|os|net|vm|http|child|node:)|globalThis"
    r"|constructor",
    "perl": r"system|exec|eval|`|qx|open|socket|IO::|LWP|HTTP|unlink|fork|syscall|pack|decode|require|\bdo\b"
    r"|use\s+(?!strict|warnings)",
    "ruby": r"system|exec|eval|`|%x|open|Socket|TCP|Net::|IO\.|File|Dir|spawn|fork|require|send|Base64"
    r"|unpack|Kernel",
    "php": r"\$\w+\s*\(|system|exec|shell|passthru|eval|`|popen|proc_open|fsockopen|file_|fopen|curl|base64"
    r"|assert|include|unlink|socket",
    "lua": r"os\.|io\.|load|dofile|require|socket",
    "r": r"system|shell|source|url|download|socket|Sys\.|file|unlink|eval|parse|install|dyn\.load|pipe|open"
    r"|write|sink|save",
    "julia": r"run|`|pipeline|download|include|eval|open|ccall|ENV|Sockets|rm|cp|mv|write|Libc",
}
_QUIET = {
    "node": re.compile(
        r"\s*(?:console\.log\(\s*)?(?:process\.(?:version|versions\.node|platform|arch)"
        r"|require\.resolve\(['\"][\w@/.-]+['\"]\)"
        r"|require\(['\"](?:\./)?[\w@/-]*(?:package\.json)['\"]\)\.version|['\"][^'\"]*['\"]"
        r"|\d+)\s*\)?\s*;?\s*\Z"
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
    if words is None or re.search(words, code) or not _calls_are_known(language, code):
        return Verdict.DENY
    return Verdict.NEEDS_APPROVAL


_LITERALS = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'")
_CALLED = re.compile(r"([A-Za-z_]\w*)\s*(?:\(|\?\.\()")
_HARMLESS_CALLS = frozenset(
    "print printf sprintf say puts p pp echo log error warn dir table if for while until unless switch "
    "return function foreach elseif elsif length len size push pop shift unshift splice slice map filter "
    "reduce forEach find some every sort reverse join split replace replaceAll replace gsub sub match "
    "matchAll test trim trimEnd trimStart strip chomp chop lc uc lcfirst ucfirst toUpperCase toLowerCase "
    "upcase downcase capitalize substr substring index indexOf lastIndexOf includes startsWith endsWith "
    "start_with end_with padStart padEnd repeat concat keys values entries each exists defined delete grep "
    "parse stringify toString toFixed toISOString toJSON parseInt parseFloat Number String Boolean Array "
    "Object Date Math Set Map JSON RegExp Intl floor ceil round abs min max sqrt pow rand random int hex "
    "oct ord chr sum count uniq first last to_s to_i to_f inspect json_encode json_decode strlen strtoupper "
    "strtolower str_replace preg_replace preg_match implode explode array_map array_sum var_dump print_r "
    "date time strftime localtime gmtime now isNaN from of assign require_resolve resolve my our local qw "
    "split do catch then paste cat c mean median sd var summary head nrow ncol names seq_along format nchar "
    "toupper tolower packageVersion R_version library".split()
)


def _calls_are_known(language: str, code: str) -> bool:
    """Whether every function that the code calls is of the closed list of those
    that only compute and print.
    """
    rest = _LITERALS.sub("0", code)
    return all(name in _HARMLESS_CALLS for name in _CALLED.findall(rest))


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


_SHOWN = frozenset(
    "__version__ __name__ __file__ version version_info platform executable prefix base_prefix "
    "byteorder maxsize hexversion major minor micro path name sep linesep VERSION version_string "
    "implementation flags".split()
)
_PLAIN_NODES = (
    ast.Constant, ast.Name, ast.Load, ast.JoinedStr, ast.FormattedValue, ast.BinOp, ast.UnaryOp, ast.BoolOp,
    ast.Compare, ast.Tuple,
    ast.List, ast.Slice, ast.Subscript, ast.IfExp, ast.operator, ast.unaryop, ast.boolop, ast.cmpop,
    ast.keyword, ast.Starred,
)  # fmt: skip


def _quiet(statement: ast.stmt) -> bool:
    """Imports, and prints of constants, versions and names: every node must be of the closed list."""
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return all(each.asname is None for each in statement.names)
    if isinstance(statement, ast.Pass):
        return True
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        call = statement.value
        named = isinstance(call.func, ast.Name) and call.func.id == "print"
        return named and all(_plain(node) for arg in (*call.args, *call.keywords) for node in ast.walk(arg))
    return isinstance(statement, ast.Assert) and all(_plain(node) for node in ast.walk(statement.test))


def _plain(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr in _SHOWN
    return isinstance(node, _PLAIN_NODES)
