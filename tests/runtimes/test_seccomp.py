"""The filter of system calls, run by a small machine of its own instead of the kernel."""

from __future__ import annotations

import errno
import struct

import pytest

from ploinky.runtimes.seccomp import filter_program

X86_64, AARCH64, I386 = 0xC000003E, 0xC00000B7, 0x40000003
ALLOW, ERRNO = 0x7FFF0000, 0x00050000


def verdict(machine: str, arch: int, number: int, *arguments: int) -> int:
    """What a filter returns for a call."""
    program = filter_program(machine)
    assert program is not None
    operations = list(struct.iter_unpack("=HBBI", program))
    words = (list(arguments) + [0] * 6)[:6]
    data = struct.pack("=iIQ6Q", number, arch, 0, *words)
    accumulator = position = 0
    while True:
        code, if_true, if_false, value = operations[position]
        position += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, value)
        elif code == 0x06:
            return int(value)
        else:
            true = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[
                code
            ]
            position += if_true if true else if_false


@pytest.mark.parametrize(
    ("machine", "arch", "number", "arguments", "result"),
    [
        ("x86_64", X86_64, 0, (), ALLOW),  # read
        ("x86_64", X86_64, 59, (), ALLOW),  # execve
        ("x86_64", X86_64, 101, (), ALLOW),  # ptrace, of its own processes
        ("x86_64", X86_64, 165, (), ERRNO | errno.EPERM),  # mount
        ("x86_64", X86_64, 272, (), ERRNO | errno.EPERM),  # unshare
        ("x86_64", X86_64, 250, (), ERRNO | errno.EPERM),  # keyctl
        ("x86_64", X86_64, 425, (), ERRNO | errno.EPERM),  # io_uring_setup
        ("x86_64", X86_64, 435, (), ERRNO | errno.ENOSYS),  # clone3
        ("x86_64", X86_64, 56, (0x01200011,), ALLOW),  # clone as fork does
        ("x86_64", X86_64, 56, (0x003D0F00,), ALLOW),  # clone as a thread does
        ("x86_64", X86_64, 56, (0x10000011,), ERRNO | errno.EPERM),  # clone with CLONE_NEWUSER
        ("x86_64", X86_64, 56, (0x00020011,), ERRNO | errno.EPERM),  # clone with CLONE_NEWNS
        ("x86_64", X86_64, 16, (1, 0x5401), ALLOW),  # ioctl TCGETS
        ("x86_64", X86_64, 16, (1, 0x5412), ERRNO | errno.EPERM),  # ioctl TIOCSTI
        ("x86_64", X86_64, 16, (1, 0x541C), ERRNO | errno.EPERM),  # ioctl TIOCLINUX
        ("x86_64", X86_64, 0x40000000 + 165, (), ERRNO | errno.ENOSYS),  # the x32 way in
        ("x86_64", I386, 21, (), ERRNO | errno.ENOSYS),  # the 32-bit way in
        ("aarch64", AARCH64, 63, (), ALLOW),  # read
        ("aarch64", AARCH64, 40, (), ERRNO | errno.EPERM),  # mount
        ("aarch64", AARCH64, 220, (0x10000011,), ERRNO | errno.EPERM),  # clone with CLONE_NEWUSER
        ("aarch64", AARCH64, 29, (0, 0x5412), ERRNO | errno.EPERM),  # ioctl TIOCSTI
    ],
)
def test_a_call_is_let_through_or_refused(
    machine: str, arch: int, number: int, arguments: tuple[int, ...], result: int
) -> None:
    assert verdict(machine, arch, number, *arguments) == result


def test_an_unknown_machine_has_no_filter() -> None:
    assert filter_program("riscv64") is None
