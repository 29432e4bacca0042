"""Which session a request goes on with: OpenAI clients name none and send the whole conversation each time.

A conversation is known by what was said in it, to its last answer, also after a restart. It is known once: a
client that asks again from the same point (to get another answer) begins a session of its own, with the same
beginning.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from ploinky.assistants.assistant import Assistant
from ploinky.assistants.ids import new_id
from ploinky.gateway.openai_api.requests import Said


async def take_place(caller: str, assistant: Assistant, said: Sequence[Said]) -> tuple[str, Sequence[Said]]:
    """The session that ``said`` goes on with, and what is new in it; a new session gets all of it."""
    answers = [index for index, each in enumerate(said) if each.role == "assistant"]
    if answers:
        end = answers[-1] + 1
        session = await assistant.continuations.take(_digest(caller, said[:end]))
        if session is not None:
            return session, said[end:]
    return new_id("v1"), said


async def keep_place(
    caller: str, assistant: Assistant, said: Sequence[Said], answer: str, session: str
) -> None:
    """Remember where ``said`` and its ``answer`` stand."""
    await assistant.continuations.keep(_digest(caller, [*said, Said("assistant", answer)]), session)


def _digest(caller: str, said: Sequence[Said]) -> bytes:
    digest = hashlib.sha256()
    for text in (caller, *(part for each in said for part in (each.role, each.text))):
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.digest()
