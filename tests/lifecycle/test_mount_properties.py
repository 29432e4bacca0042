"""Whatever links an agent left and whatever volumes a manifest names: nothing leads out of the workspace, to
the control files, to assistants or to files that hold secrets."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ploinky.base.errors import PloinkyError
from ploinky.lifecycle.mounts import Place, plan_mounts
from ploinky.manifest.document import parse_manifest
from ploinky.manifest.effective import effective
from ploinky.manifest.refs import RunMode
from ploinky.secrets.environment import ResolvedEnvironment
from ploinky.workspace.layout import Layout
from ploinky.workspace.structure import init_workspace

NAMES = st.sampled_from(
    ["a", "b", "c", "d", "..", ".", ".ploinky", "repos", "data", "agents", "assistants", ".env", ".cursor"]
)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
SOURCE = ".ploinky/repos/crew/agent"
TARGETS = st.one_of(PATHS, st.sampled_from(["/", "/etc", "/etc/shadow", "../outside", "${ROOT}/.ploinky"]))
LINKS = st.dictionaries(
    st.sampled_from(["a", "b", "c", "a/d", "agents/x/a", "agents/agent", "shared", "shared/b"]),
    TARGETS,
    max_size=4,
)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mounts")


def laid_out(ground: Path, links: dict[str, str]) -> Layout:
    root = ground / "workspace"
    if root.exists():
        shutil.rmtree(root)
    root.mkdir()
    (ground / "outside").mkdir(exist_ok=True)
    layout = init_workspace(root)
    (layout.repos / "crew" / "agent" / "code").mkdir(parents=True)
    (layout.control / "data").mkdir()
    (root / ".env").write_text("KEY=hunter2\n", encoding="utf-8")
    (root / "assistants" / "default").mkdir(parents=True)
    (root / ".cursor").mkdir()
    (root / ".cursor" / "mcp.json").write_text("{}", encoding="utf-8")
    for name, target in links.items():
        path = root / name
        with contextlib.suppress(OSError, RuntimeError):  # a link is where a folder would have to be
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.parent.resolve().is_relative_to(root):
                if path == layout.shared:
                    path.rmdir()
                path.symlink_to(target.replace("${ROOT}", str(root)))
    with contextlib.suppress(FileExistsError):
        (layout.agents / "agent").mkdir()
    return layout


@example(links={"b": "..", "a": "a/.."}, hosts=["a/b"], mode=RunMode.ISOLATED, source=SOURCE)
@example(links={"agents/agent": "${ROOT}/.ploinky"}, hosts=["a"], mode=RunMode.ISOLATED, source=SOURCE)
@example(links={}, hosts=["a"], mode=RunMode.ISOLATED, source=".")
@example(links={}, hosts=["a"], mode=RunMode.GLOBAL, source=".")
@settings(max_examples=150)
@given(
    links=LINKS,
    hosts=st.lists(PATHS, min_size=1, max_size=3, unique=True),
    mode=st.sampled_from(RunMode),
    source=st.sampled_from([SOURCE, ".", ".ploinky", "shared"]),
)
def test_no_volume_leads_out_or_to_what_is_not_for_agents(
    ground: Path, links: dict[str, str], hosts: list[str], mode: RunMode, source: str
) -> None:
    layout = laid_out(ground, links)
    root = layout.root.resolve()
    volumes = {host: f"/v{number}" for number, host in enumerate(hosts)}
    try:
        manifest = parse_manifest(json.dumps({"container": "alpine:3", "volumes": volumes}), source="m")
        config = effective(manifest, None, agent="agent")
        folder = (layout.root / source).resolve()
        project = folder if mode is RunMode.DEVEL else layout.work_dir("agent")
        seen = plan_mounts(
            layout, Place("agent", folder, mode, project), config, has_node=False, given=ResolvedEnvironment()
        )
    except PloinkyError:
        return  # a refusal is always right; that good volumes pass is the planner's test
    control, assistants = (root / ".ploinky").resolve(), root / "assistants"
    allowed = (control / "data", folder.resolve())
    for mount in seen.mounts:
        shown = Path(os.path.realpath(mount.source))
        assert shown == root or root in shown.parents
        if shown == root:
            assert mode is RunMode.GLOBAL
            assert mount.target == str(root)
            assert {str(layout.control), str(assistants)} <= set(seen.masks)
            continue
        assert shown not in control.parents
        if shown == control or control in shown.parents:
            assert any(shown == each or each in shown.parents for each in allowed)
        assert shown != assistants
        assert assistants not in shown.parents
        for secret in (root / ".env", root / ".cursor" / "mcp.json"):
            assert shown != secret
            assert shown not in secret.parents
