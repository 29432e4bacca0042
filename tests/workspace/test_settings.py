"""Settings are checked whole; every fault names its key."""

from __future__ import annotations

import json

import pytest

from ploinky.base.errors import PloinkyError
from ploinky.workspace.layout import Layout
from ploinky.workspace.settings import load_settings


def refused(layout: Layout, text: str) -> str:
    layout.config_file.write_text(text)
    with pytest.raises(PloinkyError) as caught:
        load_settings(layout)
    assert caught.value.code == "CONFIG_INVALID"
    assert layout.config_file.read_text() == text
    return caught.value.message


def test_without_a_file_the_defaults_hold(layout: Layout) -> None:
    settings = load_settings(layout)
    assert (settings.gateway.port, settings.gateway.bind, settings.gateway.auth.mode) == (
        8080,
        "loopback",
        "token",
    )
    assert (settings.router.naming, settings.runtime) == ("auto", "auto")


def test_the_example_of_the_specification_is_accepted(layout: Layout) -> None:
    example = {
        "gateway": {"bind": "loopback", "bindAddress": None, "port": 8080, "auth": {"mode": "token"}},
        "models": {"local": {"provider": "ollama", "baseURL": "http://127.0.0.1:11434"}},
        "defaultModel": "local",
        "profiles": [{"id": "main", "root": "."}],
        "agentProfilesRoot": "profiles",
    }
    layout.config_file.write_text(json.dumps(example))
    assert load_settings(layout).default_model == "local"


def test_what_is_set_is_what_holds(layout: Layout) -> None:
    layout.config_file.write_text(
        '{"gateway": {"port": 9000, "allow": ["box.lan"]}, "limits": {"cpus": 2}, "runtime": "podman",'
        ' "router": {"naming": "prefix", "policy": [{"caller": "agent:*", "tools": ["git__*"], "rate": 5}]}}'
    )
    settings = load_settings(layout)
    assert (settings.gateway.port, settings.gateway.allow, settings.limits.cpus) == (9000, ("box.lan",), 2.0)
    assert settings.router.policy[0].tools == ("git__*",)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('{"gateway": {"port": "banana"}}', "gateway.port"),
        ('{"gateway": {"port": 70000}}', "gateway.port"),
        ('{"gateway": {"port": true}}', "gateway.port"),
        ('{"gateway": {"auth": {"mode": "magic"}}}', "gateway.auth.mode"),
        ('{"router": {"policy": [{"caller": "x", "rate": 0}]}}', "router.policy.0.rate"),
        ('{"start": {"parallel": 0}}', "start.parallel"),
        ('{"limits": {"memory": "much"}}', "limits.memory"),
        ('{"runtime": "chroot"}', "runtime"),
    ],
)
def test_a_wrong_value_names_its_key(layout: Layout, text: str, key: str) -> None:
    assert f"  {key}: " in refused(layout, text)


def test_a_value_is_never_repeated_in_the_error(layout: Layout) -> None:
    assert "banana" not in refused(layout, '{"gateway": {"port": "banana"}}')


def test_every_fault_is_told_at_once_with_what_was_meant(layout: Layout) -> None:
    message = refused(layout, '{"gatway": {}, "gateway": {"prot": 1, "auth": {"mod": 1}}, "zzz": 1}')
    assert "gatway: unknown key; did you mean 'gateway'?" in message
    assert "gateway.prot: unknown key; did you mean 'port'?" in message
    assert "gateway.auth.mod: unknown key; did you mean 'mode'?" in message
    assert "zzz: unknown key\n" in message + "\n"


def test_a_file_that_is_not_json_tells_the_place(layout: Layout) -> None:
    assert "line 2, column 1" in refused(layout, '{"gateway":\n}')


def test_a_file_that_is_no_object_is_refused(layout: Layout) -> None:
    assert "must be an object" in refused(layout, "[]")
