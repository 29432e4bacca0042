"""Where a secret shows on its way to an agent: in no command line, no file, no record, on each runtime."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ploinky.secrets.audit import AUDIT_FILE
from tests import engines
from tests.cli.stage import Stage

VALUE = "correct-horse-4711-battery-staple"

CHECK = "#!/bin/sh\necho ${#SHOP_PASSPHRASE} $COLOUR\n"
LEAK = '#!/bin/sh\necho "cannot log in as shop:$SHOP_PASSPHRASE" >&2\nexit 1\n'
MANIFEST = {
    "secrets": ["SHOP_PASSPHRASE"],
    "env": {"ALSO_TOKEN": "$SHOP_PASSPHRASE", "COLOUR": "blue"},
    "install": 'test "$SHOP_PASSPHRASE" && touch "$WORKSPACE_PATH/hook-has-it" && echo "$SHOP_PASSPHRASE"',
    "agent": "sh -c 'test \"$ALSO_TOKEN\" && touch $WORKSPACE_PATH/agent-has-it; while :; do sleep 1; done'",
    "health": {"readiness": {"protocol": "none"}},
}


class Watch(threading.Thread):
    """Reads every command line of this machine, again and again, and keeps those that show the value."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: set[str] = set()
        self.rounds = 0
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(0.005):
            self.rounds += 1
            self.seen |= {line for line in _command_lines() if VALUE in line}

    def end(self) -> None:
        self._ended.set()
        self.join()


def _command_lines() -> Iterator[str]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                yield (folder / "cmdline").read_bytes().decode("utf-8", "replace")
            except OSError:
                continue


def _holding(folder: Path) -> list[str]:
    found = []
    for path in folder.rglob("*"):
        try:
            if path.is_file() and not path.is_symlink() and VALUE.encode() in path.read_bytes():
                found.append(str(path.relative_to(folder)))
        except OSError:
            continue
    return found


@pytest.fixture(scope="module")
def watched(workspace: Stage, runtime: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Stage, Watch]:
    """The agent ``shop`` runs and was called; command lines were watched all the while."""
    image = engines.image(runtime) if runtime != "sandbox" else "busybox:stable"
    repo = tmp_path_factory.mktemp("repo")
    folder = repo / "shop"
    (folder / "code").mkdir(parents=True)
    (repo / "shop" / "manifest.json").write_text(
        json.dumps({"container": image, **MANIFEST}), encoding="utf-8"
    )
    tool = {"name": "check", "description": "Tell", "command": "check.sh"}
    tools = [tool, tool | {"name": "leak", "command": "leak.sh"}]
    (folder / "code" / "mcp-config.json").write_text(json.dumps({"tools": tools}), encoding="utf-8")
    (folder / "code" / "check.sh").write_text(CHECK, encoding="utf-8")
    (folder / "code" / "check.sh").chmod(0o755)
    (folder / "code" / "leak.sh").write_text(LEAK, encoding="utf-8")
    (folder / "code" / "leak.sh").chmod(0o755)
    workspace.run("add", "repo", "crew", str(repo))
    workspace.run("var", "SHOP_PASSPHRASE", stdin=VALUE)
    workspace.run("secrets", "encrypt")
    workspace.run("enable", "agent", "shop")
    watch = Watch()
    watch.start()
    try:
        workspace.run("start", "shop")
        workspace.run("exec", "shop", "--", "sh", "-c", "true")
        called = workspace.run("call", "shop.check")
    finally:
        watch.end()
    assert f"{len(VALUE)} blue" in called.out
    return workspace, watch


def test_hooks_the_agent_and_its_tools_have_it(watched: tuple[Stage, Watch]) -> None:
    stage, _ = watched
    work = stage.layout.work_dir("shop")
    assert {path.name for path in work.iterdir()} >= {"hook-has-it", "agent-has-it"}


def test_no_command_line_ever_showed_it(watched: tuple[Stage, Watch]) -> None:
    _, watch = watched
    assert watch.rounds > 20
    assert watch.seen == set()


def test_no_file_of_workspace_home_or_sockets_holds_it(watched: tuple[Stage, Watch]) -> None:
    stage, _ = watched
    assert _holding(stage.root) == []
    assert _holding(stage.runtime) == []
    audit = (stage.layout.logs / AUDIT_FILE).read_text(encoding="utf-8")
    assert '"SHOP_PASSPHRASE": ".ploinky/.secrets"' in audit


def test_what_a_hook_printed_is_kept_and_shown_without_it(watched: tuple[Stage, Watch]) -> None:
    stage, _ = watched
    assert "[redacted]" in (stage.layout.logs / "shop.start.log").read_text(encoding="utf-8")
    assert VALUE not in stage.run("logs", "shop").out


def test_what_a_failing_tool_says_is_passed_on_without_it(watched: tuple[Stage, Watch]) -> None:
    stage, _ = watched
    said = stage.run("call", "shop.leak", code=1)
    assert "cannot log in as shop:[redacted]" in said.err
    assert VALUE not in said.out + said.err


def test_the_first_process_and_the_engines_record_do_not_have_it(
    watched: tuple[Stage, Watch], runtime: str
) -> None:
    stage, _ = watched
    own = stage.run("exec", "shop", "--", "sh", "-c", "tr '\\0' '\\n' < /proc/1/environ", code=None)
    assert VALUE not in own.out
    registry = json.loads(stage.layout.registry_file.read_text(encoding="utf-8"))["shop"]
    assert VALUE not in json.dumps(registry)
    assert "SHOP_PASSPHRASE" in registry["profileConfig"]["secretsLoaded"]
    if runtime == "sandbox":
        return
    name = registry["containerName"]
    for words in (("inspect", name), ("top", name, "args"), ("logs", name)):
        shown = subprocess.run([runtime, *words], capture_output=True, text=True, check=True, timeout=60)
        assert VALUE not in shown.stdout
    for path in _folders_of(runtime, name):
        assert _holding(path) == []


def _folders_of(engine: str, name: str) -> list[Path]:
    """Where the engine keeps a container: its upper layer, its configuration, its live state."""
    form = "{{.GraphDriver.Data.UpperDir}}\n{{.StaticDir}}\n{{.ConmonPidFile}}"
    argv = [engine, "inspect", "--format", form, name]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    upper, static, live = done.stdout.split()
    folders = [Path(upper), Path(static), Path(live).parent]
    assert all(folder.is_dir() for folder in folders)
    return folders
