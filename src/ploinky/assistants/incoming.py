"""Which of the messages that a client sends with ``agent.run`` are new.

A client may send only the new message, or its whole list. Messages with an id are known by it; without ids,
the longest beginning of the list that is the end of what was said so far is not new. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from ploinky.assistants.messages import NewMessage, Role, ThreadMessage

_Said = tuple[str, str]


def new_messages(thread: Sequence[ThreadMessage], given: Sequence[NewMessage]) -> list[NewMessage]:
    """The messages of ``given`` to be added. Empty: the question stands in the thread already, unanswered."""
    if not thread or len(given) <= 1:
        known = {message.id for message in thread}
        return [message for message in given if message.id is None or message.id not in known]
    if any(message.id for message in given):
        known = {message.id for message in thread}
        last = max((index for index, message in enumerate(given) if message.id in known), default=-1)
        return list(given[last + 1 :])
    said = _said(thread)
    texts = [(message.role.value, message.content) for message in given]
    for length in range(min(len(texts), len(said)), 0, -1):
        if said[-length:] == texts[:length]:
            return list(given[length:])
    return _after_last_answer(given)


def _said(thread: Sequence[ThreadMessage]) -> list[_Said]:
    """What was said between person and assistant; the parts of one answer joined, as clients know it."""
    said: list[_Said] = []
    last_run: str | None = None
    for message in thread:
        if message.role is Role.USER:
            said.append((message.role.value, message.content))
            last_run = None
        elif message.role is Role.ASSISTANT:
            if last_run is not None and last_run == message.run_id:
                said[-1] = (said[-1][0], said[-1][1] + message.content)
            else:
                said.append((message.role.value, message.content))
            last_run = message.run_id
    return said


def _after_last_answer(given: Sequence[NewMessage]) -> list[NewMessage]:
    answers = [index for index, message in enumerate(given) if message.role is not Role.USER]
    return list(given[answers[-1] + 1 :] if answers else given[-1:])
