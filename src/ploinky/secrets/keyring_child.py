"""The process that asks the desktop's keyring: ``python -m ploinky.secrets.keyring_child get|set NAME``.

It is a process of its own because a keyring may hang; ``master_key`` gives it a deadline and ends it. The
key passes by stdin and stdout. It never prompts: a locked keyring is an answer (exit status 3), and so is a
machine without one (4). A backend is used that the person named (``PYTHON_KEYRING_BACKEND``) or that speaks
the Secret Service; files in plain text are no keyring.
"""

from __future__ import annotations

import sys

SERVICE = "ploinky"
DONE, ABSENT, LOCKED, NO_KEYRING = 0, 2, 3, 4


def main(argv: list[str], *, chosen: bool) -> int:
    """``chosen``: a person named the backend, so it is used whatever it is."""
    import keyring
    from keyring.backends import fail, null

    verb, name = argv
    backend = keyring.get_keyring()
    if isinstance(backend, fail.Keyring | null.Keyring):
        return NO_KEYRING
    if not chosen:
        state = _secret_service()
        if state != DONE:
            return state
        from keyring.backends import SecretService

        backend = SecretService.Keyring()  # type: ignore[no-untyped-call]
    if verb == "set":
        backend.set_password(SERVICE, name, sys.stdin.read())
        return DONE
    found = backend.get_password(SERVICE, name)
    if found is None:
        return ABSENT
    sys.stdout.write(found)
    return DONE


def _secret_service() -> int:
    """Whether the Secret Service is there and open; asking for a password in it would make it prompt."""
    try:
        import secretstorage
    except ImportError:
        return NO_KEYRING
    try:
        collection = secretstorage.Collection(secretstorage.dbus_init())  # makes none if there is none
        return LOCKED if collection.is_locked() else DONE
    except secretstorage.exceptions.LockedException:
        return LOCKED
    except secretstorage.exceptions.SecretStorageException:
        return NO_KEYRING


if __name__ == "__main__":
    import os

    sys.exit(main(sys.argv[1:], chosen="PYTHON_KEYRING_BACKEND" in os.environ))
