"""A stricter filter of system calls for Podman, made from the engine's own.

Podman's default profile, unlike Docker's, lets every process make namespaces and mounts in them, where it
has all capabilities. Agents have no business with that. Derived rather than written anew, so that what the
engine's authors refuse stays refused.
"""

from __future__ import annotations

import errno
import json
from pathlib import Path

from ploinky.base.files import read_bytes, read_text, write_atomic
from ploinky.base.jsontypes import JsonObject
from ploinky.runtimes.seccomp import NEW_NAMESPACES, refused_calls

PROFILES = (Path("/etc/containers/seccomp.json"), Path("/usr/share/containers/seccomp.json"))
_FILE_NAME = "seccomp.json"


def tightened_profile(folder: Path) -> Path | None:
    """The stricter profile as a file in ``folder``, or None where the engine's own is not to be found."""
    for path in PROFILES:
        text = read_text(path)
        if text is None:
            continue
        target = folder / _FILE_NAME
        wanted = json.dumps(tightened(json.loads(text))).encode()
        if read_bytes(target) != wanted:
            write_atomic(target, wanted)
        return target
    return None


def tightened(profile: JsonObject) -> JsonObject:
    """The profile without namespaces, mounts and what else no agent needs: refused with EPERM."""
    refused = {*refused_calls(), "clone", "clone3"}
    rules = profile.get("syscalls")
    assert isinstance(rules, list), "a seccomp profile has rules"
    kept: list[JsonObject] = []
    for rule in rules:
        assert isinstance(rule, dict)
        names = rule.get("names")
        assert isinstance(names, list)
        left = [name for name in names if name not in refused]
        if left:
            kept.append({**rule, "names": list(left)})
    return {
        **profile,
        "syscalls": [
            *kept,
            {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [_without(NEW_NAMESPACES)]},
            # its flags lie in memory that a filter cannot read; every libc then falls back to clone
            {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.ENOSYS},
            {"names": list(refused_calls()), "action": "SCMP_ACT_ERRNO", "errnoRet": errno.EPERM},
        ],
    }


def _without(flags: int) -> JsonObject:
    return {"index": 0, "value": flags, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}
