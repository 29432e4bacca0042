"""Credentials are encrypted at rest, survive crowds and kills, and never turn into nothing by mistake."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ploinky.base.errors import PloinkyError, UsageError
from ploinky.secrets.sealed import SealedStore
from ploinky.workspace.layout import Layout

VALUE = "hunter2-hunter2-hunter2"
ALICE = ("assistant", "alice", "provider", "anthropic")
BACKEND = """
import json, os, sys, time
from pathlib import Path
from keyring.backend import KeyringBackend

class Kept(KeyringBackend):
    "Keeps what it is told in a file."
    priority = 9
    path = Path(os.environ["KEPT"])
    def get_password(self, service, name):
        return json.loads(self.path.read_text()).get(f"{service}/{name}") if self.path.exists() else None
    def set_password(self, service, name, password):
        self.path.write_text(json.dumps({f"{service}/{name}": password}))

class Hanging(KeyringBackend):
    "Says nothing, for ever."
    priority = 9
    def get_password(self, service, name):
        time.sleep(3600)
    set_password = get_password
"""
WRITER = """
import sys
from pathlib import Path
from ploinky.secrets.sealed import SealedStore
from ploinky.workspace.layout import Layout
store = SealedStore(Layout(Path(sys.argv[1])), {"XDG_DATA_HOME": sys.argv[2]})
print("ready", flush=True)
for turn in range(int(sys.argv[4])):
    store.set(("workspace", sys.argv[3]), f"K{turn}", "value-" + sys.argv[3] * 50)
"""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_DATA_HOME": str(tmp_path / "data"), "PATH": os.environ["PATH"]}


@pytest.fixture
def store(layout: Layout, environ: dict[str, str]) -> SealedStore:
    return SealedStore(layout, environ)


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(PloinkyError) as caught:
        act()
    assert VALUE not in str(caught.value)
    return caught.value.code


def key_files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "data").rglob("*.key"))


def test_a_credential_comes_back_and_its_value_is_nowhere_on_disk(
    layout: Layout, store: SealedStore, environ: dict[str, str], tmp_path: Path
) -> None:
    assert store.get(ALICE, "key") is None
    assert store.scopes() == ()
    store.set(ALICE, "key", VALUE)
    store.set(("oauth", "https://mail.example", "owner"), "refresh", "r" * 40)
    assert SealedStore(layout, environ).get(ALICE, "key") == VALUE
    assert store.get(ALICE, "other") is None
    assert store.get((*ALICE, "deeper"), "key") is None
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in files if VALUE.encode() in path.read_bytes()]
    assert oct(layout.credentials_file.stat().st_mode & 0o777) == "0o600"


def test_names_and_scopes_are_listed_without_the_key(layout: Layout, store: SealedStore) -> None:
    store.set_all(ALICE, {"b": "1", "a": "2"})
    store.set(("assistant", "bob", "skill", "weather"), "token", "3")
    blind = SealedStore(layout, {"XDG_DATA_HOME": "/nowhere"})
    assert blind.names(ALICE) == ("a", "b")
    assert blind.scopes(("assistant", "alice")) == (ALICE,)
    assert len(blind.scopes()) == 2
    assert code_of(lambda: blind.get(ALICE, "a")) == "MASTER_KEY_MISSING"
    assert store.get_all(ALICE) == {"a": "2", "b": "1"}


def test_one_is_forgotten_or_a_whole_scope(store: SealedStore) -> None:
    store.set_all(ALICE, {"a": "1", "b": "2", "c": "3"})
    store.set(("workspace",), "a", "kept")
    assert store.delete(ALICE, "a")
    assert not store.delete(ALICE, "a")
    assert store.names(ALICE) == ("b", "c")
    assert store.delete(ALICE)
    assert store.scopes() == (("workspace",),)


@given(value=st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=300))
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    root = tmp_path_factory.mktemp("w")
    store = SealedStore(Layout(root), {"PLOINKY_MASTER_KEY": "ab" * 32})
    store.set(("workspace",), "X", value)
    assert store.get(("workspace",), "X") == value


def test_words_that_are_no_scope_and_values_that_are_no_text_are_refused(store: SealedStore) -> None:
    for scope, name in (((), "a"), (("",), "a"), (("a",), ""), (("a\n",), "a"), (("a" * 600,), "a")):
        with pytest.raises(UsageError, match="printable"):
            store.set(scope, name, "x")
    with pytest.raises(UsageError, match="Unicode"):
        store.set(("a",), "b", "\ud800")
    assert store.scopes() == ()


def test_the_key_lies_outside_the_workspace_and_is_private(
    layout: Layout, store: SealedStore, tmp_path: Path
) -> None:
    store.set(ALICE, "key", VALUE)
    (path,) = key_files(tmp_path)
    assert oct(path.stat().st_mode & 0o777) == "0o600"
    assert oct(path.parent.stat().st_mode & 0o777) == "0o700"
    path.chmod(0o644)
    other = SealedStore(layout, {"XDG_DATA_HOME": str(tmp_path / "data")})
    assert code_of(lambda: other.get(ALICE, "key")) == "MASTER_KEY_EXPOSED"
    inside = SealedStore(Layout(layout.root), {"XDG_DATA_HOME": str(layout.root / "shared")})
    layout.credentials_file.unlink()
    assert code_of(lambda: inside.set(ALICE, "key", VALUE)) == "MASTER_KEY_PLACE"
    assert not layout.credentials_file.exists()


@pytest.mark.parametrize("secret", ["cd" * 32, "a passphrase of some length"])
def test_the_variable_gives_the_key(layout: Layout, tmp_path: Path, secret: str) -> None:
    SealedStore(layout, {"PLOINKY_MASTER_KEY": secret}).set(ALICE, "key", VALUE)
    assert SealedStore(layout, {"PLOINKY_MASTER_KEY": f" {secret}\n"}).get(ALICE, "key") == VALUE
    assert key_files(tmp_path) == []
    other = SealedStore(layout, {"PLOINKY_MASTER_KEY": "ef" * 32})
    before = layout.credentials_file.read_bytes()
    assert code_of(lambda: other.get(ALICE, "key")) == "MASTER_KEY_WRONG"
    assert code_of(lambda: other.set(ALICE, "key", "x")) == "MASTER_KEY_WRONG"
    assert code_of(lambda: other.delete(ALICE)) == "MASTER_KEY_WRONG"
    assert layout.credentials_file.read_bytes() == before
    weak = SealedStore(Layout(tmp_path), {"PLOINKY_MASTER_KEY": "short"})
    assert code_of(lambda: weak.set(ALICE, "key", VALUE)) == "MASTER_KEY_WEAK"


def test_the_content_of_a_key_file_in_the_variable_opens_the_store_elsewhere(
    layout: Layout, store: SealedStore, tmp_path: Path
) -> None:
    store.set(ALICE, "key", VALUE)
    (path,) = key_files(tmp_path)
    moved = SealedStore(layout, {"PLOINKY_MASTER_KEY": path.read_text(), "XDG_DATA_HOME": "/nowhere"})
    assert moved.get(ALICE, "key") == VALUE
    path.write_text("x" * 20)
    fresh = SealedStore(layout, {"XDG_DATA_HOME": str(tmp_path / "data")})
    assert code_of(lambda: fresh.set(ALICE, "key", "new")) == "MASTER_KEY_WRONG"


@pytest.fixture
def keyring(tmp_path: Path, environ: dict[str, str]) -> dict[str, str]:
    (tmp_path / "own_backend.py").write_text(BACKEND)
    return environ | {
        "PYTHONPATH": str(tmp_path),
        "KEPT": str(tmp_path / "kept.json"),
        "PYTHON_KEYRING_BACKEND": "own_backend.Kept",
    }


def test_an_open_keyring_keeps_the_key(layout: Layout, keyring: dict[str, str], tmp_path: Path) -> None:
    SealedStore(layout, keyring).set(ALICE, "key", VALUE)
    assert key_files(tmp_path) == []
    assert SealedStore(layout, keyring).get(ALICE, "key") == VALUE
    Path(keyring["KEPT"]).unlink()
    assert code_of(lambda: SealedStore(layout, keyring).get(ALICE, "key")) == "MASTER_KEY_MISSING"


def test_a_keyring_that_hangs_is_left_for_the_key_file(
    layout: Layout, keyring: dict[str, str], tmp_path: Path
) -> None:
    hanging = keyring | {"PYTHON_KEYRING_BACKEND": "own_backend.Hanging"}
    begun = time.monotonic()
    SealedStore(layout, hanging).set(ALICE, "key", VALUE)
    assert time.monotonic() - begun < 60
    assert len(key_files(tmp_path)) == 1
    assert SealedStore(layout, hanging).get(ALICE, "key") == VALUE


def _set(document: dict[str, Any], number: int, **changes: object) -> None:
    document["entries"][number].update(changes)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda d: d["entries"].pop(), "SEALED_TAMPERED"),
        (lambda d: _set(d, 0, name="other"), "SEALED_TAMPERED"),
        (lambda d: _set(d, 0, scope=["assistant", "mallory"]), "SEALED_TAMPERED"),
        (lambda d: _set(d, 0, box=d["entries"][1]["box"]), "SEALED_TAMPERED"),
        (lambda d: d["key"].update(salt="AAAAAAAAAAAAAAAAAAAAAA=="), "SEALED_TAMPERED"),
        (lambda d: d["key"].update(id="0" * 16), "MASTER_KEY_MISSING"),
        (lambda d: d["key"].update(id="../../evil"), "SEALED_DAMAGED"),
        (lambda d: d["entries"].append(d["entries"][0]), "SEALED_DAMAGED"),
        (lambda d: d.update(version=2), "SEALED_DAMAGED"),
        (lambda d: d.pop("seal"), "SEALED_DAMAGED"),
        (lambda d: d.update(entries={}), "SEALED_TAMPERED"),
    ],
)
def test_what_somebody_changed_is_noticed_and_left_as_it_is(
    layout: Layout, environ: dict[str, str], change: Callable[[dict[str, Any]], object], code: str
) -> None:
    SealedStore(layout, environ).set_all(ALICE, {"a": VALUE, "b": "another"})
    document = json.loads(layout.credentials_file.read_text())
    change(document)
    layout.credentials_file.write_text(json.dumps(document))
    before = layout.credentials_file.read_bytes()
    store = SealedStore(layout, environ)
    assert code_of(lambda: store.get(ALICE, "a")) == code
    assert code_of(lambda: store.set(ALICE, "c", "x")) == code
    assert layout.credentials_file.read_bytes() == before


@pytest.mark.parametrize("part", [0, 1, 100])
def test_a_torn_file_is_an_error_and_never_overwritten(
    layout: Layout, environ: dict[str, str], part: int
) -> None:
    store = SealedStore(layout, environ)
    store.set(ALICE, "key", VALUE)
    torn = layout.credentials_file.read_bytes()[:part]
    layout.credentials_file.write_bytes(torn)
    for act in (
        lambda: store.get(ALICE, "key"),
        lambda: store.names(ALICE),
        lambda: store.set(ALICE, "key", "x"),
        lambda: store.delete(ALICE),
    ):
        assert code_of(act) == "SEALED_DAMAGED"
    assert layout.credentials_file.read_bytes() == torn


def _writer(layout: Layout, environ: dict[str, str], number: int, turns: int) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-c", WRITER, str(layout.root), environ["XDG_DATA_HOME"], str(number), str(turns)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE)


def test_eight_writers_at_once_lose_nothing(
    layout: Layout, store: SealedStore, environ: dict[str, str], tmp_path: Path
) -> None:
    writers = [_writer(layout, environ, number, 8) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        ends = list(pool.map(lambda writer: (writer.communicate(timeout=120), writer.returncode)[1], writers))
    assert ends == [0] * 8
    assert sum(len(store.names(("workspace", str(number)))) for number in range(8)) == 64
    assert store.get(("workspace", "7"), "K7") == "value-" + "7" * 50
    assert len(key_files(tmp_path)) == 1, "the first two must not make two keys"


def test_writers_that_are_killed_in_the_middle_leave_a_whole_file(
    layout: Layout, store: SealedStore, environ: dict[str, str]
) -> None:
    store.set(ALICE, "key", VALUE)
    for number in range(4):
        writer = _writer(layout, environ, number, 10_000)
        assert writer.stdout is not None
        writer.stdout.readline()
        scope = ("workspace", str(number))
        deadline = time.monotonic() + 60
        while len(store.names(scope)) < 2:
            assert time.monotonic() < deadline
        os.kill(writer.pid, signal.SIGKILL)
        writer.communicate(timeout=60)
        assert store.get(ALICE, "key") == VALUE
        assert len(store.get_all(scope)) >= 2
    store.set(ALICE, "after", "x")
    assert not list(layout.control.glob(".tmp-*"))
