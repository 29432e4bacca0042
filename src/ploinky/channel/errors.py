"""What the launcher's refusals and a broken connection are called above: one table from code to error."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass

from ploinky.base.errors import NotFoundError, PloinkyError
from ploinky.channel.frames import ErrorCode, MalformedError, ReplyTag, decode_entries, integer

MAX_REASON = 200


@dataclass(frozen=True)
class _Row:
    code: str
    message: str  # {subject} is what was asked for, {reason} the system's or the launcher's words
    hint: str | None = None
    kind: type[PloinkyError] = PloinkyError


_ROWS = {
    ErrorCode.PROTOCOL: _Row(
        "CHANNEL_PROTOCOL",
        "The launcher refused what it was sent: {reason}.",
        "Restart the agent, so that its launcher has the version of this program.",
    ),
    ErrorCode.NOT_FOUND: _Row(
        "PROGRAM_NOT_FOUND",
        "There is no program {subject} in the sandbox.",
        "Check the command's spelling, the image and PATH.",
        NotFoundError,
    ),
    ErrorCode.NOT_EXECUTABLE: _Row(
        "PROGRAM_NOT_EXECUTABLE",
        "{subject} is in the sandbox but cannot be executed: {reason}.",
        "Set its executable bit (chmod +x), and check that its #! line names a program of the image.",
    ),
    ErrorCode.BAD_CWD: _Row("PROGRAM_BAD_CWD", "{subject} cannot start in its working directory: {reason}."),
    ErrorCode.SPAWN: _Row("PROGRAM_NOT_STARTED", "{subject} cannot be started: {reason}."),
    ErrorCode.LIMIT: _Row(
        "CHANNEL_BUSY", "The sandbox runs as many programs as it can.", "Try again when some have ended."
    ),
    ErrorCode.LAUNCHED: _Row("ALREADY_LAUNCHED", "The agent in this sandbox was launched already."),
    ErrorCode.NOT_LAUNCHED: _Row("NOT_LAUNCHED", "The sandbox has no main command to restart."),
    ErrorCode.STOPPING: _Row("SANDBOX_STOPPING", "The sandbox is stopping; nothing more starts in it."),
    ErrorCode.NO_FILE: _Row("REMOTE_FILE_NOT_FOUND", "There is no file {subject}.", kind=NotFoundError),
    ErrorCode.FILE: _Row("REMOTE_FILE", "{subject} cannot be read in the sandbox: {reason}."),
    ErrorCode.CONNECT: _Row(
        "PORT_UNREACHABLE",
        "Nothing answers on {subject} in the sandbox: {reason}.",
        "Is the agent ready yet?",
    ),
    ErrorCode.TOKEN: _Row("CHANNEL_REFUSED", "The launcher refused the token."),
    ErrorCode.TUNNEL: _Row("CHANNEL_TUNNEL", "The connection to {subject} broke: {reason}."),
}


def refusal(payload: bytes, subject: str) -> PloinkyError:
    """The error that an ERROR frame reports about ``subject``. Its text is bounded and printable.

    Raises:
        MalformedError: if the frame is none.
    """
    entries = decode_entries(payload)
    try:
        row = _ROWS[ErrorCode(integer(entries, ReplyTag.CODE) or 0)]
    except ValueError as error:
        raise MalformedError("unknown error code") from error
    number = integer(entries, ReplyTag.ERRNO) or 0
    said = entries.get(ReplyTag.MESSAGE, b"")[:MAX_REASON].decode("utf-8", "replace")
    reason = "".join(letter for letter in said if letter.isprintable())
    if number in errno.errorcode and row.code not in ("PROGRAM_NOT_EXECUTABLE", "CHANNEL_PROTOCOL"):
        reason = os.strerror(number)
    message = row.message.format(subject=subject, reason=reason)
    return row.kind(row.code, message, hint=row.hint, details={"subject": subject})


def lost(reason: str) -> PloinkyError:
    return PloinkyError(
        "CHANNEL_LOST",
        f"The connection to the sandbox's launcher was lost: {reason}.",
        hint="The sandbox has probably stopped; see: ploinky status",
    )


def violated(reason: str) -> PloinkyError:
    return PloinkyError(
        "CHANNEL_PROTOCOL",
        f"The launcher broke the protocol: {reason}.",
        hint="Restart the agent; if this comes again, something in its sandbox poses as the launcher.",
    )


def unreachable(where: str, reason: str) -> PloinkyError:
    return PloinkyError(
        "CHANNEL_UNREACHABLE",
        f"Cannot reach the launcher at {where}: {reason}.",
        hint="Is the agent running? See: ploinky status",
    )
