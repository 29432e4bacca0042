"""Which session a request goes on with: OpenAI clients name none and send the whole conversation each time.

A conversation is known by what was said in it, to its last answer. It is known once: a client that asks
again from the same point (to get another answer) begins a session of its own, with the same beginning.
Forgotten with the process; then a session is begun anew with what the client sent.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence

from ploinky.assistants.ids import new_id
from ploinky.gateway.openai_api.requests import Said

MOST = 4096


class Conversations:
    """Sessions by what was said in them."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, str] = OrderedDict()

    def take(self, caller: str, assistant: str, said: Sequence[Said]) -> tuple[str, Sequence[Said]]:
        """The session that ``said`` goes on with, and what is new in it; a new session gets all of it."""
        answers = [index for index, each in enumerate(said) if each.role == "assistant"]
        if answers:
            end = answers[-1] + 1
            session = self._known.pop(_digest(caller, assistant, said[:end]), None)
            if session is not None:
                return session, said[end:]
        return new_id("v1"), said

    def keep(self, caller: str, assistant: str, said: Sequence[Said], answer: str, session: str) -> None:
        """Remember where ``said`` and its ``answer`` stand."""
        self._known[_digest(caller, assistant, [*said, Said("assistant", answer)])] = session
        while len(self._known) > MOST:
            self._known.popitem(last=False)


def _digest(caller: str, assistant: str, said: Sequence[Said]) -> bytes:
    digest = hashlib.sha256()
    for text in (caller, assistant, *(part for each in said for part in (each.role, each.text))):
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.digest()
