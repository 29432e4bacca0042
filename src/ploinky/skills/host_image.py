"""An image that holds nothing but the names of folders: this machine's programs are mounted into it.

It is made on this machine in a moment, from nothing, so no registry is asked. Its name has the digest of its
content, so another layout of the machine's root makes another image.
"""

from __future__ import annotations

import hashlib
import io
import tarfile

from ploinky.runtimes.bubblewrap_host import HostSystem

_NAME = "localhost/ploinky-host"
_FOLDERS = (
    *("dev", "etc", "home", "opt", "opt/host", "opt/host/bin", "proc", "root", "run", "run/ploinky"),
    *("skill", "state", "sys", "tmp", "usr", "var", "workspace"),
)


def host_image(host: HostSystem) -> tuple[str, bytes]:
    """The image's name and its one layer, a tar."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in (*_FOLDERS, *(each.lstrip("/") for each in host.folders)):
            folder = tarfile.TarInfo(name)
            folder.type = tarfile.DIRTYPE
            folder.mode = 0o1777 if name == "tmp" else 0o755
            archive.addfile(folder)
        for target, link in (*host.links, ("/tmp", "/var/tmp"), ("/run", "/var/run")):  # noqa: S108 (inside)
            entry = tarfile.TarInfo(link.lstrip("/"))
            entry.type = tarfile.SYMTYPE
            entry.linkname = target
            archive.addfile(entry)
    layer = data.getvalue()
    return f"{_NAME}:{hashlib.sha256(layer).hexdigest()[:16]}", layer
