"""A filter of system calls for sandboxes without an engine, as a program for the kernel.

Second line of defence: what an unprivileged process in no privileged namespace has no business with is
refused with EPERM, as container engines do; keys and io_uring, which no namespace confines, among it.
To refuse one more call: a row in ``_REFUSED``. Numbers are those of the kernel's headers.
"""

from __future__ import annotations

import errno
import struct
from dataclasses import dataclass

_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_SET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCH, _FIRST_ARGUMENT, _SECOND_ARGUMENT = 0, 4, 16, 24
_X32_BIT = 0x40000000

NEW_NAMESPACES = 0x7E020000  # CLONE_NEW* as far as clone(2) knows them
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C

_REFUSED: tuple[tuple[str, int | None, int | None], ...] = (
    # name, x86_64, aarch64
    ("acct", 163, 89),
    ("add_key", 248, 217),
    ("bpf", 321, 280),
    ("clock_adjtime", 305, 266),
    ("clock_settime", 227, 112),
    ("delete_module", 176, 106),
    ("fanotify_init", 300, 262),
    ("finit_module", 313, 273),
    ("fsconfig", 431, 431),
    ("fsmount", 432, 432),
    ("fsopen", 430, 430),
    ("fspick", 433, 433),
    ("init_module", 175, 105),
    ("io_uring_enter", 426, 426),
    ("io_uring_register", 427, 427),
    ("io_uring_setup", 425, 425),
    ("ioperm", 173, None),
    ("iopl", 172, None),
    ("kexec_file_load", 320, 294),
    ("kexec_load", 246, 104),
    ("keyctl", 250, 219),
    ("lookup_dcookie", 212, 18),
    ("mount", 165, 40),
    ("mount_setattr", 442, 442),
    ("move_mount", 429, 429),
    ("name_to_handle_at", 303, 264),
    ("nfsservctl", 180, 42),
    ("open_by_handle_at", 304, 265),
    ("open_tree", 428, 428),
    ("perf_event_open", 298, 241),
    ("pivot_root", 155, 41),
    ("quotactl", 179, 60),
    ("quotactl_fd", 443, 443),
    ("reboot", 169, 142),
    ("request_key", 249, 218),
    ("setns", 308, 268),
    ("settimeofday", 164, 170),
    ("swapoff", 168, 225),
    ("swapon", 167, 224),
    ("syslog", 103, 116),
    ("umount2", 166, 39),
    ("unshare", 272, 97),
    ("userfaultfd", 323, 282),
    ("vhangup", 153, 58),
)


@dataclass(frozen=True)
class _Machine:
    audit: int
    column: int
    clone: int
    clone3: int
    ioctl: int


_MACHINES = {
    "x86_64": _Machine(0xC000003E, 1, 56, 435, 16),
    "aarch64": _Machine(0xC00000B7, 2, 220, 435, 29),
}


def refused_calls() -> tuple[str, ...]:
    """The names of the calls that no agent may make."""
    return tuple(name for name, _, _ in _REFUSED)


def filter_program(machine: str) -> bytes | None:
    """The filter for a machine (as ``uname -m`` names it), or None where the numbers are not known."""
    known = _MACHINES.get(machine)
    if known is None:
        return None
    unknown_call = _ERRNO | errno.ENOSYS
    refused = _ERRNO | errno.EPERM
    program = [
        _op(_LOAD, _ARCH),
        _op(_JUMP_EQUAL, known.audit, 1, 0),
        _op(_RETURN, unknown_call),  # programs of another word size
        _op(_LOAD, _NUMBER),
    ]
    if machine == "x86_64":
        program += [_op(_JUMP_AT_LEAST, _X32_BIT, 0, 1), _op(_RETURN, unknown_call)]
    # its flags lie in memory that a filter cannot read; every libc then falls back to clone
    program += [_op(_JUMP_EQUAL, known.clone3, 0, 1), _op(_RETURN, unknown_call)]
    for row in _REFUSED:
        number = row[known.column]
        if isinstance(number, int):
            program += [_op(_JUMP_EQUAL, number, 0, 1), _op(_RETURN, refused)]
    program += [
        _op(_JUMP_EQUAL, known.clone, 0, 4),
        _op(_LOAD, _FIRST_ARGUMENT),
        _op(_JUMP_SET, NEW_NAMESPACES, 0, 1),
        _op(_RETURN, refused),
        _op(_RETURN, _ALLOW),
        _op(_JUMP_EQUAL, known.ioctl, 0, 4),
        _op(_LOAD, _SECOND_ARGUMENT),
        _op(_JUMP_EQUAL, _TIOCSTI, 1, 0),
        _op(_JUMP_EQUAL, _TIOCLINUX, 0, 1),
        _op(_RETURN, refused),
        _op(_RETURN, _ALLOW),
    ]
    return b"".join(program)


def _op(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
