"""The grammar of .env files: what is written reads back, errors tell lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ploinky.base.errors import PloinkyError, UsageError
from ploinky.secrets.dotenv import format_binding, parse_dotenv

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,10}", fullmatch=True)
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30) | st.text(
    alphabet="$AB_ \"'\\#\n\r\t={}", max_size=12
)


def parsed(text: str) -> dict[str, str]:
    return {each.name: each.value for each in parse_dotenv(text, source="file")}


@given(st.lists(st.tuples(NAMES, VALUES, st.booleans()), max_size=5))
def test_what_is_written_reads_back(rows: list[tuple[str, str, bool]]) -> None:
    text = "".join(format_binding(name, value, literal=literal) for name, value, literal in rows)
    found = parse_dotenv(text, source="file")
    assert [(each.name, each.value) for each in found] == [(name, value) for name, value, _ in rows]
    for each, (_, _, literal) in zip(found, rows, strict=True):
        assert not (literal and each.alias)
    assert "".join(text[each.start : each.end] for each in found) == text


@given(st.text(max_size=60) | st.text(alphabet="A=\"'\\ #\n\r$", max_size=30))
def test_any_text_is_read_or_refused_with_a_line(text: str) -> None:
    try:
        found = parse_dotenv(text, source="file")
    except PloinkyError as error:
        line = int(error.details["line"])
        if 1 <= line <= text.count("\n") + 1:
            return
        raise
    assert all("\0" not in each.value for each in found)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=1", "1"),
        ("export A=1", "1"),
        ("  A = 1  ", "1"),
        ("A=", ""),
        ("A= # nothing", ""),
        ("A=#hash", "#hash"),
        ("A=a#b", "a#b"),
        ("A=a b # why", "a b"),
        ("A=x=y==", "x=y=="),
        ("A='single $X \\n'", "single $X \\n"),
        ('A="tab\\there"', "tab\there"),
        ('A="say \\"hi\\" \\\\ \\$5 \\x"', 'say "hi" \\ $5 \\x'),
        ('A="two\nlines" # after', "two\nlines"),
        ("A='two\nlines'", "two\nlines"),
        ("A=1\r", "1"),
        ('A="1"\r', "1"),
        ('A="one\r\ntwo"', "one\ntwo"),
        ("A=C:\\dir\\new", "C:\\dir\\new"),
        ("A=ünïcode ✓", "ünïcode ✓"),
    ],
)
def test_the_forms_that_people_write(line: str, value: str) -> None:
    assert parsed(f"# comment\n\n{line}\nB=2\n") == {"A": value, "B": "2"}


def test_the_last_line_of_a_name_counts_and_no_newline_is_needed() -> None:
    assert parsed("A=1\nA=2") == {"A": "2"}


@pytest.mark.parametrize(
    ("line", "alias"),
    [("A=$B", "B"), ('A="$B"', "B"), ("A='$B'", None), ('A="\\$B"', None), ("A=$B!", None), ("A=${B}", None)],
)
def test_a_whole_value_that_names_a_variable_is_an_alias(line: str, alias: str | None) -> None:
    (binding,) = parse_dotenv(line, source="file")
    assert binding.alias == alias


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("A=1\nhunter2hunter2\n", 2),
        ("A=1\nB=2\nA-B=hunter2hunter2", 3),
        ("\n\nA='hunter2hunter2\nB=2\n", 3),
        ('A="hunter2\\', 1),
        ('A="x" hunter2hunter2', 1),
        ('A="x\ny" hunter2hunter2', 2),
        ("export hunter2hunter2", 1),
        ("=hunter2hunter2", 1),
        ("A=hunter2hunter2\0", 1),
    ],
)
def test_a_fault_tells_file_and_line_and_nothing_of_the_text(text: str, line: int) -> None:
    with pytest.raises(PloinkyError, match=rf"^/w/\.env, line {line}: ") as caught:
        parse_dotenv(text, source="/w/.env")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(("name", "value"), [("A B", "x"), ("", "x"), ("A", "x\0y"), ("A", "\ud800")])
def test_what_no_environment_can_hold_is_not_written(name: str, value: str) -> None:
    with pytest.raises(UsageError):
        format_binding(name, value)


def test_a_binding_shows_its_name_only() -> None:
    assert "hunter2" not in repr(parse_dotenv("A=hunter2", source="file"))
