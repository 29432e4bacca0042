"""The first program of a skill's sandbox: sets limits, brings the proxy to the loopback, runs the command.

It is run by the sandbox's own Python with the standard library only, as a file of its own; it imports nothing
of ploinky. As the first process of its own process namespace it ends everything when it ends, and nothing
inside can end, trace or read it. Arguments: memory bytes, processes (0: not bounded here), file bytes, the
proxy's socket or "-", the leash or "-", "--", the command.

A leash is a socket to whoever started the sandbox: the environment, the standard streams and the longest
time come through it, the exit code goes back, and when the other side is gone, all ends.
"""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

CHUNK = 64 * 1024
MOST_WORDS = 4 * 1024 * 1024
NOT_FOUND = 127
TOO_LONG = 124
FILTER = "filter"
FILTER_ROW = 8
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2


def main() -> int:
    memory, processes, size, proxy, leash = sys.argv[1:6]
    command = sys.argv[7:]
    hide()
    if leash != "-":
        confine(Path(__file__).with_name(FILTER))
    held = None if leash == "-" else Leash(leash)
    environ = dict(os.environ) if held is None else held.environ
    if proxy != "-":
        address = f"http://127.0.0.1:{serve(proxy)}"
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            environ[name] = environ[name.upper()] = address
        environ.update(npm_config_proxy=address, npm_config_https_proxy=address, NO_PROXY="", no_proxy="")
    for limit, value in (
        (resource.RLIMIT_DATA, int(memory)),
        (resource.RLIMIT_FSIZE, int(size)),
        (resource.RLIMIT_NPROC, int(processes)),
        (resource.RLIMIT_NOFILE, 4096),
        (resource.RLIMIT_CORE, 1),  # the one limit that also holds for a core piped to a program
    ):
        _, most = resource.getrlimit(limit)
        if value:
            allowed = value if most == resource.RLIM_INFINITY else min(value, most)
            resource.setrlimit(limit, (allowed, allowed))
    code = run(command, environ) if held is None else run(command, environ, held.cwd, held.streams)
    if held is not None:
        held.tell(code)
    return code


def hide() -> None:
    """Let no other process of this user trace this one or write its memory."""
    try:
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    except (ImportError, OSError, AttributeError):
        return


def confine(path: Path) -> None:
    """Refuse the system calls that the filter at ``path`` names, beside those that an engine refuses."""
    try:
        import ctypes

        program = path.read_bytes()
    except (ImportError, OSError):
        return  # an image with another Python, or a machine whose numbers are not known

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("rows", ctypes.c_char_p)]

    told = Program(len(program) // FILTER_ROW, program)
    if ctypes.CDLL(None).prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(told), 0, 0) != 0:
        os.write(2, b"the filter of system calls was refused\n")
        os._exit(1)


def run(
    command: list[str], environ: dict[str, str], cwd: str = ".", streams: tuple[int, int, int] = (0, 1, 2)
) -> int:
    """Run the command to its end; processes that lost their parents are collected meanwhile."""
    stdin, stdout, stderr = streams
    try:
        child = subprocess.Popen(command, env=environ, cwd=cwd, stdin=stdin, stdout=stdout, stderr=stderr)
    except OSError as error:
        os.write(stderr, f"{command[0]}: {error.strerror}\n".encode())
        return NOT_FOUND
    for each in streams:
        os.close(each)
    while True:
        try:
            pid, status = os.waitpid(-1, 0)
        except InterruptedError:
            continue
        except ChildProcessError:
            return TOO_LONG
        if pid == child.pid:
            code = os.waitstatus_to_exitcode(status)
            child.returncode = code
            return code if code >= 0 else 128 - code


class Leash:
    """The line to whoever started the sandbox."""

    def __init__(self, path: str) -> None:
        self._line = socket.socket(socket.AF_UNIX)
        self._line.connect(path)
        data, descriptors, _, _ = socket.recv_fds(self._line, CHUNK, 3)
        while not data.endswith(b"\n") and len(data) < MOST_WORDS:
            more = self._line.recv(CHUNK)
            if not more:
                os._exit(1)
            data += more
        told = json.loads(data)
        self.streams = (descriptors[0], descriptors[1], descriptors[2])
        self.environ = told["env"]
        self.cwd = told["cwd"]
        signal.signal(signal.SIGALRM, lambda *_: os._exit(TOO_LONG))
        signal.setitimer(signal.ITIMER_REAL, told["timeout"])
        threading.Thread(target=self._watch, daemon=True).start()

    def tell(self, code: int) -> None:
        try:
            self._line.sendall(b"%d\n" % code)
        except OSError:
            return

    def _watch(self) -> None:
        try:
            while self._line.recv(CHUNK):
                pass
        except OSError:
            pass
        os._exit(1)


def serve(path: str) -> int:
    """Listen on the loopback; every connection is one to the proxy's socket."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    threading.Thread(target=accept, args=(listener, path), daemon=True).start()
    return int(listener.getsockname()[1])


def accept(listener: socket.socket, path: str) -> None:
    while True:
        near, _ = listener.accept()
        far = socket.socket(socket.AF_UNIX)
        try:
            far.connect(path)
        except OSError:
            near.close()
            continue
        for source, target in ((near, far), (far, near)):
            threading.Thread(target=pump, args=(source, target), daemon=True).start()


def pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(CHUNK):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        source.close()
        target.close()


if __name__ == "__main__":
    os._exit(main())
