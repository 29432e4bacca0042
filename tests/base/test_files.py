"""Files are replaced whole, and no name from outside leads out of a root."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ploinky.base.errors import PloinkyError, UsageError
from ploinky.base.files import read_bytes, read_text, safe_join, write_atomic


def test_a_file_is_written_with_its_mode_and_nothing_else_is_left(tmp_path: Path) -> None:
    target = tmp_path / "secret"
    write_atomic(target, b"one", mode=0o600)
    write_atomic(target, b"two", mode=0o600)
    assert target.read_bytes() == b"two"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_a_write_that_fails_leaves_the_old_content_and_no_temporary_file(tmp_path: Path) -> None:
    target = tmp_path / "taken"
    target.mkdir()
    with pytest.raises(PloinkyError) as caught:
        write_atomic(target, b"new")
    assert caught.value.code == "FILE_WRITE"
    assert str(target) in caught.value.message
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_writing_into_a_folder_that_does_not_exist_names_the_path(tmp_path: Path) -> None:
    with pytest.raises(PloinkyError, match="No such file"):
        write_atomic(tmp_path / "nowhere" / "file", b"")


def test_a_missing_file_is_none_and_an_unreadable_one_is_an_error(tmp_path: Path) -> None:
    assert read_bytes(tmp_path / "missing") is None
    assert read_text(tmp_path / "missing") is None
    with pytest.raises(PloinkyError) as caught:
        read_bytes(tmp_path)
    assert caught.value.code == "FILE_READ"


def test_text_that_is_not_utf8_is_an_error_that_tells_the_place(tmp_path: Path) -> None:
    path = tmp_path / "latin"
    path.write_bytes(b"caf\xe9")
    with pytest.raises(PloinkyError) as caught:
        read_text(path)
    assert caught.value.code == "FILE_ENCODING"
    assert "byte 3" in caught.value.message


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "marked"
    path.write_bytes(b"\xef\xbb\xbftext")
    assert read_text(path) == "text"


@pytest.fixture(scope="module")
def trap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with links that leave it: by an absolute, a relative and a chained way, and one that stays."""
    base = tmp_path_factory.mktemp("trap")
    root = base / "root"
    (root / "inner" / "deep").mkdir(parents=True)
    (base / "outside").mkdir()
    (root / "absolute").symlink_to(base / "outside")
    (root / "relative").symlink_to("../outside")
    (root / "chain").symlink_to("inner/hop")
    (root / "inner" / "hop").symlink_to("../relative")
    (root / "stays").symlink_to("inner/deep")
    (root / "loop").symlink_to("loop")
    return root


PARTS = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "..",
                ".",
                "",
                "inner",
                "deep",
                "absolute",
                "relative",
                "chain",
                "stays",
                "hop",
                "loop",
                "/",
                "/etc",
                "../..",
            ]
        ),
        st.text(alphabet="ab./\\~ \u202e", max_size=6),
    ),
    max_size=6,
)


@given(parts=PARTS)
def test_whatever_is_joined_the_result_lies_inside_the_root(trap: Path, parts: list[str]) -> None:
    try:
        joined = safe_join(trap, *parts)
    except UsageError:
        return
    root = trap.resolve()
    assert joined.resolve() == joined
    assert joined == root or root in joined.parents


@pytest.mark.parametrize(
    "parts",
    [
        ("..",),
        ("/etc",),
        ("absolute",),
        ("relative", "file"),
        ("chain",),
        ("inner", "hop", "loop", "x"),
        ("a\0b",),
        ("loop",),
        ("\ud800",),
    ],
)
def test_a_path_that_leaves_the_root_is_refused(trap: Path, parts: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as caught:
        safe_join(trap, *parts)
    assert caught.value.code == "PATH_ESCAPES"


@pytest.mark.parametrize(
    "parts", [(), ("inner",), ("stays", "new"), ("inner", "..", "inner"), ("not", "yet")]
)
def test_a_path_inside_the_root_is_allowed(trap: Path, parts: tuple[str, ...]) -> None:
    assert trap.resolve() in (safe_join(trap, *parts), *safe_join(trap, *parts).parents)


def test_a_circle_of_links_never_hides_where_a_path_leads(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "a").symlink_to("a/..")
    (root / "b").symlink_to("..")
    with pytest.raises(UsageError) as refused:
        safe_join(root, "a/b")
    assert refused.value.code == "PATH_ESCAPES"
