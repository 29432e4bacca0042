"""Walks through a shell text as the shell would, without running anything.

It follows pipes, files, variables, branches and functions, and hands every simple command to ``dispatch``.
Where the text gets too intricate it says so, which asks a person. It knows no program.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ploinky.skills.safety.assignments import assign_all, declare, set_variable
from ploinky.skills.safety.expansion import Expander
from ploinky.skills.safety.invocation import EMPTY, QUIET, Invocation, Result
from ploinky.skills.safety.machine import Machine
from ploinky.skills.safety.redirections import open_redirects, write_output
from ploinky.skills.safety.rules import finding
from ploinky.skills.safety.shfmt import Tree, parse_shell
from ploinky.skills.safety.syntax import (
    Binary,
    Branch,
    Call,
    Case,
    Condition,
    Declare,
    Function,
    Group,
    Loop,
    Statement,
    Substitution,
    Unfollowed,
    Word,
)
from ploinky.skills.safety.values import HOLE, NONE, Stream, Taint, Value, joined

_MOST_STEPS = 4_000
_DEEPEST = 30
_ENDLESS = re.compile(
    r"\s*(?:while\s+(?:true|:|\(\(\s*1\s*\)\)|\[\s*1\s*\])|until\s+false|for\s*\(\(\s*;\s*;)\b|\s*while\s+:"
)
_LEAVES = re.compile(r"\b(?:break|exit|return)\b")
_RUNNING_INDEX = re.compile(r"\w\[[^\]]*(?:\$\(|`)")

Dispatch = Callable[[Invocation], Result]
CheckAssign = Callable[[Invocation, str, Value], None]


@dataclass(frozen=True)
class Programs:
    """What the walker asks about programs: a simple command, and a variable that is set."""

    dispatch: Dispatch
    check_assign: CheckAssign


class Walker:
    """Walks one text; ``machine`` is changed and collects the findings."""

    def __init__(self, tree: Tree, machine: Machine, programs: Programs, *, line: int = 1) -> None:
        self.tree = tree
        self.machine = machine
        self.programs = programs
        self._first_line = line
        self._here: Statement | None = None

    def walk(self) -> Stream:
        """The whole text, and the bodies of functions that it never calls."""
        result = self._sequence(self.tree.statements, None)
        for text in self.machine.traps[:_DEEPEST]:
            self.evaluate(text, None)  # it runs at the end, on what there is by then
        for _ in range(_DEEPEST):
            uncalled = set(self.machine.functions) - self.machine.called
            for name in uncalled:
                self.machine.called.add(name)
                self._statement(self.machine.functions[name], None)
            if not uncalled:
                break
        return result.out

    def report(self, rule: str, reason: str = "", *, text: str = "") -> None:
        """A finding about the statement that is being walked."""
        here = self._here
        shown = text or (self.tree.text(here.start, here.end) if here else "")
        found = finding(rule, self.line, shown, reason)
        if found not in self.machine.findings:
            self.machine.findings.append(found)

    @property
    def line(self) -> int:
        return (self._here.line - self.tree.line_shift if self._here else 1) + self._first_line - 1

    def evaluate(self, text: str, stdin: Stream | None) -> Result:
        """A text that a command executes (``eval``, ``sh -c``), in this very machine."""
        tree = parse_shell([text])[0]
        if tree is None or self.machine.depth > _DEEPEST:
            self.report("not-shell", "the text that it executes is no shell")
            return EMPTY
        inner = Walker(tree, self.machine, self.programs, line=self.line)
        self.machine.depth += 1
        result = inner._sequence(tree.statements, stdin)
        self.machine.depth -= 1
        return result

    def rules_of(self, text: str) -> set[str]:
        """The rules that a text would break in a shell like this one; nothing is reported."""
        machine = self.machine.fork()
        machine.findings = []
        machine.files = dict(machine.files)
        self._in(machine).evaluate(text, None)
        return {each.rule for each in machine.findings}

    def call_function(self, name: str, arguments: Sequence[Value], stdin: Stream | None) -> Result:
        """The body of a function with its arguments bound."""
        machine = self.machine
        if machine.depth > _DEEPEST:
            multiplies = stdin is not None or self._multiplies(machine.functions[name])
            self.report("destruction" if multiplies else "complex", "a function that calls itself")
            return EMPTY
        before = {key: machine.variables.get(key) for key in ("1", "2", "3", "4", "@", "*")}
        for number, value in enumerate(arguments[:4], start=1):
            machine.variables[str(number)] = (value,)
        machine.variables["@"] = machine.variables["*"] = (joined(arguments),)
        machine.called.add(name)
        machine.depth += 1
        result = self._statement(machine.functions[name], stdin)
        machine.depth -= 1
        for key, old in before.items():
            if old is None:
                machine.variables.pop(key, None)
            else:
                machine.variables[key] = old
        return result

    def _multiplies(self, body: Statement) -> bool:
        """Whether a function starts something in the background."""
        command = body.command
        return isinstance(command, Group) and any(each.background for each in command.body)

    def _run(self, body: tuple[Statement, ...], stdin: Stream | None, machine: Machine) -> Stream:
        machine.enforced = False  # how a substitution ends does not end the command that it stands in
        return self._in(machine)._sequence(body, stdin).out

    def _in(self, machine: Machine) -> Walker:
        inner = Walker(self.tree, machine, self.programs, line=self._first_line)
        inner._here = self._here
        return inner

    def expander(self) -> Expander:
        return Expander(self.machine, self._run, self.report, functools.partial(set_variable, self))

    def _sequence(self, statements: Sequence[Statement], stdin: Stream | None) -> Result:
        streams: list[Stream] = []
        proves: frozenset[str] = frozenset()
        leaves = False
        for statement in statements:
            mark = len(self.machine.written)
            result = self._statement(statement, stdin)
            streams.append(result.out)
            kept = self.machine.enforced and self.machine.errexit
            proves = result.proves | (self._still(proves, mark) if kept else frozenset())
            if result.enforced and self.machine.enforced and self.machine.errexit:
                self.machine.prove(result.proves)
            leaves = leaves or result.leaves
        return Result(_merged(streams), proves, leaves=leaves)

    def _statement(self, statement: Statement, stdin: Stream | None) -> Result:
        outer, self._here = self._here, statement
        try:
            self.machine.steps[0] += 1
            if self.machine.steps[0] > _MOST_STEPS or self.machine.depth > _DEEPEST + 5:
                self.report("complex", "more steps than are followed")
                return EMPTY
            return self._checked(statement, stdin)
        finally:
            self._here = outer

    def _checked(self, statement: Statement, stdin: Stream | None) -> Result:
        stdin, writes = open_redirects(self, statement.redirects, stdin)
        before = len(self.machine.findings)
        enforced = self.machine.enforced
        if statement.negated or statement.background:
            self.machine.enforced = False  # nobody stops for how it ends
        result = self._command(statement, stdin)
        self.machine.enforced = enforced
        if statement.background:
            unknown = any(each.rule == "unknown-command" for each in self.machine.findings[before:])
            self.report("persistence" if unknown else "background")
            result = replace(result, proves=frozenset())
        if statement.negated:
            result = replace(result, proves=frozenset(), denies=result.proves, leaves=False)
        for write in writes:
            result = write_output(self, write, result)
        return result

    def _command(self, statement: Statement, stdin: Stream | None) -> Result:
        command = statement.command
        if isinstance(command, Call):
            return self._call(command, stdin)
        if isinstance(command, Binary):
            return (
                self._pipe(command, stdin)
                if command.operator.startswith("|") and command.operator != "||"
                else (self._chain(command, stdin))
            )
        if isinstance(command, Group):
            walker = self._in(self.machine.fork()) if command.subshell else self
            return walker._sequence(command.body, stdin)
        if isinstance(command, (Branch, Loop, Case)):
            return self._compound(command, stdin)
        if isinstance(command, Declare):
            return declare(self, command)
        if isinstance(command, Function):
            self.machine.functions[command.name] = command.body
            self.machine.called.discard(command.name)
            return QUIET
        if isinstance(command, Condition):
            return self._condition(command)
        if isinstance(command, Unfollowed):
            self.expand_all(command.words)
            self._sequence(
                command.inner, Stream(frozenset({Taint.PIPE})) if command.kind == "CoprocClause" else stdin
            )
            if command.kind not in ("ArithmCmd", "LetClause"):
                self.report("complex", "a construct that is not followed")
            return EMPTY
        if not statement.redirects:
            self.report("complex")
        return EMPTY

    def _condition(self, command: Condition) -> Result:
        expander = self.expander()
        values = [joined(expander.values(word)) for word in command.words]
        for value in values:
            self.check_index(value)
        if len(values) == 2 and command.operator in ("=", "==", "!="):
            middle = Value(command.operator)
            return self.programs.dispatch(
                Invocation(Value("test"), (values[0], middle, values[1]), None, self)
            )
        return EMPTY

    def expand_all(self, words: Sequence[Word]) -> None:
        expander = self.expander()
        for word in words:
            for value in expander.values(word):
                self.check_index(value)

    def check_index(self, value: Value) -> None:
        """An index is arithmetic, and arithmetic runs what stands in it, even out of single quotes."""
        if _RUNNING_INDEX.search(value.text):
            self.report("dynamic-eval", "an index that runs a command")

    def _compound(self, command: Branch | Loop | Case, stdin: Stream | None) -> Result:
        if isinstance(command, Branch):
            return self._branch(command, stdin)
        if isinstance(command, Loop):
            return self._loop(command, stdin)
        self.expand_all([command.subject, *command.patterns])
        streams = []
        for body in command.branches:
            before = dict(self.machine.variables)
            streams.append(self._assuming(frozenset(), body, stdin).out)
            self.machine.merge_variables(before)
        return Result(_merged(streams))

    def _branch(self, command: Branch, stdin: Stream | None) -> Result:
        tested = self._guarded(command.condition, stdin)
        before = dict(self.machine.variables)
        then = self._assuming(tested.proves, command.then, stdin)
        self.machine.merge_variables(before)
        before = dict(self.machine.variables)
        otherwise = self._assuming(tested.denies, command.otherwise, stdin)
        self.machine.merge_variables(before)
        proves: frozenset[str] = frozenset()
        if then.leaves:
            proves = tested.denies
        elif otherwise.leaves:
            proves = tested.proves
        return Result(_merged([then.out, otherwise.out]), proves, leaves=then.leaves and otherwise.leaves)

    def _guarded(self, statements: Sequence[Statement], stdin: Stream | None) -> Result:
        """Statements whose failure does not end the script: only the last one's success proves anything."""
        enforced, self.machine.enforced = self.machine.enforced, False
        result = self._sequence(statements, stdin)
        self.machine.enforced = enforced
        if len(statements) == 1 and statements[0].negated:
            last = statements[0]
            command = replace(last, negated=False)
            return Result(result.out, frozenset(), denies=self._quietly(command))
        return result

    def _quietly(self, statement: Statement) -> frozenset[str]:
        """What a statement proves, walked again without saying anything twice."""
        enforced, self.machine.enforced = self.machine.enforced, False
        proves = self._statement(statement, None).proves
        self.machine.enforced = enforced
        return proves

    def _still(self, proves: frozenset[str], mark: int) -> frozenset[str]:
        """What of a proof holds after the writes since ``mark``."""
        return proves - set(self.machine.written[mark:])

    def _assuming(
        self, proves: frozenset[str], statements: Sequence[Statement], stdin: Stream | None
    ) -> Result:
        before = set(self.machine.verified)
        self.machine.prove(proves)
        result = self._sequence(statements, stdin)
        self.machine.verified &= (
            before  # it may not have run: what it checked is not checked for what follows
        )
        return result

    def _loop(self, command: Loop, stdin: Stream | None) -> Result:
        before = dict(self.machine.variables)
        if command.name:
            expander = self.expander()
            items = [value for word in command.items for each in expander.fields(word) for value in each]
            set_variable(self, command.name, items or [Value(HOLE, frozenset({Taint.UNSET}))])
        here = self._here
        shown = self.tree.text(here.start, here.end) if here else ""
        if _ENDLESS.match(shown) and not _LEAVES.search(shown):
            multiplies = any(each.background for each in command.body)
            self.report("destruction" if multiplies else "complex", "a loop without an end")
        streams = []
        for _ in range(2):  # what one round leaves behind meets the next
            self._guarded(command.condition, stdin)
            streams.append(self._assuming(frozenset(), command.body, stdin).out)
        self.machine.merge_variables(before)
        return Result(_merged(streams))

    def _chain(self, command: Binary, stdin: Stream | None) -> Result:
        left = self._guarded([command.left], stdin)
        if command.operator == "&&":
            mark = len(self.machine.written)
            right = self._assuming(left.proves, [command.right], stdin)
            proved = self._still(left.proves, mark) | right.proves
            return Result(_merged([left.out, right.out]), proved, enforced=False,
                          leaves=False)  # fmt: skip
        before = dict(self.machine.variables)
        right = self._assuming(left.denies, [command.right], stdin)
        self.machine.merge_variables(before)
        proves = left.proves if right.leaves else frozenset()
        return Result(_merged([left.out, right.out]), proves)

    def _pipe(self, command: Binary, stdin: Stream | None) -> Result:
        left = self._in(self.machine.fork())._statement(command.left, stdin)
        return self._in(self.machine.fork())._statement(command.right, left.out)

    def _call(self, command: Call, stdin: Stream | None) -> Result:
        if not command.words:
            assign_all(self, command.assigns)
            return QUIET
        before = dict(self.machine.variables)
        expander = self.expander()
        alternatives: list[tuple[Value, ...]] = [()]
        for number, word in enumerate(command.words):
            found = expander.fields(word)
            if number == 0 and any(isinstance(part, Substitution) for part in word.parts):
                found = [_named_by(each) for each in found]
            alternatives = [(*one, *each) for one in alternatives for each in found]
            if len(alternatives) > 48:
                self.report("complex", "more forms of a command than are followed")
                alternatives = alternatives[:48]
        reads = all(each and each[0].text == "read" for each in alternatives)
        assigns = [each for each in command.assigns if not (reads and each.name == "IFS")]
        assign_all(self, assigns)  # 'IFS=, read a b' splits what is read, nothing else
        results = [self._argv(each, stdin) for each in alternatives]
        if command.assigns:
            self.machine.variables = before
        proves = frozenset.intersection(*(each.proves for each in results))
        denies = frozenset.intersection(*(each.denies for each in results))
        leaves = all(each.leaves for each in results)
        return Result(_merged([each.out for each in results]), proves, denies=denies, leaves=leaves)

    def _argv(self, argv: tuple[Value, ...], stdin: Stream | None) -> Result:
        if not argv:
            self.report("computed-command", "nobody knows what this runs")
            return EMPTY
        return self.programs.dispatch(Invocation(argv[0], argv[1:], stdin, self))


def _named_by(found: tuple[Value, ...]) -> tuple[Value, ...]:
    """A name that another command printed: unless it is a path, that only hides it."""
    return (*(replace(each, masked=each.masked or "/" not in each.text) for each in found[:1]), *found[1:])


def _merged(streams: Sequence[Stream]) -> Stream:
    if len(streams) == 1:
        return streams[0]
    taints = frozenset().union(*(each.taints for each in streams)) if streams else NONE
    texts = [each.text for each in streams]
    known = all(text is not None for text in texts)
    return Stream(taints, "".join(text for text in texts if text is not None) if known else None)
