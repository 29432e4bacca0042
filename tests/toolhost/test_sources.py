"""Where the configuration is looked for, and what is never followed on the host."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ploinky.base.errors import PloinkyError
from ploinky.toolhost.sources import (
    MAX_CONFIG_BYTES,
    ConfigSource,
    Mount,
    config_sources,
    read_host_file,
    stat_stamp,
)


def test_places_are_tried_in_the_order_of_the_specification(tmp_path: Path) -> None:
    environment = {
        "PLOINKY_AGENT_CONFIG": "conf/own.json",
        "MCP_CONFIG_FILE": "/etc/mcp.json",
        "AGENT_CONFIG_FILE": "",
        "PLOINKY_MCP_CONFIG_PATH": "/tmp/ploinky/mcp-config.json",
    }
    sources = config_sources(environment, [Mount("/code", tmp_path)])
    assert [source.inside for source in sources] == [
        "/code/conf/own.json",
        "/etc/mcp.json",
        "/tmp/ploinky/mcp-config.json",
        "/code/mcp-config.json",
    ]
    assert [source.host_path() for source in sources] == [
        tmp_path / "conf" / "own.json",
        None,
        None,
        tmp_path / "mcp-config.json",
    ]


def test_the_deepest_mount_wins(tmp_path: Path) -> None:
    outer, inner = tmp_path / "outer", tmp_path / "inner"
    outer.mkdir()
    inner.mkdir()
    mounts = [Mount("/code", outer), Mount("/code/sub", inner)]
    sources = config_sources({"MCP_CONFIG_FILE": "/code/sub/x.json"}, mounts)
    assert sources[0].host_path() == inner / "x.json"


def test_a_link_that_leaves_its_mount_is_left_to_the_sandbox(tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (tmp_path / "secret.json").write_text("{}", encoding="utf-8")
    (code / "mcp-config.json").symlink_to("../secret.json")
    (code / "good.json").symlink_to("real.json")
    mount = Mount("/code", code)
    assert ConfigSource("/code/mcp-config.json", mount).host_path() is None
    assert ConfigSource("/code/good.json", mount).host_path() == code / "real.json"


def test_a_path_out_of_the_mount_by_dots_is_not_read_on_the_host(tmp_path: Path) -> None:
    sources = config_sources({"MCP_CONFIG_FILE": "/code/../etc/passwd"}, [Mount("/code", tmp_path)])
    assert sources[0] == ConfigSource("/etc/passwd", None)


def test_a_stamp_tells_versions_apart_and_a_missing_file(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    source = ConfigSource("/code/c.json", Mount("/code", tmp_path))
    assert stat_stamp(source, file) is None
    file.write_text("{}", encoding="utf-8")
    first = stat_stamp(source, file)
    file.write_text("{ }", encoding="utf-8")
    assert first is not None
    assert first != stat_stamp(source, file)


def test_a_pipe_a_folder_a_link_or_a_giant_is_refused_without_waiting(tmp_path: Path) -> None:
    pipe, folder, giant, link = (tmp_path / name for name in ("pipe", "folder", "giant", "link"))
    os.mkfifo(pipe)
    folder.mkdir()
    with giant.open("wb") as stream:
        stream.truncate(MAX_CONFIG_BYTES + 1)
    link.symlink_to("giant")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for path in (pipe, folder, giant, link, tmp_path / "missing"):
        with pytest.raises(PloinkyError) as seen:
            read_host_file(path)
        assert seen.value.code == "MCP_CONFIG_UNREADABLE"
    assert len(list(Path("/proc/self/fd").iterdir())) == before
