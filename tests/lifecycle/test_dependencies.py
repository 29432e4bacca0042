"""Packages of agents: what is installed, when not, and what an interrupted install leaves."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from ploinky.base.errors import PloinkyError
from ploinky.channel.client import open_channel
from ploinky.channel.model import SpawnRequest
from ploinky.lifecycle.dependencies import find_marker
from ploinky.lifecycle.environment import agent_environment
from ploinky.lifecycle.options import StartOptions
from ploinky.lifecycle.sandboxes import socket_folder
from ploinky.lifecycle.starting import start_agent
from ploinky.lifecycle.transcript import start_log
from ploinky.runtimes.spec import SOCKET_NAME
from ploinky.wire.events import Event, StepDone
from ploinky.workspace.states import AgentState
from tests.lifecycle.registry_at_home import distribution, node_registry, python_index, serving
from tests.lifecycle.stage import Stage, collect, steps_done
from tests.lifecycle.test_crashes import die

pytestmark = pytest.mark.bubblewrap

needs_npm = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
WHEEL = "greeting-1.0-py3-none-any.whl"


def write_wheel(folder: Path, said: str = "hello") -> None:
    """A package that can be installed without any registry."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / WHEEL, "w") as wheel:
        wheel.writestr("greeting.py", f"WORD = {said!r}\n")
        info = "greeting-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        names = "greeting.py", f"{info}/METADATA", f"{info}/WHEEL", f"{info}/RECORD"
        wheel.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in names))


async def run_inside(stage: Stage, key: str, *argv: str) -> str:
    environment = await agent_environment(stage.ctx, key)
    async with open_channel(socket_folder(stage.ctx, key) / SOCKET_NAME) as channel:
        request = SpawnRequest(argv, env=tuple(environment.items()), cwd="/code")
        finished = await channel.run(request)
    assert finished.exit.ok, finished.stderr.decode()
    return finished.stdout.decode().strip()


async def greeting(stage: Stage) -> str:
    """What the package in the agent's venv says."""
    return await run_inside(stage, "py", "python", "-c", "import greeting; print(greeting.WORD)")


def skips(events: list[Event]) -> dict[int, str | None]:
    return {event.step: event.skipped for event in events if isinstance(event, StepDone)}


async def test_an_agent_without_packages_installs_nothing(stage: Stage) -> None:
    stage.add("plain", {}, {"code/main.py": "print('hi')"})
    await stage.enable("plain")
    events = await collect(start_agent(stage.ctx, "plain"))
    assert (skips(events)[6], skips(events)[7]) == ("no dependencies", "no dependencies")
    assert not (stage.layout.agents / ".cache").exists()
    assert list(stage.layout.work_dir("plain").iterdir()) == []


async def test_python_requirements_are_installed_into_a_venv_on_path(stage: Stage) -> None:
    folder = stage.add(
        "py", {"install": "python -c 'import greeting'"}, {"requirements.txt": f"/agent/{WHEEL}\n"}
    )
    write_wheel(folder)
    await stage.enable("py")
    await collect(start_agent(stage.ctx, "py"))
    assert await greeting(stage) == "hello"
    assert stage.work_file("py", "venv/bin/python").exists()


async def test_the_dependencies_of_a_pyproject_are_installed_and_the_project_is_not(stage: Stage) -> None:
    project = f'[project]\nname = "mine"\nversion = "1"\ndependencies = ["greeting @ file:///code/{WHEEL}"]\n'
    stage.add("py", {}, {"code/pyproject.toml": project})
    write_wheel(stage.folder("py") / "code")
    await stage.enable("py")
    await collect(start_agent(stage.ctx, "py"))
    assert await greeting(stage) == "hello"


async def test_unchanged_packages_are_not_installed_again_even_in_a_new_sandbox(stage: Stage) -> None:
    folder = stage.add("py", {}, {"requirements.txt": f"/agent/{WHEEL}\n"})
    write_wheel(folder)
    await stage.enable("py")
    await collect(start_agent(stage.ctx, "py"))
    stage.work_file("py", "venv/mark").touch()
    events = await collect(start_agent(stage.ctx, "py", StartOptions(recreate=True)))
    assert 3 in steps_done(events)
    assert (skips(events)[6], skips(events)[7]) == ("unchanged", "unchanged")
    assert stage.work_file("py", "venv/mark").exists()


async def test_changed_requirements_are_installed_anew(stage: Stage) -> None:
    folder = stage.add("py", {}, {"requirements.txt": f"/agent/{WHEEL}\n"})
    write_wheel(folder)
    await stage.enable("py")
    await collect(start_agent(stage.ctx, "py"))
    (folder / "requirements.txt").write_text(f"# another\n/agent/{WHEEL}\n")
    write_wheel(folder, "good day")
    await collect(start_agent(stage.ctx, "py"))
    assert await greeting(stage) == "good day"


async def test_packages_that_somebody_removed_are_installed_again(stage: Stage) -> None:
    folder = stage.add("py", {}, {"requirements.txt": f"/agent/{WHEEL}\n"})
    write_wheel(folder)
    await stage.enable("py")
    await collect(start_agent(stage.ctx, "py"))
    shutil.rmtree(stage.work_file("py", "venv"))
    events = await collect(start_agent(stage.ctx, "py"))
    assert skips(events)[7] is None
    assert stage.work_file("py", "venv/bin/python").exists()


async def test_a_failed_install_tells_why_and_is_not_trusted(stage: Stage) -> None:
    stage.add("py", {}, {"requirements.txt": "/agent/no-such-file.whl\n"})
    await stage.enable("py")
    with pytest.raises(PloinkyError) as caught:
        await collect(start_agent(stage.ctx, "py"))
    assert caught.value.code == "DEPENDENCY_INSTALL_FAILED"
    assert "Phase: Agent dependencies (step 7): Python" in caught.value.message
    assert "no-such-file.whl" in caught.value.message
    assert not find_marker(stage.layout, "py").exists()
    assert stage.entry("py").state is AgentState.FAILED
    assert await stage.ctx.runtime.list(stage.layout.id) == []


async def test_an_install_that_was_killed_is_done_over(stage: Stage) -> None:
    folder = stage.add("py", {"preinstall": "true"}, {"requirements.txt": f"/agent/{WHEEL}\n"})
    write_wheel(folder)
    await stage.enable("py")
    die(stage, "py", "step", 7)
    half = stage.work_file("py", "venv/lib/half")
    half.parent.mkdir(parents=True)
    half.touch()
    events = await collect(start_agent(stage.ctx, "py"))
    assert skips(events)[7] is None
    assert not half.exists()
    assert await greeting(stage) == "hello"


async def test_installs_see_the_way_to_registries_and_no_secrets_and_the_agent_the_reverse(
    stage: Stage, tmp_path: Path
) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("certificates")
    lines = '"\\n".join(f"{name}={value}" for name, value in os.environ.items())'
    setup = f'import os, pathlib; pathlib.Path("/shared/env").write_text({lines})'
    folder = stage.add(
        "py",
        {"secrets": ["SHOP_KEY"]},
        {
            "code/pyproject.toml": '[project]\nname="x"\nversion="1"\ndependencies=["probe @ file:///code/probe"]\n'
        },
    )
    probe = folder / "code" / "probe"
    probe.mkdir()
    (probe / "backend.py").write_text(f"{setup}\nraise SystemExit('seen enough')\n")
    (probe / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    behind_proxy = stage.with_environ(
        SHOP_KEY="key-of-the-shop",
        HTTPS_PROXY="http://proxy.example:3128",
        PIP_FIND_LINKS="/opt/wheels",
        npm_config_registry="https://registry.example/",
        SSL_CERT_FILE=str(bundle),
        PIP_NO_INDEX="1",
    )
    await behind_proxy.enable("py")
    with pytest.raises(PloinkyError):
        await collect(start_agent(behind_proxy.ctx, "py"))
    seen = dict(
        line.split("=", 1) for line in (stage.layout.shared / "env").read_text().splitlines() if "=" in line
    )
    assert seen["HTTPS_PROXY"] == "http://proxy.example:3128"
    assert seen["npm_config_registry"] == "https://registry.example/"
    assert "PIP_FIND_LINKS" not in seen
    assert "SHOP_KEY" not in seen
    assert "PLOINKY_AGENT_TOKEN" not in seen
    inside = Path(seen["PIP_CERT"])
    assert inside.is_relative_to(stage.layout.work_dir("py"))
    assert not inside.exists(), "the copy lives as long as the install"


@needs_npm
async def test_node_packages_are_installed_and_found_by_modules_under_code(stage: Stage) -> None:
    package = {"name": "mine", "type": "module", "dependencies": {"word": "file:/code/word"}}
    word = {"name": "word", "version": "1.0.0", "type": "module", "main": "i.js"}
    stage.add(
        "node",
        {},
        {
            "code/package.json": json.dumps(package),
            "code/word/package.json": json.dumps(word),
            "code/word/i.js": "export default 'hello';\n",
            "code/main.mjs": "import word from 'word'; console.log(word);\n",
        },
    )
    await stage.enable("node")
    await collect(start_agent(stage.with_profile("prod").ctx, "node"))
    assert await run_inside(stage, "node", "node", "main.mjs") == "hello"
    merged = json.loads(stage.work_file("node", "package.json").read_text())
    assert merged["dependencies"] == {"word": "file:/code/word"}
    assert not (stage.layout.root / "node_modules").exists()
    with pytest.raises(AssertionError, match="Read-only"):
        await run_inside(stage, "node", "sh", "-c", "touch /code/node_modules/x")


@needs_npm
async def test_a_lock_of_the_agent_is_honoured(stage: Stage) -> None:
    files: dict[str, bytes] = {}
    with serving(files) as url:
        files |= node_registry(url, "word", ("1.0.0", "1.1.0"))
        old = distribution(url, "word", "1.0.0", files["/word/-/word-1.0.0.tgz"])
        locked = {"version": "1.0.0", "resolved": old["tarball"], "integrity": old["integrity"]}
        wanted = {"word": "^1.0.0"}
        lock = {
            "name": "mine",
            "lockfileVersion": 3,
            "packages": {"": {"name": "mine", "dependencies": wanted}, "node_modules/word": locked},
        }
        package = json.dumps({"name": "mine", "type": "module", "dependencies": wanted})
        main = "import word from 'word'; console.log(word);\n"
        stage.add("node", {}, {"code/package.json": package, "code/main.mjs": main})
        behind = stage.with_environ(npm_config_registry=url)
        await behind.enable("node")
        await collect(start_agent(behind.ctx, "node"))
        assert await run_inside(stage, "node", "node", "main.mjs") == "1.1.0"
        (stage.folder("node") / "code" / "package-lock.json").write_text(json.dumps(lock))
        await collect(start_agent(behind.ctx, "node"))
        assert await run_inside(stage, "node", "node", "main.mjs") == "1.0.0"
    kept = json.loads(stage.work_file("node", "package-lock.json").read_text())
    assert kept["packages"]["node_modules/word"]["version"] == "1.0.0"


async def test_a_lock_of_uv_is_honoured(stage: Stage) -> None:
    lock = '[[package]]\nname = "greeting"\nversion = "1.0"\nsource = { registry = "here" }\n'
    with serving(python_index("greeting", ("1.0", "1.1"))) as url:
        stage.add("py", {}, {"code/requirements.txt": "greeting>=1\n", "code/uv.lock": lock})
        behind = stage.with_environ(PIP_INDEX_URL=f"{url}/simple/", UV_INDEX_URL=f"{url}/simple/")
        await behind.enable("py")
        await collect(start_agent(behind.ctx, "py"))
        assert await greeting(stage) == "1.0"


@needs_npm
async def test_the_workspaces_own_core_set_is_installed_first(stage: Stage) -> None:
    stage.add(
        "node", {}, {"package.json": "{}", "core/package.json": '{"name": "core-word", "version": "1.0.0"}'}
    )
    base = {"dependencies": {"core-word": "file:/agent/core"}}
    (stage.layout.control / "package.base.json").write_text(json.dumps(base))
    await stage.enable("node")
    events = await collect(start_agent(stage.ctx, "node"))
    assert (skips(events)[6], skips(events)[7]) == (None, None)
    assert stage.work_file("node", "node_modules/core-word").is_symlink()
    assert "core dependencies" in start_log(stage.layout, "node").read_text().lower()


async def test_a_range_that_core_cannot_satisfy_stops_before_anything_is_made(stage: Stage) -> None:
    stage.add("node", {}, {"package.json": json.dumps({"dependencies": {"mcp-sdk": "^2.0.0"}})})
    await stage.enable("node")
    with pytest.raises(PloinkyError) as caught:
        await collect(start_agent(stage.ctx, "node"))
    assert caught.value.code == "DEPENDENCY_CONFLICT"
    assert "- mcp-sdk: ^2.0.0 (conflicts with core)" in caught.value.message
    assert await stage.ctx.runtime.list(stage.layout.id) == []
