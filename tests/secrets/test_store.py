"""The secrets file is private, keeps what people wrote, and loses nothing to two writers."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from ploinky.base.errors import PloinkyError, UsageError
from ploinky.secrets.dotenv import Binding
from ploinky.secrets.store import DotSecrets
from ploinky.workspace.layout import Layout

WRITER = """
import sys
from pathlib import Path
from ploinky.secrets.store import DotSecrets
from ploinky.workspace.layout import Layout
for turn in range(10):
    DotSecrets(Layout(Path(sys.argv[1])), {}).set(f"W{sys.argv[2]}_{turn}", "value")
"""


def mode(layout: Layout) -> str:
    return oct(layout.secrets_file.stat().st_mode & 0o777)


def test_a_value_is_kept_in_a_private_file(layout: Layout) -> None:
    store = DotSecrets(layout, {})
    assert store.names() == ()
    store.set("KEY", "one two\nthree")
    assert mode(layout) == "0o600"
    assert store.read()["KEY"].value == "one two\nthree"


def test_comments_order_and_foreign_lines_survive(layout: Layout) -> None:
    layout.secrets_file.write_text("# mine\nexport A='a'\n\nB=old # why\nB=older\nC=3")
    store = DotSecrets(layout, {})
    store.set("B", "new")
    store.set("D", "4")
    assert layout.secrets_file.read_text() == "# mine\nexport A='a'\n\nB=new\nC=3\nD=4\n"
    assert store.unset("A")
    assert not store.unset("A")
    assert layout.secrets_file.read_text() == "# mine\n\nB=new\nC=3\nD=4\n"


def test_a_value_that_names_a_variable_is_an_alias_unless_meant_literally(layout: Layout) -> None:
    store = DotSecrets(layout, {})
    store.set("A", "$B")
    store.set("C", "$B", literal=True)
    found = store.read()
    assert (found["A"].alias, found["C"].alias, found["C"].value) == ("B", None, "$B")


def test_several_are_set_together_or_not_at_all(layout: Layout) -> None:
    store = DotSecrets(layout, {})
    with pytest.raises(UsageError):
        store.set_all([Binding("GOOD", "1"), Binding("NOT GOOD", "2")])
    assert store.names() == ()
    store.set_all([Binding("A", "1"), Binding("B", "2")])
    assert store.names() == ("A", "B")


def test_a_file_that_others_can_read_is_made_private_and_that_is_told(layout: Layout) -> None:
    layout.secrets_file.write_text("KEY=hunter2hunter2\n")
    layout.secrets_file.chmod(0o644)
    notice = DotSecrets(layout, {}).secure()
    assert notice is not None
    assert "0644" in notice
    assert "hunter2" not in notice
    assert mode(layout) == "0o600"
    assert DotSecrets(layout, {}).secure() is None


def test_a_file_with_a_fault_is_never_overwritten(layout: Layout) -> None:
    layout.secrets_file.write_text("KEY='hunter2hunter2\n")
    with pytest.raises(PloinkyError) as caught:
        DotSecrets(layout, {}).set("OTHER", "x")
    assert caught.value.code == "DOTENV_SYNTAX"
    assert "hunter2" not in str(caught.value)
    assert layout.secrets_file.read_text() == "KEY='hunter2hunter2\n"


def test_writers_at_once_lose_nothing(layout: Layout) -> None:
    def write(number: int) -> None:
        argv = [sys.executable, "-c", WRITER, str(layout.root), str(number)]
        subprocess.run(argv, check=True, timeout=60)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert len(DotSecrets(layout, {}).names()) == 40
    assert mode(layout) == "0o600"
