"""What a hostile program tries, run inside a sandbox as a file of its own; it is never imported.

Each row of ``ATTEMPTS`` does something forbidden and says what it got; to fail is to hold. One JSON line
each: the name, and what was won (null if nothing). Nothing here harms a machine even where it succeeds: files
of the kernel are opened and not written, processes are asked and not killed. To add one: a function, a row.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

FACTS = json.loads(sys.argv[1])
LIBC = ctypes.CDLL(None, use_errno=True)
CALLS = {"x86_64": 0, "aarch64": 1}
NUMBERS = {
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "io_uring_setup": (425, 425),
    "userfaultfd": (323, 282),
    "setns": (308, 268),
    "pivot_root": (155, 41),
    "syslog": (103, 116),
}
CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWNET = 0x10000000, 0x20000, 0x40000000
PTRACE_ATTACH, PTRACE_SEIZE = 16, 0x4206
TIOCSTI = 0x5412


def call(name, *words):
    """Do a system call by its number; what it gave, None if it was refused."""
    number = NUMBERS[name][CALLS[os.uname().machine]]
    given = LIBC.syscall(number, *words)
    return None if given < 0 else f"{name} gave {given}"


def opened(path, flags=os.O_WRONLY):
    """Open a path and close it again."""
    os.close(os.open(path, flags))
    return f"opened {path}"


def first(tries):
    """What the first of some tries won."""
    for each in tries:
        with contextlib.suppress(OSError):
            won = each()
            if won is not None:
                return won
    return None


def writes_outside():
    folders = (
        "/",
        "/usr",
        "/usr/bin",
        "/etc",
        "/home",
        "/var",
        "/run",
        "/run/ploinky",
        "/root",
        "/opt",
        "/sys",
    )
    return first([lambda each=each: opened(f"{each}/x", os.O_WRONLY | os.O_CREAT) for each in folders])


def writes_programs():
    return first([lambda each=each: opened(each) for each in ("/usr/bin/env", sys.executable, "/etc/passwd")])


def writes_through_links():
    os.symlink(FACTS["victim"], "to-victim")
    return opened("to-victim", os.O_WRONLY | os.O_APPEND)


def links_hard():
    return first(
        [
            lambda each=each: os.link(each, "hard") or f"linked {each}"
            for each in (FACTS["victim"], "/etc/passwd")
        ]
    )


def reads_secrets():
    paths = (
        FACTS["secret"],
        "/etc/shadow",
        "/etc/machine-id",
        "/root/.bashrc",
        "/root/.ssh",
        "/etc/ssl/private",
    )
    return first([lambda each=each: opened(each, os.O_RDONLY) for each in paths])


def reads_homes():
    seen = [each for each in os.listdir("/home") if each != "agent"]
    if os.path.isdir(FACTS["home"]):
        seen += [each for each in os.listdir(FACTS["home"]) if each not in FACTS["shown"]]
    return str(seen) if seen else None


def sees_processes():
    found = [each for each in os.listdir("/proc") if each.isdigit()]
    return None if len(found) < 10 else f"{len(found)} processes"


def sees_environments():
    mark = FACTS["mark"].encode()
    seen = [each for each in Path("/proc").glob("[0-9]*/environ") if mark in quietly(each)]
    return str(seen) if seen else None


def quietly(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


def signals_the_host():
    os.kill(FACTS["pid"], 0)
    return None if FACTS["pid"] < 20 else "reached"


def ends_the_first_process():
    os.kill(1, signal.SIGKILL)
    os.kill(1, signal.SIGSTOP)
    time.sleep(0.1)
    return  # to print this line at all is to have survived it


def traces_the_first_process():
    if LIBC.ptrace(PTRACE_SEIZE, 1, None, None) == 0 or LIBC.ptrace(PTRACE_ATTACH, 1, None, None) == 0:
        return "traced"
    return None


def writes_the_first_process():
    return first([lambda: opened("/proc/1/mem", os.O_RDWR), lambda: opened("/proc/1/environ", os.O_RDONLY)])


def traces_its_parent():
    return "traced" if LIBC.ptrace(PTRACE_SEIZE, os.getppid(), None, None) == 0 else None


def connects(family, *address, kind=socket.SOCK_STREAM):
    with socket.socket(family, kind) as client:
        client.settimeout(2)
        client.connect(address[0] if len(address) == 1 else address)
        return f"connected to {address}"


def reaches_the_host():
    port = FACTS["port"]
    tries = [
        lambda each=each: connects(socket.AF_INET, each, port)
        for each in ("127.0.0.1", "10.0.0.1", FACTS["host"])
    ]
    return first([*tries, lambda: connects(socket.AF_INET6, "::1", port)])


def reaches_the_world():
    return first(
        [
            lambda: connects(socket.AF_INET, "1.1.1.1", 443),
            lambda: connects(socket.AF_INET6, "2606:4700:4700::1111", 443),
            lambda: sent("1.1.1.1"),
            lambda: sent("169.254.169.254"),
        ]
    )


def sent(host):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.sendto(b"x", (host, 53))
        return f"sent to {host}"


def resolves_names():
    return str(socket.getaddrinfo("example.com", 80))


def makes_raw_sockets():
    return first(
        [
            lambda: str(socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)),
            lambda: str(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3)),
        ]
    )


def reaches_abstract_sockets():
    return connects(socket.AF_UNIX, "\0" + FACTS["abstract"])


def becomes_root():
    return first(
        [
            lambda: os.setuid(0) or "root",
            lambda: os.setgid(0) or "root's group",
            lambda: os.setgroups([0]) or "groups",
        ]
    )


def keeps_capabilities():
    lines = Path("/proc/self/status").read_text().splitlines()
    held = [
        line
        for line in lines
        if line.startswith(("CapPrm", "CapEff", "CapBnd", "CapAmb")) and line.split()[1].strip("0")
    ]
    return str(held) if held else None


def gains_privileges():
    status = Path("/proc/self/status").read_text()
    return None if "NoNewPrivs:\t1" in status else "new privileges may be gained"


def runs_setuid_programs():
    found = [
        each
        for each in ("/usr/bin/su", "/usr/bin/passwd", "/usr/bin/mount", "/usr/bin/newuidmap")
        if Path(each).exists()
    ]
    for each in found:
        done = subprocess.run([each, "--help"], capture_output=True, check=False)
        if os.geteuid() == 0:
            return f"{each} {done.returncode}"
    return None


def makes_namespaces():
    tries = (CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWUSER | CLONE_NEWNS)
    return next(
        (f"unshare {each:x}" for each in tries if in_child(lambda each=each: LIBC.unshare(each) == 0)), None
    )


def clones_namespaces():
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "id", "-u"], capture_output=True, check=False
    )
    return done.stdout.decode() if done.returncode == 0 else None


def in_child(attempt):
    pid = os.fork()
    if pid == 0:
        os._exit(0 if attempt() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def joins_namespaces():
    return first([lambda each=each: joined(f"/proc/1/ns/{each}") for each in ("mnt", "net", "user", "pid")])


def joined(path):
    descriptor = os.open(path, os.O_RDONLY)
    return call("setns", descriptor, 0)


def mounts():
    return (
        "mounted"
        if LIBC.mount(b"x", b"/tmp", b"tmpfs", 0, None) == 0
        or LIBC.mount(b"/proc", b"/tmp", b"", 4096, None) == 0
        else None
    )


def unmounts():
    return next(
        (each for each in ("/usr", "/proc", "/etc", "/run/ploinky") if LIBC.umount2(each.encode(), 2) == 0),
        None,
    )


def makes_devices():
    return first(
        [lambda: os.mknod("disk", stat.S_IFBLK | 0o666, os.makedev(8, 0)) or opened("disk", os.O_RDONLY)]
    )


def opens_devices():
    paths = (
        "/dev/mem",
        "/dev/kmsg",
        "/dev/sda",
        "/dev/vda",
        "/dev/fuse",
        "/dev/kvm",
        "/dev/net/tun",
        "/dev/loop0",
        "/dev/tty",
    )
    return first([lambda each=each: opened(each, os.O_RDONLY) for each in paths])


def changes_the_root():
    return first([lambda: os.chroot("/tmp") or "another root", lambda: call("pivot_root", b"/tmp", b"/tmp")])


def writes_kernel_settings():
    paths = (
        *("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sys/vm/overcommit_memory"),
        *(
            "/proc/sys/kernel/ns_last_pid",
            "/proc/sys/net/ipv4/ip_forward",
            "/proc/sysrq-trigger",
            "/proc/irq/default_smp_affinity",
        ),
        *(
            "/sys/kernel/mm/ksm/run",
            "/sys/power/state",
            "/sys/kernel/uevent_helper",
            "/proc/acpi",
        ),
    )
    return first([lambda each=each: opened(each) for each in paths])


def leaves_its_control_group():
    places = [*Path("/sys/fs/cgroup").glob("*/cgroup.procs"), *Path("/sys/fs/cgroup").glob("cgroup.procs")]
    places += Path("/sys/fs/cgroup").glob("*/release_agent")
    return first([lambda each=each: opened(each) for each in places])


def reads_the_kernel():
    paths = ("/proc/kcore", "/proc/kmsg", "/proc/keys", "/proc/sched_debug")
    found = first([lambda each=each: quietly_some(each) for each in paths])
    return found or call("syslog", 3, ctypes.create_string_buffer(64), 64)


def quietly_some(path):
    with open(path, "rb") as file:
        return f"{path}: {data!r}" if (data := file.read(32)) else None


def calls_the_kernel():
    room = ctypes.create_string_buffer(256)
    tries = (
        ("keyctl", 0, -4, 1),
        ("bpf", 0, room, 72),
        ("perf_event_open", room, 0, -1, -1, 0),
        ("io_uring_setup", 4, room),
        ("userfaultfd", 0),
    )
    return next((won for each in tries if (won := call(*each)) is not None), None)


def inherits_descriptors():
    mine = [each for each in os.listdir("/proc/self/fd") if int(each) > 2]
    listing = {os.path.basename(each) for each in mine if not os.path.exists(f"/proc/self/fd/{each}")}
    extra = [os.readlink(f"/proc/self/fd/{each}") for each in mine if each not in listing]
    return str(extra) if extra else None


def types_into_terminals():
    for descriptor in (0, 1, 2):
        with contextlib.suppress(OSError):
            fcntl.ioctl(descriptor, TIOCSTI, b"x")
            return "typed"
    return first([lambda: opened("/dev/tty", os.O_RDWR)])


def raises_its_limits():
    for limit in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_DATA, resource.RLIMIT_NOFILE):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(limit, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            return f"limit {limit}"
    return None


def becomes_urgent():
    return first(
        [
            lambda: f"nice {os.nice(-10)}",
            lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)) or "real time",
        ]
    )


def sets_the_clock():
    return first([lambda: time.clock_settime(time.CLOCK_REALTIME, time.time()) or "set"])


def dumps_core():
    if in_child(lambda: os.kill(os.getpid(), signal.SIGSEGV)):
        return "lived"
    return (
        str(found)
        if (found := [str(each) for each in Path().glob("core*") if each.stat().st_size > 1])
        else None
    )


ATTEMPTS = (
    *(writes_outside, writes_programs, writes_through_links, links_hard, reads_secrets, reads_homes),
    *(sees_processes, sees_environments, signals_the_host, ends_the_first_process, traces_the_first_process),
    *(writes_the_first_process, traces_its_parent, reaches_the_host, reaches_the_world, resolves_names),
    *(makes_raw_sockets, reaches_abstract_sockets, becomes_root, keeps_capabilities, gains_privileges),
    *(runs_setuid_programs, makes_namespaces, clones_namespaces, joins_namespaces, mounts, unmounts),
    *(makes_devices, opens_devices, changes_the_root, writes_kernel_settings, leaves_its_control_group),
    *(reads_the_kernel, calls_the_kernel, inherits_descriptors, types_into_terminals, raises_its_limits),
    *(becomes_urgent, sets_the_clock, dumps_core),
)

if __name__ == "__main__":
    for attempt in ATTEMPTS:
        try:
            won = attempt()
        except OSError:
            won = None
        print(json.dumps([attempt.__name__, won]), flush=True)
