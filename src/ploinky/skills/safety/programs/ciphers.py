"""Programs that encrypt and decrypt: what they decrypt is as doubtful as anything decoded, what they encrypt
must be the skill's, and keys stay where they are. To know one more, add it to the row of ``dispatch``.
"""

from __future__ import annotations

import re

from ploinky.skills.safety.invocation import Invocation, Result
from ploinky.skills.safety.places import HOME, Zone
from ploinky.skills.safety.values import Stream, Taint

_GIVES_KEYS = re.compile(
    r"--export-(?:secret\S*|ownertrust)|--export-session-key|--list-secret\S*|--show-session-key"
)
_TRUSTS = re.compile(
    r"--(?:recv-keys?|receive-keys|refresh-keys|import\S*|fetch-keys?|keyserver\S*|trust-model"
    r"|always-trust)\Z"
)
_DECRYPTS = re.compile(r"--?(?:d|decrypt|decode)\Z")
_ENCRYPTS = re.compile(
    r"-[a-z]*[ce]|-(?:-?encrypt|-symmetric|r|-recipient)\Z|--encrypt-files|-p\Z|--passphrase\Z"
)
_VERIFIES = re.compile(r"--(?:verify|list-keys|list-packets|fingerprint|show-keys|version|print-md)\Z|-k\Z")


def cipher(call: Invocation) -> Result:
    """``gpg``, ``age`` and their kin."""
    texts = call.texts
    decrypts = any(_DECRYPTS.match(each) for each in texts)
    encrypts = not decrypts and any(_ENCRYPTS.fullmatch(each) for each in texts)
    taints = call.stdin.taints if call.stdin is not None else frozenset()
    for each in call.args:
        if each.text.startswith("-"):
            continue
        place = call.place(each)
        if encrypts and place.zone in (Zone.OUTSIDE, Zone.OWN_HOME, Zone.SYSTEM, Zone.SECRET):
            call.report("destruction", "encrypts what is not the skill's")
        if re.search(r"[/.~]", each.text) and "@" not in each.text.removeprefix(HOME):
            taints |= call.read_file(each).taints
    if any(_GIVES_KEYS.match(each) for each in texts):
        call.report("read-secret", "gives out private keys")
        taints |= {Taint.SECRET}
    if any(_TRUSTS.match(each) for each in texts):
        remote = Taint.REMOTE in taints or any("://" in each for each in texts)
        call.report("security-off" if remote else "account", "trusts another key")
    elif decrypts or encrypts or not any(_VERIFIES.match(each) for each in texts):
        call.report("unknown-option", f"{call.program} is not on the list")
    return Result(Stream(taints | ({Taint.DECODED, Taint.SECRET} if decrypts else set())))
