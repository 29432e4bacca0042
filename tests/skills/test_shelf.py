"""Installed skills of one assistant: nothing runs unseen, nothing half remains, keys reach scripts only."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import zipfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ploinky.base.errors import NeedsApprovalError, PloinkyError
from ploinky.base.outbound import OutboundPolicy
from ploinky.skills.runs import Bounds
from ploinky.skills.safety.rules import Verdict
from ploinky.skills.sandbox import Sandbox
from ploinky.skills.shelf import Proposal, Shelf, ShelfSettings
from ploinky.workspace.settings import SandboxSettings
from tests.engines import absent
from tests.skills.registry import TOOL, serving
from tests.skills.sandboxes import ENGINES, require_engine

SKILL = """# Tide

## Description

Tells tides.

## Install

```sh
mkdir -p data
echo low > data/state
```

## Credentials

`TIDE_API_KEY`

## Usage

`sh scripts/tide.sh`
"""
SCRIPT = """echo "key=$TIDE_API_KEY other=$OTHER_KEY state=$(cat data/state)"
touch x 2>/dev/null || echo read-only
"""


@dataclass
class Keys:
    """Credentials by scope and name."""

    kept: dict[tuple[tuple[str, ...], str], str] = field(default_factory=dict)

    def get(self, scope: tuple[str, ...], name: str) -> str | None:
        return self.kept.get((scope, name))

    def names(self, scope: tuple[str, ...]) -> Sequence[str]:
        return [name for kept, name in self.kept if kept == scope]


@pytest.fixture(scope="module")
async def port() -> AsyncIterator[int]:
    async with serving() as port:
        yield port


@pytest.fixture
def keys() -> Keys:
    return Keys()


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> str:
    """bubblewrap, unless a test goes over every engine."""
    name = str(getattr(request, "param", "bubblewrap"))
    require_engine(name)
    return name


on_every_engine = pytest.mark.parametrize("engine", ENGINES, indirect=True)


@pytest.fixture
def shelf(engine: str, tmp_path: Path, keys: Keys, port: int) -> Shelf:
    root = tmp_path / "assistant"
    root.mkdir(exist_ok=True)
    here = frozenset({f"127.0.0.1:{port}"})
    policy = OutboundPolicy(allow=here)
    sandbox = Sandbox(os.environ, policy, SandboxSettings.model_validate({"engine": engine}))
    settings = ShelfSettings(sandbox, policy, {"npm": here}, Bounds(timeout_s=90))
    return Shelf(root, "mara", settings, keys)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "tide"
    (folder / "scripts").mkdir(parents=True)
    (folder / "SKILL.md").write_text(SKILL)
    (folder / "scripts" / "tide.sh").write_text(SCRIPT)
    return folder


async def propose(shelf: Shelf, source: Path | str) -> Proposal:
    return await shelf.propose(str(source), relative_to=Path("/"))


async def approved(shelf: Shelf, source: Path | str) -> Proposal:
    proposal = await propose(shelf, source)
    await shelf.install(proposal, approved_by="owner", digest=proposal.digest)
    return proposal


def left_over(shelf_root: Path) -> list[str]:
    return sorted(each.name for each in (shelf_root / "skills").iterdir() if each.name != ".lock")


@on_every_engine
async def test_a_harmless_skill_is_installed_loaded_read_and_run(shelf: Shelf, source: Path) -> None:
    proposal = await propose(shelf, source)
    assert proposal.verdict is Verdict.ALLOW
    assert [step.label for step in proposal.steps] == ["mkdir -p data\necho low > data/state"]
    record = await shelf.install(proposal)
    assert record.files["scripts/tide.sh"] == hashlib.sha256(SCRIPT.encode()).hexdigest()
    assert list(record.made) == ["data/state"]
    assert shelf.catalogue() == [("tide", "Tells tides.")]
    assert shelf.load("tide") == SKILL
    assert shelf.read("tide", "scripts/tide.sh") == SCRIPT
    ran = await shelf.run("tide", ["sh", "scripts/tide.sh"])
    assert ran.stdout == b"key= other= state=low\nread-only\n"


@on_every_engine
async def test_a_key_reaches_the_script_and_nothing_else(
    shelf: Shelf, source: Path, keys: Keys, tmp_path: Path
) -> None:
    await shelf.install(await propose(shelf, source))
    scope = ("assistant", "mara", "skill", "tide")
    keys.kept = {(scope, "TIDE_API_KEY"): "planted-value", (scope, "OTHER_KEY"): "planted-other"}
    (source / "scripts" / "tide.sh").write_text('test "$TIDE_API_KEY" = planted-value && echo arrived; env\n')
    await shelf.install(await propose(shelf, source))
    ran = await shelf.run("tide", ["sh", "scripts/tide.sh"])
    assert ran.stdout.startswith(b"arrived\n")
    assert b"planted" not in ran.stdout  # scrubbed; the one that it never declared is not there at all
    assert b"TIDE_API_KEY=[redacted]" in ran.stdout
    written = [each for each in (tmp_path / "assistant").rglob("*") if each.is_file()]
    assert [each for each in written if b"planted-o" in each.read_bytes()] == []
    assert [each for each in written if b"planted-v" in each.read_bytes()] == [
        tmp_path / "assistant/skills/installed/tide/scripts/tide.sh"  # the test's own words
    ]


async def test_a_denied_skill_is_never_installed_whoever_approves(
    shelf: Shelf, source: Path, tmp_path: Path
) -> None:
    (source / "SKILL.md").write_text(SKILL.replace("mkdir -p data", "sudo mkdir -p data"))
    proposal = await propose(shelf, source)
    with pytest.raises(PloinkyError) as caught:
        await shelf.install(proposal, approved_by="owner", digest=proposal.digest)
    assert caught.value.code == "SKILL_DENIED"
    assert not (tmp_path / "assistant" / "skills").exists()


async def test_an_approval_is_for_exactly_what_was_shown(shelf: Shelf, source: Path) -> None:
    (source / "SKILL.md").write_text(SKILL.replace("mkdir -p data", "frobnicate --all\nmkdir -p data"))
    proposal = await propose(shelf, source)
    assert proposal.verdict is Verdict.NEEDS_APPROVAL
    for approved_by, digest in ((None, ""), ("owner", ""), (None, proposal.digest), ("owner", "0" * 64)):
        with pytest.raises(NeedsApprovalError):
            await shelf.install(proposal, approved_by=approved_by, digest=digest)
    (source / "SKILL.md").write_text(SKILL.replace("mkdir -p data", "frobnicate --other\nmkdir -p data"))
    other = await propose(shelf, source)
    with pytest.raises(NeedsApprovalError):
        await shelf.install(other, approved_by="owner", digest=proposal.digest)


async def test_a_failed_install_leaves_what_was_there(shelf: Shelf, source: Path, tmp_path: Path) -> None:
    (source / "SKILL.md").write_text(SKILL.replace("echo low", "false; echo low"))
    with pytest.raises(PloinkyError) as caught:
        await shelf.install(await propose(shelf, source))
    assert caught.value.code == "SKILL_INSTALL_FAILED"
    assert left_over(tmp_path / "assistant") == []
    (source / "SKILL.md").write_text(SKILL)
    await shelf.install(await propose(shelf, source))
    (source / "SKILL.md").write_text(SKILL.replace("echo low", "false; echo low"))
    with pytest.raises(PloinkyError):
        await shelf.install(await propose(shelf, source))
    assert shelf.load("tide") == SKILL


async def test_a_skill_that_changed_on_disk_is_not_offered(
    shelf: Shelf, source: Path, tmp_path: Path
) -> None:
    await shelf.install(await propose(shelf, source))
    (tmp_path / "assistant/skills/installed/tide/scripts/tide.sh").write_text("id\n")
    assert shelf.catalogue() == []
    with pytest.raises(PloinkyError, match="not what was installed"):
        shelf.load("tide")
    with pytest.raises(PloinkyError, match="not what was installed"):
        shelf.read("tide", "scripts/tide.sh")
    with pytest.raises(PloinkyError, match="not what was installed"):
        await shelf.run("tide", ["sh", "scripts/tide.sh"])
    await shelf.install(await propose(shelf, source))
    assert shelf.catalogue() == [("tide", "Tells tides.")]


async def test_an_update_shows_the_difference_and_uninstall_removes_all(
    shelf: Shelf, source: Path, tmp_path: Path
) -> None:
    await shelf.install(await propose(shelf, source))
    (source / "scripts" / "tide.sh").write_text("echo high\n")
    (source / "notes.txt").write_text("new\n")
    proposal = await shelf.propose_update("tide", relative_to=Path("/"))
    assert "changed: scripts/tide.sh" in proposal.difference
    assert "+echo high" in proposal.difference
    assert "added: notes.txt" in proposal.difference
    await shelf.install(proposal)
    assert (await shelf.run("tide", ["sh", "scripts/tide.sh"])).stdout == b"high\n"
    shelf.uninstall("tide")
    assert shelf.catalogue() == []
    remaining = [each for each in (tmp_path / "assistant").rglob("*") if each.is_file()]
    assert [each.name for each in remaining] == [".lock"]


@on_every_engine
async def test_structured_entries_are_installed_by_our_own_commands(
    shelf: Shelf, tmp_path: Path, port: int
) -> None:
    if shutil.which("npm") is None:
        absent("npm", "it is not installed")
    folder = tmp_path / "node-tide"
    folder.mkdir()
    (folder / ".npmrc").write_text(f"registry=http://127.0.0.1:{port}/\n")
    (folder / "SKILL.md").write_text(
        '---\nname: node-tide\ndescription: Tides.\nmetadata: {"openclaw": {"install": '
        '[{"kind": "node", "package": "tide-node"}]}}\n---\nWords.\n'
    )
    proposal = await propose(shelf, folder)
    assert proposal.steps[0].argv[:2] == ("npm", "install")
    assert proposal.verdict is Verdict.NEEDS_APPROVAL
    await shelf.install(proposal, approved_by="owner", digest=proposal.digest)
    ran = await shelf.run("node-tide", ["node", "-e", "console.log(require('tide-node'))"])
    assert ran.stdout == b"3\n"


async def test_a_skill_comes_from_an_address_or_a_zip_too(
    shelf: Shelf, source: Path, tmp_path: Path, port: int
) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("pack/tide/SKILL.md", SKILL)
        archive.writestr("pack/other/SKILL.md", SKILL)
    (tmp_path / "pack.zip").write_bytes(data.getvalue())
    with pytest.raises(PloinkyError) as caught:
        await propose(shelf, tmp_path / "pack.zip")
    assert caught.value.code == "SKILL_SEVERAL"
    assert (await propose(shelf, f"{tmp_path}/pack.zip#pack/tide")).skill.name == "tide"
    with pytest.raises(PloinkyError) as caught:
        await propose(shelf, f"http://127.0.0.1:{port}/nothing.md")
    assert caught.value.code == "SKILL_NOT_FOUND"
    assert TOOL


@pytest.mark.parametrize("name", ["../evil.txt", "/etc/evil", "a\\..\\b"])
async def test_an_archive_that_leaves_its_folder_is_refused(shelf: Shelf, tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("SKILL.md", SKILL)
        archive.writestr(name, "x")
    with pytest.raises(PloinkyError) as caught:
        await propose(shelf, tmp_path / "bad.zip")
    assert caught.value.code == "SKILL_FILES"


async def test_links_in_a_skills_folder_are_refused(shelf: Shelf, source: Path) -> None:
    (source / "key").symlink_to("/etc/passwd")
    with pytest.raises(PloinkyError) as caught:
        await propose(shelf, source)
    assert caught.value.code == "SKILL_FILES"
