"""What of the host's environment an install inside a sandbox is given."""

from __future__ import annotations

from pathlib import Path

import pytest

from ploinky.lifecycle.registries import certificates_inside, registry_access


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("HTTPS_PROXY", "http://proxy:3128", "http://proxy:3128"),
        ("no_proxy", "localhost,.corp", "localhost,.corp"),
        ("PIP_INDEX_URL", "https://pypi.corp/simple", "https://pypi.corp/simple"),
        ("PIP_FIND_LINKS", "/opt/wheels", None),
        ("PIP_FIND_LINKS", "/opt/wheels https://wheels.corp", "https://wheels.corp"),
        ("PIP_FIND_LINKS", "file:///opt/wheels", None),
        ("PIP_CACHE_DIR", "cache", None),
        ("UV_INDEX_URL", "https://pypi.corp/simple", "https://pypi.corp/simple"),
        ("UV_CACHE_DIR", "/root/.cache/uv", None),
        ("npm_config_registry", "https://npm.corp", "https://npm.corp"),
        ("npm_config_cache", "/root/.npm", None),
        ("AWS_SECRET_ACCESS_KEY", "abc", None),
        ("PATH", "/usr/bin", None),
    ],
)
def test_only_what_helps_and_exists_inside_is_handed_in(name: str, value: str, kept: str | None) -> None:
    assert registry_access({name: value}).variables.get(name) == kept


def test_settings_that_were_left_out_are_named() -> None:
    access = registry_access({"PIP_FIND_LINKS": "/opt/wheels", "HOME": "/root", "UV_OFFLINE": "1"})
    assert access.left_out == ("PIP_FIND_LINKS",)


def test_the_certificates_are_there_during_the_install_only(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("certificates")
    work = tmp_path / "work"
    work.mkdir()
    access = registry_access({"REQUESTS_CA_BUNDLE": str(bundle)})
    with certificates_inside(access, work) as variables:
        for name in ("SSL_CERT_FILE", "PIP_CERT", "NODE_EXTRA_CA_CERTS"):
            assert Path(variables[name]).read_text() == "certificates"
            assert Path(variables[name]).parent == work
    assert list(work.iterdir()) == []


def test_a_bundle_that_does_not_exist_is_not_named_inside(tmp_path: Path) -> None:
    access = registry_access({"SSL_CERT_FILE": str(tmp_path / "none.pem")})
    with certificates_inside(access, tmp_path) as variables:
        assert variables == {}
