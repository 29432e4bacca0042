"""The stricter profile: what the engine refused stays refused, and namespaces go."""

from __future__ import annotations

from ploinky.base.jsontypes import JsonObject
from ploinky.runtimes.engine_seccomp import tightened

ENGINES_OWN: JsonObject = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "syscalls": [
        {"names": ["read", "unshare", "clone", "clone3", "mount"], "action": "SCMP_ACT_ALLOW", "args": []},
        {"names": ["setns"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
        {"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 8}]},
    ],
}


def allowed(profile: JsonObject) -> dict[str, object]:
    """Allowed call to the conditions on its arguments."""
    found: dict[str, object] = {}
    rules = profile["syscalls"]
    assert isinstance(rules, list)
    for rule in rules:
        assert isinstance(rule, dict)
        names = rule["names"]
        assert isinstance(names, list)
        if rule["action"] == "SCMP_ACT_ALLOW":
            found.update({str(name): rule.get("args") for name in names})
    return found


def test_only_what_the_engine_allows_is_allowed_and_less() -> None:
    assert set(allowed(tightened(ENGINES_OWN))) == {"read", "clone", "personality"}


def test_processes_can_still_be_made_but_no_namespaces() -> None:
    conditions = allowed(tightened(ENGINES_OWN))
    flags = {"index": 0, "value": 0x7E020000, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}
    assert conditions["clone"] == [flags]
    assert conditions["personality"] == [{"index": 0, "value": 8}]


def test_what_else_the_profile_says_stays() -> None:
    assert tightened({**ENGINES_OWN, "archMap": [1]})["archMap"] == [1]
    assert tightened(ENGINES_OWN)["defaultAction"] == "SCMP_ACT_ERRNO"
