"""Append messages to the thread ``bench`` of a store: its path, a name, how many. Run as a program."""

from __future__ import annotations

import sys
from pathlib import Path

from ploinky.assistants.journal import EventJournal
from ploinky.assistants.messages import NewMessage, Role
from ploinky.assistants.schema import MIGRATIONS
from ploinky.assistants.sessions import Session
from ploinky.assistants.threads import ThreadStore
from ploinky.base.database import Database


def main() -> None:
    database = Database(Path(sys.argv[1]), MIGRATIONS)
    store = ThreadStore(database, EventJournal(database))
    for number in range(int(sys.argv[3])):
        store.append_now(Session("bench"), [NewMessage(Role.USER, f"{sys.argv[2]} {number}")])


if __name__ == "__main__":
    main()
