"""A person logs in by an OpenID provider, in the browser: npm's oidc-provider, run as a process."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.cli.stage import Stage, eventually, give_back, make_stage
from tests.gateway.web import Web, web_of
from tests.identity.provider import IdentityProvider, running_provider
from tests.web.browser import DESKTOP, PATIENCE_MS, Window

pytestmark = pytest.mark.bubblewrap
SECRET = "the-gateways-own-secret"  # of the provider's script


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    with running_provider() as running:
        yield running


@pytest.fixture
def quay(tmp_path: Path, provider: IdentityProvider) -> Iterator[Stage]:
    """A workspace into which only Alice may come."""
    runtime = Path(tempfile.mkdtemp(prefix="pu-", dir="/tmp"))
    stage = make_stage(tmp_path, runtime)
    settings = json.loads(stage.layout.config_file.read_text())
    known = {
        "issuer": provider.url,
        "clientId": "gateway",
        "clientSecretRef": "env:OIDC_SECRET",
        "allow": ["alice@harbour.example"],
    }
    settings["gateway"]["auth"] = {"mode": "oidc", "oidc": known}
    stage.layout.config_file.write_text(json.dumps(settings))
    stage.run("start", environ={"OIDC_SECRET": SECRET})
    yield stage
    give_back(stage)
    shutil.rmtree(runtime)


def open_page(browser: Browser) -> Page:
    context = browser.new_context(viewport=DESKTOP, service_workers="block")  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_MS)
    return context.new_page()


def ready(provider: IdentityProvider, web: Web, account: str) -> None:
    provider.open(redirects=[f"{web.url}/login/oidc/callback"], account=account)
    eventually(lambda: web.send("GET", "/login/oidc").status == 303, "the provider to be found")


def test_a_person_presses_the_button_and_is_in(
    browser: Browser, quay: Stage, provider: IdentityProvider
) -> None:
    web = web_of(quay)
    ready(provider, web, "alice")
    page = open_page(browser)
    page.goto(web.url)
    button = page.get_by_role("link", name="Log in with your provider")
    expect(button).to_be_visible()
    assert Window(page, web.url).serious_faults() == []
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Home", level=1)).to_be_visible()
    assert page.url == f"{web.url}/"
    page.goto(f"{web.url}/settings/gateway")
    expect(page.get_by_label("By")).to_have_value("oidc")
    expect(page.get_by_role("button", name="Save login")).to_be_disabled()
    page.get_by_role("button", name="Log out").click()
    expect(button).to_be_visible()
    page.context.close()


def test_somebody_else_is_told_why_not(browser: Browser, quay: Stage, provider: IdentityProvider) -> None:
    web = web_of(quay)
    ready(provider, web, "mallory")
    page = open_page(browser)
    page.goto(web.url)
    page.get_by_role("link", name="Log in with your provider").click()
    expect(page.get_by_role("alert")).to_contain_text("That login was refused.")
    page.context.close()
