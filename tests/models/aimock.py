"""npm's aimock: a scripted server that speaks the wires of OpenAI, Anthropic and Ollama."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PEERS = HERE.parent / "peers"


@dataclass(frozen=True)
class AimockServer:
    """A running server; ``url`` ends without ``/v1``."""

    url: str

    @property
    def openai_url(self) -> str:
        return f"{self.url}/v1"

    def asked(self, path: str = "") -> list[dict[str, Any]]:
        """The requests it got, oldest first: ``path``, ``headers``, ``body``, ``response``."""
        with urllib.request.urlopen(f"{self.url}/__aimock/journal?limit=1000", timeout=30) as answer:
            entries: list[dict[str, Any]] = json.load(answer)
        return [entry for entry in entries if path in entry["path"]]


@contextmanager
def running_aimock(
    fixtures: Sequence[Mapping[str, object]],
    *,
    shown: Mapping[str, object] | None = None,
    pulls: Mapping[str, object] | None = None,
) -> Iterator[AimockServer]:
    """The server, ready; ``fixtures`` as its documentation has them, ``shown`` and ``pulls`` for Ollama."""
    node = shutil.which("node")
    assert node is not None, "node is missing"
    folder = Path(tempfile.mkdtemp(prefix="ploinky-aimock-"))
    try:
        script = folder / "script.json"
        script.write_text(json.dumps({"fixtures": fixtures, "shown": shown or {}, "pulls": pulls or {}}))
        shutil.copy(HERE / "aimock.mjs", folder)
        (folder / "node_modules").symlink_to(PEERS / "node_modules")
        process = subprocess.Popen(
            [node, "--preserve-symlinks", "aimock.mjs", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env={"PATH": os.environ["PATH"]},
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            assert url.startswith("http://"), "aimock did not start"
            yield AimockServer(url)
        finally:
            process.stdin.close()
            process.kill()
            process.wait(30)
            process.stdout.close()
    finally:
        shutil.rmtree(folder)
