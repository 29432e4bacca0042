"""What of this host a bubblewrap sandbox sees besides its mounts, found once per start.

``/usr`` is seen read-only; ``/etc`` is made up: a few files written for the sandbox, and those of the
host's that hold no secret. Interpreters that lie outside ``/usr`` are seen at their own place when that
shows nothing else of a home folder. To show one more file of ``/etc``: a row in ``_ETC_SEEN``.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HOST_TOOLS = "/opt/host/bin"
"""Folder inside the sandbox with links to interpreters that lie outside ``/usr`` on the host."""

_ETC_SEEN = (
    "alternatives",
    "ca-certificates",
    "crypto-policies",
    "fonts",
    "gai.conf",
    "host.conf",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "magic",
    "mime.types",
    "os-release",
    "pki/ca-trust/extracted",
    "pki/tls/cert.pem",
    "pki/tls/certs",
    "pki/tls/openssl.cnf",
    "protocols",
    "services",
    "ssl/cert.pem",
    "ssl/certs",
    "ssl/openssl.cnf",
    "terminfo",
    "timezone",
)
_ETC_SEEN_PATTERNS = ("java-*-openjdk", "python3*", "perl", "php", "node")
_ROOT_NAMES = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_INTERPRETERS: dict[str, tuple[tuple[str, str], ...]] = {
    # name: commands that come with it, at their place in its installation
    "python3": (),
    "node": (
        ("npm", "lib/node_modules/npm/bin/npm-cli.js"),
        ("npx", "lib/node_modules/npm/bin/npx-cli.js"),
    ),
}
# programs of one file, shown alone wherever they lie
_SINGLE_FILES = ("uv",)

# Files of /proc that ask for the user, not for a capability: a sandbox started by root runs as the
# host's uid 0 and could change the kernel's settings through them.
_PROC_READ_ONLY = ("acpi", "bus", "fs", "irq", "mtrr", "scsi", "sys", "sysrq-trigger")
_PROC_HIDDEN = ("kcore", "keys", "key-users", "kmsg", "latency_stats", "sched_debug", "timer_list")


@dataclass(frozen=True)
class HostTool:
    """A program outside ``/usr``: ``prefix`` is the folder of its installation, None if it is one file;
    ``companions`` are the names and files of commands that come with it."""

    name: str
    executable: Path
    prefix: Path | None
    companions: tuple[tuple[str, Path], ...] = ()

    @property
    def commands(self) -> tuple[tuple[str, Path], ...]:
        """Every name that it is called by inside, with its file."""
        return ((self.name, self.executable), *self.companions)


@dataclass(frozen=True)
class HostSystem:
    """The parts of the host that are seen inside, all read-only.

    ``links`` are (target, link) of the root folder, ``folders`` real folders beside ``/usr`` (a host that
    is not merged), ``etc`` names below ``/etc``.
    """

    links: tuple[tuple[str, str], ...]
    folders: tuple[str, ...]
    etc: tuple[str, ...]
    proc_read_only: tuple[str, ...]
    proc_hidden: tuple[str, ...]
    tools: tuple[HostTool, ...] = ()


def find_host_system(environ: Mapping[str, str], root: Path = Path("/")) -> HostSystem:
    """Look at the host; ``root`` is another folder in tests."""
    links = []
    folders = []
    for name in _ROOT_NAMES:
        path = root / name
        if path.is_symlink():
            links.append((str(path.readlink()), f"/{name}"))
        elif path.is_dir():
            folders.append(f"/{name}")
    etc = root / "etc"
    seen = [name for name in _ETC_SEEN if (etc / name).exists()]
    seen += [each.name for pattern in _ETC_SEEN_PATTERNS for each in sorted(etc.glob(pattern))]
    return HostSystem(
        links=tuple(links),
        folders=tuple(folders),
        etc=tuple(seen),
        proc_read_only=_present(root, _PROC_READ_ONLY),
        proc_hidden=_present(root, _PROC_HIDDEN),
        tools=find_tools(environ, root),
    )


def find_tools(environ: Mapping[str, str], root: Path = Path("/")) -> tuple[HostTool, ...]:
    """Programs on ``PATH`` that ``/usr`` does not have and that may be shown."""
    found = []
    for name in _SINGLE_FILES:
        executable = _outside_usr(name, environ, root)
        if executable is not None:
            found.append(HostTool(name, executable, None))
    for name, companions in _INTERPRETERS.items():
        executable = _outside_usr(name, environ, root)
        if executable is None:
            continue
        prefix = executable.parent.parent
        if executable.parent.name == "bin" and _may_show(prefix, environ):
            files = [(each, prefix / place) for each, place in companions]
            there = tuple((each, file) for each, file in files if file.is_file())
            found.append(HostTool(name, executable, prefix, there))
    return tuple(found)


def _outside_usr(name: str, environ: Mapping[str, str], root: Path) -> Path | None:
    """The file that ``name`` means on ``PATH``, unless ``/usr`` has one of that name."""
    own = ":".join(str(root / each) for each in ("usr/local/bin", "usr/bin"))
    command = shutil.which(name, path=environ.get("PATH", ""))
    if command is None or shutil.which(name, path=own) is not None:
        return None
    return Path(command).resolve()


def made_up_etc(hostname: str, *, uid: int, gid: int, resolv_conf: str, hosts: str) -> dict[str, str]:
    """The files of ``/etc`` that are written for a sandbox, by name."""
    return {
        "passwd": (
            "root:x:0:0:root:/root:/usr/sbin/nologin\n"
            f"agent:x:{uid}:{gid}:agent:/home/agent:/bin/sh\n"
            "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
        ),
        "group": f"root:x:0:\nagent:x:{gid}:\nnogroup:x:65534:\n",
        "hostname": f"{hostname}\n",
        "hosts": f"127.0.0.1 localhost {hostname}\n::1 localhost ip6-localhost ip6-loopback\n{hosts}",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n",
        "resolv.conf": resolv_conf,
    }


def host_names() -> tuple[str, str]:
    """The host's ``resolv.conf`` and the lines of ``hosts`` that do not speak of the loopback."""
    lines = _text(Path("/etc/hosts")).splitlines()
    others = [line for line in lines if line.strip() and not line.startswith(("127.", "::1", "#"))]
    return _text(Path("/etc/resolv.conf")), "".join(f"{line}\n" for line in others)


def _may_show(prefix: Path, environ: Mapping[str, str]) -> bool:
    """Whether a folder is an installation of its own, not a home folder or something above one."""
    home = Path(environ.get("HOME", "/root")).resolve()
    shared = {Path("/"), Path("/home"), Path("/root"), Path("/opt"), Path("/usr"), home}
    if prefix in shared or prefix in home.parents:
        return False
    return prefix.parent != Path("/home") and prefix != home / ".local"


def _present(root: Path, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if (root / "proc" / name).exists())


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
