"""The one tree of errors that a person or a client may see.

An error says what happened, to which thing, and what to type next. It never carries a secret or raw
input. Programs decide by ``code``, never by the text. To add one, raise the nearest class with a new
code; add a class only for a new exit code.
"""

from __future__ import annotations

from collections.abc import Mapping

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_NOT_FOUND = 3
EXIT_NEEDS_APPROVAL = 4
EXIT_INTERRUPTED = 130


class PloinkyError(Exception):
    """A failure with a stable code, a message for people and a hint of what to do next.

    ``details`` holds further facts for machines (JSON output, RPC); strings only, free of secrets.
    """

    exit_code = EXIT_FAILED

    def __init__(
        self, code: str, message: str, *, hint: str | None = None, details: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.details: dict[str, str] = dict(details or {})

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n{self.hint}"


class UsageError(PloinkyError):
    """The words of a command or the parameters of a call are wrong."""

    exit_code = EXIT_USAGE


class NotFoundError(PloinkyError):
    """A named thing does not exist."""

    exit_code = EXIT_NOT_FOUND


class NeedsApprovalError(PloinkyError):
    """Somebody must approve or supply something (trust, a secret) before this can go on."""

    exit_code = EXIT_NEEDS_APPROVAL


class DeadlineError(PloinkyError):
    """A wait ran into its deadline; the message says what was waited for and how long."""

    def __init__(
        self, what: str, timeout_s: float, *, code: str = "DEADLINE", hint: str | None = None
    ) -> None:
        super().__init__(code, f"Gave up after {timeout_s:g} s waiting for {what}.", hint=hint)
        self.timeout_s = timeout_s
