"""Who chooses the profile."""

from __future__ import annotations

import pytest

from ploinky.base.errors import UsageError
from ploinky.workspace.layout import Layout
from ploinky.workspace.profiles import ActiveProfile, ProfileOrigin, active_profile, set_active_profile


def test_the_flag_wins_over_environment_over_file_over_manifest(layout: Layout) -> None:
    environ = {"PLOINKY_PROFILE": "qa"}
    assert active_profile(layout, {}) == ActiveProfile(None, ProfileOrigin.MANIFEST)
    set_active_profile(layout, "prod")
    assert active_profile(layout, {}) == ActiveProfile("prod", ProfileOrigin.FILE)
    assert active_profile(layout, environ) == ActiveProfile("qa", ProfileOrigin.ENVIRONMENT)
    assert active_profile(layout, environ, "dev") == ActiveProfile("dev", ProfileOrigin.FLAG)


def test_the_file_holds_the_name_in_one_line(layout: Layout) -> None:
    set_active_profile(layout, "my-stage_2")
    assert layout.profile_file.read_text() == "my-stage_2\n"


def test_empty_means_nobody_chose(layout: Layout) -> None:
    layout.profile_file.write_text(" \n")
    assert active_profile(layout, {"PLOINKY_PROFILE": ""}).origin is ProfileOrigin.MANIFEST


@pytest.mark.parametrize("name", ["", "Prod", "../x", "1st", "a b", "a\n"])
def test_a_name_that_could_be_a_path_is_refused(layout: Layout, name: str) -> None:
    with pytest.raises(UsageError):
        active_profile(layout, {}, name)
    with pytest.raises(UsageError):
        set_active_profile(layout, name)


def test_a_bad_name_in_the_file_tells_where_it_stands(layout: Layout) -> None:
    layout.profile_file.write_text("../../etc\n")
    with pytest.raises(UsageError, match=str(layout.profile_file)):
        active_profile(layout, {})
