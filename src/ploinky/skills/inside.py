"""The first program of a skill's sandbox: sets limits, brings the proxy to the loopback, runs the command.

It is run by the sandbox's own Python with the standard library only, as a file of its own; it imports nothing
of ploinky. Arguments: memory bytes, processes, file bytes, the proxy's socket or "-", "--", the command.
"""

import os
import resource
import socket
import subprocess
import sys
import threading

CHUNK = 64 * 1024


def main() -> int:
    memory, processes, size, proxy = sys.argv[1:5]
    command = sys.argv[6:]
    environ = dict(os.environ)
    if proxy != "-":
        address = f"http://127.0.0.1:{serve(proxy)}"
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            environ[name] = environ[name.upper()] = address
        environ.update(npm_config_proxy=address, npm_config_https_proxy=address, NO_PROXY="", no_proxy="")
    for limit, value in (
        (resource.RLIMIT_DATA, int(memory)),
        (resource.RLIMIT_FSIZE, int(size)),
        (resource.RLIMIT_NPROC, int(processes)),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 4096),
    ):
        _, most = resource.getrlimit(limit)
        allowed = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(limit, (allowed, allowed))
    try:
        done = subprocess.run(command, env=environ, check=False)
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        return 127
    return done.returncode if done.returncode >= 0 else 128 - done.returncode


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
    raise SystemExit(main())
