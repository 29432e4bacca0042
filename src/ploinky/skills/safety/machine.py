"""The state of the imagined shell: working directory, variables, files and what is known about them.

Alternatives are kept, not guessed: a variable that a branch may have set has all its values. Findings are
shared by every copy of a machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from ploinky.skills.safety.places import HOME, SKILL, TEMP, Place, Zone, place_of, within
from ploinky.skills.safety.rules import Finding
from ploinky.skills.safety.syntax import Statement
from ploinky.skills.safety.values import HOLE, NONE, Stream, Taint, Value

MOST_ALTERNATIVES = 12
_SKILL_NAMES = ("SKILL_DIR", "SKILL_HOME", "SKILL_PATH", "SKILLS_DIR", "INSTALL_DIR",
                "BASE_DIR", "baseDir", "CLAUDE_SKILL_DIR", "CLAUDE_PLUGIN_ROOT", "SKILL_ROOT",
                "skillDir")  # fmt: skip
_ENVIRONMENT = {
    **dict.fromkeys(_SKILL_NAMES, SKILL),
    "HOME": HOME,
    "PWD": SKILL,
    "OLDPWD": SKILL,
    "TMPDIR": TEMP + "/t",
    "SHELL": "/bin/bash",
    "BASH": "/bin/bash",
    "USER": "user",
    "LOGNAME": "user",
    "UID": "1000",
    "EUID": "1000",
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "IFS": " \t\n",
    "LANG": "C.UTF-8",
    "XDG_CONFIG_HOME": f"{HOME}/.config",
    "XDG_DATA_HOME": f"{HOME}/.local/share",
    "XDG_CACHE_HOME": f"{HOME}/.cache",
    "XDG_STATE_HOME": f"{HOME}/.local/state",
    "OSTYPE": "linux-gnu",
}
_NUMBERS = frozenset({"?", "#", "$", "!", "RANDOM", "LINENO", "SECONDS", "PPID", "BASHPID"})
_PATTERN = re.compile(r"(\*+|\?|\[[^]]*\]|\0)")
_WILD = {"*": "[^/]*", "?": "[^/]", "[": "[^/]", HOLE: ".*"}
SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|PRIVATE|AUTH|MNEMONIC|SEED", re.IGNORECASE)


def is_given(name: str) -> bool:
    """Whether a variable has a value in every shell, so that no text need cut it up."""
    return name in _ENVIRONMENT and name not in ("UID", "EUID", "OLDPWD", "PWD", *_SKILL_NAMES)


@dataclass(frozen=True)
class FileFacts:
    """What is known of a file or, with ``tree``, of everything below a folder."""

    taints: frozenset[Taint] = NONE
    text: str | None = None
    line: int = 0
    tree: bool = False
    pinned: bool = False
    source: str = ""


@dataclass
class Machine:
    """One imagined shell; ``fork`` makes that of a subshell."""

    bundled: frozenset[str] | None = None
    bins: frozenset[str] = frozenset()
    cwd: str = SKILL
    variables: dict[str, tuple[Value, ...]] = field(default_factory=dict)
    files: dict[str, FileFacts] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    functions: dict[str, Statement] = field(default_factory=dict)
    called: set[str] = field(default_factory=set)
    aliases: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    traps: list[str] = field(default_factory=list)
    verified: set[str] = field(default_factory=set)
    ever_verified: set[str] = field(default_factory=set)
    written: list[str] = field(default_factory=list)
    enforced: bool = True
    errexit: bool = True
    steps: list[int] = field(default_factory=lambda: [0])
    depth: int = 0

    def fork(self) -> Machine:
        copy = Machine(**{name: getattr(self, name) for name in self.__dataclass_fields__})
        copy.variables = dict(self.variables)
        return copy

    def lookup(self, name: str) -> tuple[Value, ...]:
        """Every value that a variable may have; a hole if nobody knows."""
        if name in self.variables:
            return self.variables[name]
        if name == "PWD":
            return (Value(self.cwd),)
        if name in _ENVIRONMENT:
            return (Value(_ENVIRONMENT[name]),)
        if name in _NUMBERS:
            return (Value("0"),)
        if name in ("0", "BASH_SOURCE"):
            return (Value(f"{SKILL}/{HOLE}"),)
        if name in ("HOSTNAME", "HOSTTYPE", "MACHTYPE"):
            return (Value(HOLE, frozenset({Taint.LOCAL})),)
        return (Value(HOLE, frozenset({Taint.UNSET}), variables=frozenset({name})),)

    def assign(self, name: str, values: Iterable[Value]) -> None:
        kept = tuple(dict.fromkeys(values))
        self.variables[name] = kept if len(kept) <= MOST_ALTERNATIVES else (_blurred(kept),)

    def merge_variables(self, before: dict[str, tuple[Value, ...]]) -> None:
        """After a branch that may not have run: what it set joins what was there before."""
        for name, values in list(self.variables.items()):
            old = before.get(name)
            if old is None:
                old = self.lookup(name) if name not in self.variables else ()
            if old and old != values:
                self.assign(name, (*old, *values))

    def place(self, value: Value) -> Place:
        """Where a path leads for this shell; a decoded or fetched name leads to nowhere known."""
        if value.taints & {Taint.PIPE}:
            return Place(Zone.SINK, value.text)
        return place_of(value.text, self.cwd, self.links)

    def facts(self, path: str) -> FileFacts | None:
        """What is known of ``path``, by itself, by what its pattern may match, or by the nearest folder."""
        found = self.files.get(path)
        if found is not None:
            return FileFacts() if path in self.verified else found
        matched = self._matched(path) if _PATTERN.search(path) else self._begun(path)
        if matched is not None:
            return matched
        folders = [each for each, facts in self.files.items() if facts.tree and within(path, each)]
        if not folders:
            return None
        nearest = max(folders, key=len)
        return self.files[nearest]

    def _matched(self, pattern: str) -> FileFacts | None:
        """The worst that is known of a file which a path with wildcards or holes may mean."""
        parts = _PATTERN.split(pattern)
        shape = re.compile("".join(_WILD.get(each[:1] if number % 2 else "", re.escape(each))
                                   for number, each in enumerate(parts)))  # fmt: skip
        for path, facts in self.files.items():
            unchecked = facts.taints & {Taint.REMOTE, Taint.DECODED} and not facts.pinned
            may = shape.fullmatch(path) or (HOLE in path and _may_meet(pattern, path))
            if unchecked and path not in self.verified and may:
                return facts
        return None

    def _begun(self, path: str) -> FileFacts | None:
        """What is known of a fetched file of whose name only the beginning is (``npm pack name``)."""
        for begun, facts in self.files.items():
            before, hole, after = begun.partition(HOLE)
            rest = path[len(before) :]
            named = hole and before and path.startswith(before) and rest.endswith(after) and HOLE not in after
            if named and "/" not in rest and path not in self.verified:
                return facts
        return None

    def write(self, path: str, stream: Stream, *, line: int, append: bool = False) -> None:
        """A file got new content."""
        self._forget_proof(path)
        old = self.files.get(path)
        taints, text = stream.taints, stream.text
        if append and old is not None:
            taints |= old.taints
            text = None if text is None or old.text is None else old.text + text
        self.files[path] = FileFacts(taints, text, line, source=stream.origin)

    def overwrite_tree(self, folder: str) -> None:
        """A folder got files that nobody can name: what was checked in it may be something else now."""
        for path in [each for each in self.verified if within(each, folder)]:
            self._forget_proof(path)

    def _forget_proof(self, path: str) -> None:
        self.verified.discard(path)
        self.ever_verified.discard(path)
        self.written.append(path)

    def copy_file(self, source: str, target: str, line: int) -> None:
        facts = self.facts(source)
        if facts is not None:
            self.files[target] = FileFacts(
                facts.taints, facts.text, line, facts.tree, facts.pinned, facts.source
            )
            if source in self.verified:
                self.verified.add(target)
                self.ever_verified.add(target)
        else:
            self.files.pop(target, None)

    def prove(self, paths: Iterable[str]) -> None:
        self.verified.update(paths)
        self.ever_verified.update(paths)

    def unfinished_downloads(self) -> list[tuple[str, FileFacts]]:
        """Files from the network that nothing ever checked."""
        return [
            (path, facts)
            for path, facts in self.files.items()
            if Taint.REMOTE in facts.taints and path not in self.ever_verified and not facts.pinned
        ]


def _may_meet(pattern: str, path: str) -> bool:
    """Whether two paths with unknown parts could be one: what is known at their beginnings agrees."""
    left, right = _PATTERN.split(pattern)[0], path.partition(HOLE)[0]
    return left.startswith(right) or right.startswith(left)


def _blurred(values: tuple[Value, ...]) -> Value:
    taints = frozenset().union(*(each.taints for each in values))
    names = frozenset().union(*(each.variables for each in values))
    return Value(HOLE, taints | {Taint.COMPUTED}, variables=names)
