"""Words made into arguments: parameters, substitutions, tildes, braces, splitting.
Every alternative is kept.
"""

from __future__ import annotations

import fnmatch
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from ploinky.skills.safety.machine import MOST_ALTERNATIVES, Machine, is_given
from ploinky.skills.safety.places import HOME, SKILL
from ploinky.skills.safety.syntax import Literal, Opaque, Parameter, Part, Statement, Substitution, Word
from ploinky.skills.safety.values import HOLE, NONE, Stream, Taint, Value, expand_braces, joined

_BASE_DIR = re.compile(r"\{(?:base_?dir|skill_?(?:dir|path|root|home)|plugin_?root)\}", re.IGNORECASE)
_GLOB = re.compile(r"[*?\[]")
_TILDE = re.compile(r"~([A-Za-z_][\w.-]*|[+-]|)(?=/|\Z)")
_QUOTED = {"{": "\ue001", "}": "\ue002", ",": "\ue003"}
_BACK = {ord(mark): char for char, mark in _QUOTED.items()}

Run = Callable[[tuple[Statement, ...], Stream | None, Machine], Stream]
Report = Callable[[str, str], None]
Assigns = Callable[[str, list[Value]], None]


@dataclass(frozen=True)
class _Piece:
    value: Value
    quoted: bool
    split: bool = False


class Expander:
    """Expands words for one statement;
    ``run`` evaluates substitutions, ``assign`` sets what ``${x:=y}`` does.
    """

    def __init__(self, machine: Machine, run: Run, report: Report, assign: Assigns) -> None:
        self._machine = machine
        self._run = run
        self._report = report
        self._assign = assign

    def fields(self, word: Word) -> list[tuple[Value, ...]]:
        """The arguments that a word becomes, one tuple per alternative (at least one)."""
        choices = [self._pieces(part, alone=len(word.parts) == 1) for part in word.parts]
        masked = is_masked(word) or _has_braces(word)
        found = [
            tuple(replace(each, masked=masked) for each in _fields(pieces))
            for pieces in itertools.islice(itertools.product(*choices), MOST_ALTERNATIVES + 1)
        ]
        if len(found) > MOST_ALTERNATIVES:
            every = [value for each in found for value in each]
            found = [(replace(joined(every), text=HOLE, masked=masked),)]
        return found

    def values(self, word: Word | None) -> list[Value]:
        """The text of a word where nothing is split: the value of an assignment, a redirection's target."""
        if word is None:
            return [Value("")]
        return [joined(each, " ") if len(each) != 1 else each[0] for each in self.fields(word)]

    def quoted(self, word: Word) -> list[Value]:
        """The text of a here-document or here-string."""
        choices = [self._pieces(part, alone=False) for part in word.parts]
        products = itertools.islice(itertools.product(*choices), MOST_ALTERNATIVES)
        return [joined([piece.value for piece in pieces], "") for pieces in products]

    def _pieces(self, part: Part, *, alone: bool) -> list[_Piece]:
        if isinstance(part, Literal):
            text = _BASE_DIR.sub(SKILL, part.text)
            return [_Piece(Value(text, glob=not part.quoted and bool(_GLOB.search(text))), part.quoted)]
        if isinstance(part, Parameter):
            if part.name == "IFS" and not alone:
                self._report("obfuscated", "IFS stands for a blank")
            return [_Piece(each, quoted=part.quoted, split=True) for each in self._parameter(part)]
        if isinstance(part, Substitution):
            return [_Piece(self._substitution(part), quoted=part.quoted, split=not part.process)]
        return [self._opaque(part)]

    def _opaque(self, part: Opaque) -> _Piece:
        taints = NONE
        for each in part.inner:
            inner = self._pieces(each, alone=True)
            taints = taints.union(*(piece.value.taints for piece in inner))
        if part.kind == "ArithmExp":
            return _Piece(Value("0", taints), quoted=True)
        return _Piece(Value("" if part.kind == "ParamExp" else HOLE, taints | {Taint.COMPUTED}), quoted=True)

    def _substitution(self, part: Substitution) -> Value:
        stdin = Stream(frozenset({Taint.PIPE})) if part.process.startswith(">") else None
        stream = self._run(part.body, stdin, self._machine.fork())
        if part.process:
            return Value("/dev/fd/63", stream.taints | {Taint.PIPE})
        if stream.text is not None:
            return Value(stream.text.rstrip("\n"), stream.taints)
        digest = frozenset({stream.origin}) if stream.origin.startswith("digest:") else frozenset()
        return Value(HOLE, stream.taints | {Taint.COMPUTED}, variables=digest)

    def _parameter(self, part: Parameter) -> list[Value]:
        word = self.values(part.word) if part.word is not None else [Value("")]
        found = list(self._machine.lookup(part.name))
        if part.sliced and is_given(part.name):
            self._report("obfuscated", f"letters cut out of {part.name}")
        if part.indirect:  # a variable by its name: it may be any, also a secret one
            return [Value(HOLE, each.taints | {Taint.COMPUTED, Taint.SECRET}) for each in found]
        if not part.simple:
            # an index of an array, a slice, a replacement: nobody follows those
            return [Value(HOLE, each.taints | {Taint.COMPUTED}, variables=each.variables) for each in found]
        if part.operator == "@":
            if any(each.text == "P" for each in word):
                self._report("dynamic-eval", "a text that is expanded once more")
            return [Value(HOLE, each.taints | {Taint.COMPUTED}, variables=each.variables) for each in found]
        unset = all(Taint.UNSET in each.taints for each in found)
        if part.operator in (":-", "-", ":=", "="):
            if part.operator.endswith("=") and unset:
                self._assign(part.name, word)
            return word if unset else [each if each.text else word[0] for each in found]
        if part.operator in (":+", "+"):
            return [*word, Value("")] if unset else word
        if part.operator in ("", ":?", "?"):
            return found
        return [_trimmed(each, part.operator, word[0]) for each in found]


def _trimmed(value: Value, operator: str, pattern: Value) -> Value:
    """``${x%pat}`` and ``${x#pat}`` of a known text; a hole for anything else."""
    text = value.text
    cuts: dict[str, Iterator[tuple[str, str]]] = {
        "%": ((text[:at], text[at:]) for at in range(len(text), -1, -1)),
        "%%": ((text[:at], text[at:]) for at in range(len(text) + 1)),
        "#": ((text[at:], text[:at]) for at in range(len(text) + 1)),
        "##": ((text[at:], text[:at]) for at in range(len(text), -1, -1)),
    }
    if operator not in cuts or not value.known or not pattern.known or len(text) > 400:
        return Value(HOLE, value.taints | {Taint.COMPUTED}, variables=value.variables)
    for rest, cut in cuts[operator]:
        if fnmatch.fnmatchcase(cut, pattern.text):
            return value.with_text(rest)
    return value


def _fields(pieces: tuple[_Piece, ...]) -> list[Value]:
    """Join the pieces of a word and split it where the shell does."""
    done: list[list[_Piece]] = [[]]
    for number, piece in enumerate(pieces):
        if piece.split and piece.value.known and re.search(r"\s", piece.value.text) and not piece.quoted:
            words = piece.value.text.split()
            for index, each in enumerate(words):
                if index or piece.value.text[:1].isspace():
                    done.append([])
                done[-1].append(
                    replace(piece, value=replace(piece.value, text=each, glob=bool(_GLOB.search(each))))
                )
            if piece.value.text[-1:].isspace():
                done.append([])
        else:
            done[-1].append(_tilde(piece) if number == 0 else piece)
    return [value for group in done if group for value in _one(group)]


def _tilde(piece: _Piece) -> _Piece:
    if piece.quoted or piece.split:
        return piece
    match = _TILDE.match(piece.value.text)
    if match is None:
        return piece
    user = match.group(1)
    home = HOME if not user else (HOLE if user in "+-" else ("/root" if user == "root" else f"/home/{user}"))
    return replace(piece, value=piece.value.with_text(home + piece.value.text[match.end() :]))


def _one(group: list[_Piece]) -> list[Value]:
    whole = joined([piece.value for piece in group], "")
    if len(whole.text) == 1 and not whole.known:
        return [whole]
    text = "".join(
        piece.value.text if not (piece.quoted or piece.split) else _hide(piece.value.text) for piece in group
    )
    glob = any(piece.value.glob for piece in group)
    quoted = all(piece.quoted for piece in group)
    texts = expand_braces(text) if "{" in text else [text]
    return [
        Value(each.translate(_BACK), whole.taints, glob, quoted=quoted, variables=whole.variables)
        for each in texts
    ]


def _hide(text: str) -> str:
    for char, mark in _QUOTED.items():
        text = text.replace(char, mark)
    return text


def _has_braces(word: Word) -> bool:
    texts = [part.text for part in word.parts if isinstance(part, Literal) and not part.quoted]
    return any("{" in text and len(expand_braces(_BASE_DIR.sub(SKILL, text))) > 1 for text in texts)


def is_masked(word: Word) -> bool:
    """Whether quotes or escapes stand inside a name, where they only hide it."""
    if any(isinstance(part, Literal) and part.encoded for part in word.parts):
        return True
    pairs = itertools.pairwise(word.parts)
    for number, (left, right) in enumerate(pairs):
        if not (isinstance(left, Literal) and isinstance(right, Literal)):
            continue
        if left.quoted == right.quoted and not (left.text == "" or right.text == ""):
            continue
        if number == 0 and left.quoted and len(left.text) == 1 and len(word.parts) == 2:
            continue  # \name only keeps aliases away
        if left.text == "" or right.text == "" or (left.text[-1].isalnum() and right.text[0].isalnum()):
            return True
    return False
