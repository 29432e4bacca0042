"""Single texts: images, memory, volumes, scripts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ploinky.base.errors import UsageError
from ploinky.manifest.texts import (
    parse_capability,
    parse_memory,
    parse_volume,
    relative_script,
    require_image,
    require_inside,
    require_step,
    require_user,
)
from ploinky.manifest.values import VolumeSpec

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    "text",
    [
        "busybox", "node:20-alpine", "clamav/clamav:latest", "ghcr.io/cli/cli:latest", "quay.io/a/b/c:24.0",
        "localhost:5000/x", "[::1]:5000/x:1", f"alpine@{DIGEST}", f"a.b-c__d/e:1.2@{DIGEST}", "${IMAGE}",
        "${REG}/app:${TAG}", "node:${NODE_VERSION}-alpine", "Registry.Example/app",
    ],
)  # fmt: skip
def test_an_image_is_accepted(text: str) -> None:
    assert require_image(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "Node:20", "node:", "node 20", ":tag", "node:20:1", "a//b", "/a", "a/", "http://a/b", "a@sha256:12",
        "-a", "a:" + "t" * 129, "a" * 300, "a$b", "${1X}", "$IMAGE", "a\n", "a..b", "é", "x/" * 400 + "x",
    ],
)  # fmt: skip
def test_what_is_no_image_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        require_image(text)
    assert caught.value.code == "BAD_IMAGE"


def test_an_image_in_capitals_gets_a_suggestion() -> None:
    with pytest.raises(UsageError, match="'node:20'"):
        require_image("Node:20")


@settings(deadline=None, max_examples=60)
@given(text=st.text("aA0-_.:/@[]${}", max_size=120))
def test_any_text_is_judged_as_an_image_without_delay(text: str) -> None:
    def judged() -> str:
        try:
            return require_image(text)
        except UsageError as error:
            return error.code

    assert judged() in (text, "BAD_IMAGE")


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ("512m", 512 * 1024**2),
        ("512MB", 512 * 1024**2),
        ("512Mi", 512 * 1024**2),
        ("1.5g", 1536 * 1024**2),
        ("2 GiB", 2 * 1024**3),
        ("1t", 1024**4),
        ("2048k", 2 * 1024**2),
        ("1048576b", 1024**2),
        (1048576, 1024**2),
    ],
)
def test_memory_is_read_in_powers_of_1024(value: str | int, size: int) -> None:
    assert parse_memory(value) == size


@pytest.mark.parametrize("value", ["", "m", "-1g", "1p", "512x", 512, "0", 10**30, "1e9", "9" * 4000 + "g"])
def test_what_is_no_memory_is_refused(value: str | int) -> None:
    with pytest.raises(UsageError) as caught:
        parse_memory(value)
    assert caught.value.code == "BAD_MEMORY"


@pytest.mark.parametrize(
    ("host", "container", "spec"),
    [
        ("data", "/data", VolumeSpec("data", "/data")),
        (".ploinky/data/x", "/opt/x:ro", VolumeSpec(".ploinky/data/x", "/opt/x", read_only=True)),
        ("${DIR}/x", "/${DIR}/x:rw", VolumeSpec("${DIR}/x", "/${DIR}/x")),
        ("a/../b", "/code/data", VolumeSpec("a/../b", "/code/data")),
    ],
)
def test_a_volume_is_read(host: str, container: str, spec: VolumeSpec) -> None:
    assert parse_volume(host, container) == spec


@pytest.mark.parametrize(
    ("host", "container"),
    [
        ("", "/x"), ("/etc", "/x"), ("~/x", "/x"), ("..", "/x"), ("a/../../b", "/x"), (".", "/x"),
        ("a/..", "/x"), (".ploinky", "/x"), (".ploinky/agents", "/x"), (".ploinky/data/../.secrets", "/x"),
        ("./.ploinky/", "/x"), (".ploinky/data", "/x"), ("$HOME", "/x"), ("a", ""), ("a", "x"), ("a", "/"),
        ("a", "//"), ("a", "/code"), ("a", "/Agent/x"), ("a", "/agent"), ("a", "/run/ploinky"),
        ("a", "/proc/1"), ("a", "/x:rx"), ("a", "/x/../dev"), ("a", "//code"),
    ],
)  # fmt: skip
def test_a_volume_may_not_leave_or_cover(host: str, container: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_volume(host, container)
    assert caught.value.code == "BAD_VOLUME"


@pytest.mark.parametrize(
    ("step", "script"),
    [
        ("scripts/setup.sh", "scripts/setup.sh"),
        ("  ./setup.sh dev", "./setup.sh"),
        ("scripts/a.sh&& x", "scripts/a.sh"),
        ("scripts/a.sh; x", "scripts/a.sh"),
        ("../up.sh", "../up.sh"),
        ("/code/scripts/install.sh", None),
        ("npm install", None),
        ("A=b/c run", None),
        ("sh scripts/a.sh", None),
        ('"${X}/a.sh"', None),
        ("", None),
    ],
)
def test_a_hooks_script_is_its_first_word_if_that_is_a_relative_path(step: str, script: str | None) -> None:
    assert relative_script(step) == script


@pytest.mark.parametrize("step", ["../x.sh", "scripts/../../x.sh", "./../x.sh a"])
def test_a_hooks_script_may_not_leave_the_agents_folder(step: str) -> None:
    with pytest.raises(UsageError, match="outside"):
        require_step(step)


@pytest.mark.parametrize("path", ["", "..", "/abs", "a/../.."])
def test_a_script_path_stays_inside(path: str) -> None:
    with pytest.raises(UsageError, match="outside"):
        require_inside(path)


def test_capabilities_lose_their_prefix() -> None:
    assert parse_capability("cap_net_admin") == parse_capability("NET_ADMIN") == "NET_ADMIN"


@pytest.mark.parametrize("text", ["", "NET ADMIN", "1", "a;b"])
def test_what_is_no_capability_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="capability"):
        parse_capability(text)


@pytest.mark.parametrize("text", ["", "a b", "1000:", "-1", "A", "x:y:z"])
def test_what_is_no_user_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="user"):
        require_user(text)
