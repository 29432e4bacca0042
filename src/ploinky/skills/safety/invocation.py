"""One simple command as the programs' rules see it: name, arguments, input, and what may be asked and told.

``read_file``, ``write_file`` and ``run_file`` judge a path by its zone and by what is known of the file;
every rule goes through them.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ploinky.skills.safety.machine import FileFacts, Machine
from ploinky.skills.safety.places import (
    HOME,
    SKILL,
    Place,
    Zone,
    holds_everything,
    is_installed_skill,
    within,
)
from ploinky.skills.safety.values import HOLE, NONE, Stream, Taint, Value

if TYPE_CHECKING:
    from ploinky.skills.safety.walk import Walker

_INSTRUCTIONS = frozenset(
    "skill.md agents.md claude.md soul.md heartbeat.md memory.md tools.md identity.md user.md gemini.md "
    "bootstrap.md .cursorrules .clinerules .windsurfrules copilot-instructions.md system_prompt.md "
    "instructions.md".split()
)
_SCRIPT_ENDINGS = (".sh", ".bash", ".py", ".js", ".mjs", ".cjs", ".ts", ".rb", ".pl", ".php", ".lua")
_SCRIPT_FOLDERS = ("scripts/", "bin/", "tools/", "src/", "lib/", "assets/", "cli/", "skills/",
                   "dist/", "node_modules/.bin/", ".venv/bin/", "venv/bin/", "env/bin/",
                   "references/")  # fmt: skip
_DESCRIPTOR = re.compile(r"/(?:dev/fd|dev/stdin|proc/(?:self|\$\$|\d+|\0)/fd)(?:/|\Z)")
_RUN_BY_NAME = re.compile(
    r"\.(?:bash(?:rc|_profile|_login|_logout|_aliases)|zsh(?:rc|env)|z(?:profile|login|logout)|profile"
    r"|xprofile|xinitrc)|authorized_keys2?|(?:site|user)customize\.py|.*\.pth"
)
_READ_BY_OTHERS = re.compile(
    r"(?:.*/)?\.(?:claude|cursor|codex|gemini|windsurf|continue|aider|opencode|vscode|idea|devcontainer"
    r"|husky|circleci|github/workflows"
    r"|github/actions|config/git)/|(?:.*/)?\.(?:mcp\.json|pre-commit-config\.yaml|gitmodules|gitlab-ci\.yml"
    r"|travis\.yml|aider\.conf\.yml|yarnrc(?:\.yml)?|pnpmfile\.cjs|condarc|bazelrc|Rprofile)\Z"
)
_KEYS = re.compile(r"/(?:g?shadow|passwd|sudoers|id_\w+|credentials|\.netrc|authorized_keys|environ)-?\Z")
_ENVIRONMENT_FILE = re.compile(
    r"\.env(?!rc\Z|.*\.?(?:example|sample|template|dist|defaults)\Z)", re.IGNORECASE
)
_INPUT = frozenset({"-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"})
_READABLE = frozenset({Zone.SELF, Zone.TEMP, Zone.SINK, Zone.OWN_HOME, Zone.SYSTEM})


@dataclass(frozen=True)
class Result:
    """What a command leaves: its output, and which files are as they should be if it succeeds (or fails)."""

    out: Stream = field(default_factory=Stream)
    proves: frozenset[str] = frozenset()
    denies: frozenset[str] = frozenset()
    leaves: bool = False
    enforced: bool = True


EMPTY = Result()
QUIET = Result(Stream(text=""))  # prints nothing


@dataclass(frozen=True)
class Invocation:
    """A name with its arguments; ``stdin`` is None where nothing is fed in."""

    name: Value
    args: tuple[Value, ...]
    stdin: Stream | None
    walker: Walker

    @property
    def machine(self) -> Machine:
        return self.walker.machine

    @property
    def program(self) -> str:
        """The name without a system's folder."""
        return posixpath.basename(self.name.text)

    @property
    def texts(self) -> list[str]:
        return [each.text for each in self.args]

    def report(self, rule: str, reason: str = "") -> None:
        self.walker.report(rule, reason)

    def inner(self, argv: Sequence[Value]) -> Result:
        """Another command that this one runs, with the same input."""
        if not argv:
            return EMPTY
        return self.walker.programs.dispatch(Invocation(argv[0], tuple(argv[1:]), self.stdin, self.walker))

    def place(self, value: Value) -> Place:
        return self.machine.place(value)

    def assign(self, name: str, value: Value) -> None:
        """A variable that this command sets, judged as any assignment."""
        self.walker.programs.check_assign(self, name, value)
        self.machine.assign(name, [value])

    def read_file(self, value: Value) -> Stream:
        """What reading a path gives; a path that nobody may read is reported."""
        if value.taints & {Taint.PIPE}:
            return Stream(value.taints)
        if value.text in _INPUT:
            return self.stdin or Stream()
        place = self.place(value)
        dotted = place.path.startswith(f"{HOME}/.") or _KEYS.search(place.path) is not None
        hidden = value.glob and place.zone is Zone.OUTSIDE and dotted
        if place.zone is Zone.SECRET or hidden:
            self.report("read-secret")
            return Stream(frozenset({Taint.SECRET}))
        if place.zone not in _READABLE:
            self.report("unknown-path" if place.zone is Zone.UNKNOWN else "outside-read")
            outside = place.zone is Zone.OUTSIDE
            return Stream(frozenset({Taint.SECRET if outside else Taint.COMPUTED}) | value.taints)
        if _ENVIRONMENT_FILE.match(posixpath.basename(place.path)):
            return Stream(frozenset({Taint.SECRET}))
        if place.path in ("/dev/zero", "/dev/urandom", "/dev/random", "/dev/full"):
            return Stream(origin="endless")
        facts = self.machine.facts(place.path) or FileFacts()
        return Stream(facts.taints, facts.text, place.path)

    def read_tree(self, value: Value) -> Stream:
        """What a program takes of a folder with everything in it; the owner's whole folders are secret."""
        if holds_everything(self.place(value).path):
            self.report("read-secret", "takes everything that the owner has")
        return self.read_file(value)

    def write_file(self, value: Value, stream: Stream | None = None, *, append: bool = False) -> Place:
        """A path gets new content; one outside the skill's folder is reported."""
        place = self.place(value)
        stream = stream or Stream()
        if place.zone is Zone.SINK:
            return place
        self._check_target(place, value, stream)
        self.machine.write(place.path, stream, line=self.walker.line, append=append)
        return place

    def _check_target(self, place: Place, value: Value, stream: Stream) -> None:
        name = posixpath.basename(place.path).lower()
        relative = place.path[len(SKILL) + 1 :] if within(place.path, SKILL) else ""
        if name in _INSTRUCTIONS:
            self.report("agent-instructions")
        elif _RUN_BY_NAME.fullmatch(name):
            self.report("persistence", "a file that others run by its name")
        elif stream.origin == "endless":
            self.report("destruction", "fills the disk")
        elif place.zone is Zone.UNKNOWN:
            self.report(
                "computed-command" if value.taints & {Taint.REMOTE, Taint.DECODED} else "unknown-path"
            )
        elif place.zone is Zone.OWN_HOME:
            secret = any(
                word in place.path.lower() for word in ("credential", "secret", "token", "auth", "key")
            )
            self.report("secret-file" if secret else "home-write")
        elif place.zone not in (Zone.SELF, Zone.TEMP):
            self.report("write-outside")
        elif _READ_BY_OTHERS.match(relative):
            self.report("hijack", "a file that tells an assistant, an editor or a build what to run")
        elif relative.startswith(".git/") or "/.git/hooks/" in place.path:
            self.report("persistence", "writes a git hook or the repository's configuration")
        elif name in (
            ".npmrc",
            "pip.conf",
            ".gitattributes",
            ".envrc",
        ):
            self.report("hijack", "a file that changes what other programs do")
        elif Taint.SECRET in stream.taints:
            self.report("secret-file", "writes secrets or the environment into a file")
        elif _ENVIRONMENT_FILE.match(name):
            self.report("secret-file")

    def show(self, arguments: Sequence[Value]) -> None:
        """Arguments of a program that reads what it likes: none of them may name a key of the owner."""
        for each in arguments:
            path = re.sub(r"^(?:--?[\w-]+=|[\w.-]*[=:]?@)", "", each.text)
            if re.match(r"[/~.]|\w[\w.-]*/", path):
                path = re.sub(r"^~(?=/)", HOME, path)
                if self.place(each.with_text(path)).zone is Zone.SECRET:
                    self.report("read-secret", f"{self.program} is shown a key")

    def run_file(self, value: Value, arguments: Sequence[Value] = ()) -> Result:
        """A file is executed: never what came from the network unchecked,
        asked where it is not the skill's.
        """
        self.show(arguments)
        fed = self.stdin.taints if self.stdin is not None else NONE
        if value.taints & {Taint.PIPE, Taint.REMOTE, Taint.DECODED} or _DESCRIPTOR.match(value.text):
            self.report("remote-exec" if Taint.REMOTE in value.taints | fed else "piped-code")
            return EMPTY
        place = self.place(value)
        facts = self.machine.facts(place.path)
        if self.stdin is not None and Taint.REMOTE in self.stdin.taints:
            self.report("network", "a script gets text from the network")
        if facts is not None and Taint.REMOTE in facts.taints and not facts.pinned:
            self.report("remote-exec", f"{posixpath.basename(place.path)} came from the network unchecked")
        elif facts is not None and Taint.DECODED in facts.taints:
            self.report("piped-code", "what it runs was decoded before")
        elif place.zone is Zone.UNKNOWN or HOLE in place.path:
            self.report("computed-command")
        elif place.zone is not Zone.SELF and not (facts is None and is_installed_skill(place.path)):
            self._outside(place)
        elif place.path in self.machine.verified:
            return Result(Stream(frozenset({Taint.COMPUTED})))
        elif facts is not None:
            self._run_written(facts)
        else:
            self._run_bundled(place.path[len(SKILL) + 1 :] if place.zone is Zone.SELF else "")
        return Result(Stream(frozenset({Taint.COMPUTED})))

    def _outside(self, place: Place) -> None:
        known = place.zone is not Zone.SECRET
        self.report("unknown-command" if known else "read-secret", "runs a program outside the skill")

    def _run_written(self, facts: FileFacts) -> None:
        if facts.text is not None and not facts.tree and self.machine.depth < 8:
            self.walker.evaluate(facts.text, None)
        self.report("own-code", "runs a file that it has just made")

    def _run_bundled(self, relative: str) -> None:
        if not relative:
            return  # by the path where other products keep installed skills
        bundled = self.machine.bundled
        if bundled is not None:
            if relative not in bundled and not relative.startswith((".venv/", "venv/", "node_modules/")):
                self.report("missing-file", f"the skill has no file {relative!r}")
            return
        script = relative.endswith(_SCRIPT_ENDINGS) or relative.startswith(_SCRIPT_FOLDERS)
        if not script:
            self.report("unknown-command", "a program that nobody has seen")

    def with_args(self, args: Sequence[Value]) -> Invocation:
        return replace(self, args=tuple(args))
