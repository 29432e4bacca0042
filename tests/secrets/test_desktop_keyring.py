"""A desktop's real keyring (gnome-keyring over D-Bus) keeps the key while it is open, and never prompts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests import engines

SESSION = """
set -eu
printf 'a-password' | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1
exec "$0" -c "$1" "$2" "$3"
"""
PROGRAM = """
import json, os, sys
from pathlib import Path
import secretstorage
from ploinky.base.errors import PloinkyError
from ploinky.secrets.sealed import SealedStore
from ploinky.workspace.layout import Layout

one, two = (Layout(Path(each)) for each in sys.argv[1:3])
SealedStore(one, os.environ).set(("workspace",), "KEY", "value-4711")
said = {"opened": SealedStore(one, os.environ).get(("workspace",), "KEY")}
said["place"] = json.loads(one.credentials_file.read_text())["key"]["place"]
secretstorage.get_default_collection(secretstorage.dbus_init()).lock()
try:
    SealedStore(one, os.environ).get(("workspace",), "KEY")
except PloinkyError as error:
    said["locked"] = error.code
SealedStore(two, os.environ).set(("workspace",), "KEY", "value-4711")
said["else"] = json.loads(two.credentials_file.read_text())["key"]["place"]
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a session of D-Bus with a keyring of its own said; it ends with the program."""
    for program in ("dbus-run-session", "gnome-keyring-daemon"):
        if shutil.which(program) is None:
            engines.absent("gnome-keyring", f"{program} is not installed")
    folder = tmp_path_factory.mktemp("desktop")
    roots = [folder / "one", folder / "two"]
    for root in roots:
        (root / ".ploinky" / "running").mkdir(parents=True)
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_RUNTIME_DIR": str(folder),
    }
    argv = ["dbus-run-session", "--", "sh", "-c", SESSION, sys.executable, PROGRAM, *map(str, roots)]
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    said: dict[str, str] = json.loads(done.stdout)
    return said


def test_an_open_keyring_is_where_the_key_goes(session: dict[str, str]) -> None:
    assert (session["place"], session["opened"]) == ("keyring", "value-4711")


def test_a_locked_keyring_is_an_error_at_once_and_a_new_key_goes_elsewhere(session: dict[str, str]) -> None:
    assert session["locked"] == "KEYRING_LOCKED"
    assert session["else"] == "file"
