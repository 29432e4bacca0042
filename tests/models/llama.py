"""llama.cpp's server over a scripted model, in a process of its own."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.engines import absent
from tests.models.scripted_gguf import Script, write_model

ROOT = Path(__file__).parents[2]
MODEL = "scripted"
"""The name under which the server offers its model."""


@dataclass(frozen=True)
class LlamaServer:
    """A running server. ``url`` ends without ``/v1``; ``context`` is each conversation's window."""

    url: str
    context: int
    process: subprocess.Popen[str]

    @property
    def openai_url(self) -> str:
        return f"{self.url}/v1"

    def die(self) -> None:
        """End it as a crash would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)


@contextmanager
def running_llama(
    script: Script,
    *,
    context: int = 4096,
    parallel: int = 2,
    key: str | None = None,
    embeddings: bool = False,
) -> Iterator[LlamaServer]:
    """llama.cpp's server, ready, with a model that follows ``script``; ended at the end of the block.

    It starts in about a second. ``context`` is in tokens (nearly every character of a prompt is one), and
    ``parallel`` conversations are served at once. Ask with ``tool_choice`` auto: the model calls its tools by
    itself wherever tools are on offer; a grammar that forces a call does not fit its prompt, and kills it.
    With ``embeddings`` it makes vectors, and nothing else: texts of the same characters lie near each other.
    """
    try:
        importlib.import_module("xllamacpp")
    except ImportError as error:
        absent("llama.cpp", f"{error}; install libgomp1")
    folder = Path(tempfile.mkdtemp(prefix="ploinky-model-"))
    try:
        model = folder / "scripted.gguf"
        write_model(model, script, context=context)
        argv = [sys.executable, "-m", "tests.models.llama_program", str(model), str(context), str(parallel)]
        argv.append("embeddings" if embeddings else "turns")
        process = subprocess.Popen(
            [*argv, *([key] if key else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env={**os.environ, "GGML_NO_BACKTRACE": "1"},
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            assert url.startswith("http://"), "llama.cpp's server did not start"
            yield LlamaServer(url, context, process)
        finally:
            process.stdin.close()
            process.kill()
            process.wait(30)
            process.stdout.close()
    finally:
        shutil.rmtree(folder)
