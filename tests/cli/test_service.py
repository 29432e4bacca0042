"""``service``: a unit that systemd itself finds good, written and removed, whatever the folder is called."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli.stage import Stage


def units(stage: Stage) -> list[Path]:
    return sorted((Path(stage.environ["HOME"]) / ".config" / "systemd" / "user").glob("*.service"))


@pytest.mark.parametrize("name", ["harbour", 'a "b" 100% $HOME \\ c'])
def test_the_unit_is_one_that_systemd_takes_as_it_is_meant(name: str, bare: Stage, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    root = bare.root / name
    root.mkdir()
    bare.run("--workspace", str(root), "init")
    bare.run("--workspace", str(root), "service", "install")
    [unit] = units(bare)
    words = ["systemd-analyze", "--user", "verify", str(unit)]
    environ = {**bare.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(words, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_unit_is_shown_written_once_and_removed(stage: Stage) -> None:
    shown = stage.run("service", "install", "--print").out
    assert f'"--workspace" "{stage.root}" "serve"' in shown
    assert units(stage) == []
    for _ in range(2):
        done = stage.run("service", "install")
    [unit] = units(stage)
    assert unit.read_text(encoding="utf-8") == shown
    assert f"systemctl --user enable --now {unit.name}" in done.out + done.err
    stage.run("service", "uninstall")
    assert units(stage) == []
    assert stage.run("service", "uninstall", "--json", code=3).lines[-1]["error"]["code"] == "NO_SERVICE"
