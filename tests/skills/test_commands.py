"""The verdicts over commands: hostile ones are never allowed, however written; harmless ones pass."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ploinky.skills.safety.rules import RULES, Verdict
from ploinky.skills.safety.shfmt import parse_shell
from ploinky.skills.safety.text import Setting, judge_text, judge_texts
from tests.skills.commands import Labelled, labelled
from tests.skills.mutations import MUTATIONS

EVASIONS = labelled("evasions")
HARMLESS = labelled("harmless")
CONSTRUCTED = labelled("constructed")
RED_TEAM = labelled("red_team")
ROUNDS = labelled("rounds")
FRESH = labelled("fresh")
DENIED = [
    each.command for each in (*CONSTRUCTED, *EVASIONS, *RED_TEAM, *ROUNDS, *FRESH) if each.label == "deny"
]


def verdict(command: str) -> str:
    return judge_text(command).verdict.word


def rules(command: str) -> set[str]:
    return {each.rule for each in judge_text(command).findings}


def judged_otherwise(rows: list[Labelled]) -> list[tuple[str, str, str]]:
    judged = judge_texts([(each.command, 1) for each in rows])
    found = [(row.command, row.label, each.verdict.word) for row, each in zip(rows, judged, strict=True)]
    return [each for each in found if each[1] != each[2]]


def test_no_evasion_is_ever_allowed() -> None:
    assert len(EVASIONS) >= 100
    assert judged_otherwise(EVASIONS) == []


def test_harmless_commands_are_never_denied() -> None:
    assert len(HARMLESS) >= 100
    assert judged_otherwise(HARMLESS) == []


def test_commands_of_people_who_had_not_read_the_rules_are_judged_as_labelled() -> None:
    """``red_team.jsonl`` was written before looking at the analyser, hostile and harmless in one file."""
    assert len([each for each in RED_TEAM if each.label == "deny"]) >= 1000
    assert len([each for each in RED_TEAM if each.label == "allow"]) >= 400
    assert judged_otherwise(RED_TEAM) == []


def test_commands_of_later_rounds_are_judged_as_labelled() -> None:
    """``rounds.jsonl`` was written batch by batch, each before its misses were mended."""
    assert len(ROUNDS) >= 800
    assert judged_otherwise(ROUNDS) == []


@pytest.mark.parametrize("rows", [CONSTRUCTED, FRESH], ids=["constructed", "fresh"])
def test_commands_meet_the_bars(rows: list[Labelled]) -> None:
    """``fresh.jsonl`` has rounds that were judged once as they were written; a few labels are debatable."""
    found = judged_otherwise(rows)
    deny = [each for each in rows if each.label == "deny"]
    allow = [each for each in rows if each.label == "allow"]
    assert [each for each in found if each[1:] == ("deny", "allow")] == []
    assert len([each for each in found if each[1] == "deny"]) <= 0.05 * len(deny)
    assert [each for each in found if each[1:] == ("allow", "deny")] == []
    assert len([each for each in found if each[1] == "allow"]) <= 0.2 * len(allow)


@pytest.mark.parametrize("name", MUTATIONS)
def test_writing_a_denied_command_otherwise_never_makes_it_allowed(name: str) -> None:
    number = list(MUTATIONS).index(name)
    mutated = [MUTATIONS[name](each) for each in DENIED[number :: len(MUTATIONS)]]
    judged = judge_texts([(each, 1) for each in mutated])
    assert [text for text, each in zip(mutated, judged, strict=True) if each.verdict is Verdict.ALLOW] == []


@settings(max_examples=60)
@given(
    st.sampled_from(DENIED),
    st.lists(st.sampled_from(sorted(MUTATIONS)), min_size=1, max_size=3),
)
def test_nor_do_several_ways_at_once(command: str, names: list[str]) -> None:
    for name in names:
        command = MUTATIONS[name](command)
    assert verdict(command) != "allow"


def test_harmless_commands_stay_harmless_where_only_the_lines_around_them_change() -> None:
    around = ("group", "branch", "loop", "function", "after", "comment before", "carriage returns")
    commands = [each.command for each in HARMLESS if each.label == "allow"]
    mutated = [MUTATIONS[name](each) for name in around for each in commands[::5]]
    judged = judge_texts([(each, 1) for each in mutated])
    assert [
        text for text, each in zip(mutated, judged, strict=True) if each.verdict is not Verdict.ALLOW
    ] == []


@settings(max_examples=100)
@given(st.text(max_size=80))
def test_any_text_is_judged_without_raising(text: str) -> None:
    judge_text(text)


def test_a_mangled_command_is_judged_without_raising() -> None:
    chance = random.Random(7)
    words = [each.command.split(" ") for each in (*RED_TEAM, *ROUNDS, *EVASIONS, *HARMLESS)]
    mangled = []
    for _ in range(600):
        parts = list(chance.choice(words))
        parts.insert(chance.randrange(len(parts) + 1), chance.choice(chance.choice(words)))
        chance.shuffle(parts)
        mangled.append(" ".join(parts[: chance.randint(1, len(parts))]))
    assert len(judge_texts([(each, 1) for each in mangled])) == len(mangled)


def test_a_finding_has_its_rule_line_text_and_reason() -> None:
    judged = judge_text("mkdir data\n\nsudo id\n", line=10)
    assert [(each.rule, each.line, each.text) for each in judged.findings] == [("privilege", 12, "sudo id")]
    assert judged.findings[0].reason
    assert RULES["privilege"].verdict is Verdict.DENY


def test_a_quotation_of_markdown_hides_no_command() -> None:
    assert verdict("> sudo id") == "deny"
    assert verdict("> out.log") == "allow"


def test_a_bundled_script_must_be_bundled() -> None:
    setting = Setting(bundled=frozenset({"scripts/a.sh"}))
    assert judge_text("bash scripts/a.sh", setting=setting).verdict is Verdict.ALLOW
    assert judge_text("bash scripts/b.sh", setting=setting).verdict is Verdict.NEEDS_APPROVAL


def test_a_declared_program_may_be_used_and_a_systems_may_not_be_declared() -> None:
    setting = Setting(bins=frozenset({"tidecli", "gdb"}))
    assert judge_text("tidecli tomorrow", setting=setting).verdict is Verdict.ALLOW
    assert judge_text("gdb tomorrow", setting=setting).verdict is not Verdict.ALLOW
    assert verdict("tidecli tomorrow") == "needs-approval"


def test_structured_installs_ask_and_bad_names_are_denied() -> None:
    assert rules('{"kind": "node", "package": "tide-cli"}') == {"package-install"}
    assert rules('{"kind": "node", "package": "tide; id"}') == {"package-source"}
    assert rules('{"kind": "uv", "package": "--index-url=https://e.example"}') == {"package-source"}
    assert rules('{"kind": "download", "url": "http://e.example/x"}') == {"package-source", "download"}
    digest = "0" * 64
    assert verdict(f'{{"kind": "download", "url": "https://e.example/x", "sha256": "{digest}"}}') == "allow"


def test_texts_are_parsed_together_only_where_none_changes_another() -> None:
    texts = ["echo 'open", "id'", "ls", "if true", "cat <<X\nhi", "(ls)"]
    alone = [parse_shell([text])[0] is not None for text in texts]
    assert [tree is not None for tree in parse_shell(texts)] == alone
    together = parse_shell(["ls\n", "\n\nid"])
    assert [tree.statements[0].line - tree.line_shift for tree in together if tree] == [1, 3]
    assert [tree.line_shift for tree in together if tree] == [0, 3]  # the second stood behind the first


def test_a_long_text_is_judged_quickly_and_a_deep_one_at_all() -> None:
    started = time.process_time()
    judge_text("mkdir -p data\n" * 200)
    assert time.process_time() - started < 2
    assert verdict("(" * 3000 + "id" + ")" * 3000) != "allow"
    assert verdict("echo " + "$(echo " * 200 + "x" + ")" * 200) is not None
    assert verdict("a=1;" + "a=$a$a;" * 40 + "echo $a") is not None
