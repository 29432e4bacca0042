"""The providers under the contract, each with a server or a program to speak to.

To add one: a function that gives a ``Stage``, and a row in ``SUBJECTS``.
"""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ploinky.base.jsontypes import JsonValue
from ploinky.providers.config import ModelConfig
from ploinky.providers.credentials import Keyring
from ploinky.providers.models import Models
from ploinky.providers.protocol import Provider
from ploinky.providers.registry import ProviderContext, ProviderRegistry
from tests.models.aimock import running_aimock
from tests.models.llama import MODEL, running_llama
from tests.models.scripted_gguf import Script

ROOT = Path(__file__).parents[2]
GREETING = "Good morning 🐢, said the sea."
ANSWER = 'The map is in a.md; "quoted", and\n  indented.'
WINDOW = 65536  # so that an answer without end lasts
CALL = ("files.find_files", {"pattern": "*.md"})
KEY = "sk-planted-fedcba9876543210"
ENVIRON = {"PATH": "/usr/bin:/bin", "MODEL_KEY": KEY, "OTHER_SECRET": "planted-other-secret", "HOME": "/tmp"}


@dataclass(frozen=True)
class Stage:
    """A running stage: how to make the provider, and what it is expected to say.

    ``greeting`` answers "hello". ``answer`` follows a tool's result, None for a provider whose model cannot
    call our tools. ``endless``: "forever" gets an answer without end. ``models`` is what it lists.
    """

    entry: Mapping[str, JsonValue]
    greeting: str
    answer: str | None
    models: tuple[str, ...]
    endless: bool = True
    tells_usage: bool = True
    closes: bool = True
    unknown: bool = True
    others: Mapping[str, Mapping[str, JsonValue]] = field(default_factory=dict)

    def make(self) -> tuple[Provider, Models]:
        entries = {"tested": self.entry, **self.others}
        configs = {name: ModelConfig.model_validate(entry) for name, entry in entries.items()}
        context = ProviderContext("", Keyring(None, ENVIRON, "main"), ENVIRON)
        models = Models(configs, ProviderRegistry.installed(), context)
        return models.provider("tested"), models


_SCRIPT = Script(calls=[("files__find_files", CALL[1])], answer=ANSWER, greeting=GREETING)
_ENDLESS = "tick tock " * 4000
_FIXTURES: list[dict[str, object]] = [
    {"match": {"userMessage": "forever"}, "response": {"content": _ENDLESS}, "latency": 20},
    {"match": {"hasToolResult": True}, "response": {"content": ANSWER, "usage": {"prompt_tokens": 50}}},
    {
        "match": {"toolName": "files__find_files"},
        "response": {"toolCalls": [{"name": "files__find_files", "arguments": CALL[1]}]},
    },
    {"match": {"userMessage": "hello"}, "response": {"content": GREETING}},
]
_SHOWN = {
    "capabilities": ["completion", "tools"],
    "details": {"family": "granite", "parameter_size": "8.2B", "quantization_level": "Q4_K_M"},
    "model_info": {"general.architecture": "granite", "granite.context_length": 131072},
}
AIMOCK_MODELS = ("gpt-4", "gpt-4o")


@contextmanager
def _openai_llama() -> Iterator[Stage]:
    with running_llama(_SCRIPT, context=WINDOW, key=KEY) as server:
        entry: dict[str, JsonValue] = {
            "provider": "openai-compatible",
            "baseURL": server.openai_url,
            "openaiModelId": MODEL,
            "apiKeyRef": "env:MODEL_KEY",
        }
        yield Stage(entry, GREETING, ANSWER, (MODEL,))


@contextmanager
def _anthropic_llama() -> Iterator[Stage]:
    with running_llama(_SCRIPT, context=WINDOW, key=KEY) as server:
        entry: dict[str, JsonValue] = {
            "provider": "anthropic",
            "baseURL": server.url,
            "model": MODEL,
            "apiKeyRef": "env:MODEL_KEY",
        }
        yield Stage(entry, GREETING, ANSWER, (MODEL,))


@contextmanager
def _openai_aimock() -> Iterator[Stage]:
    with running_aimock(_FIXTURES) as server:
        entry: dict[str, JsonValue] = {
            "provider": "openai-compatible",
            "baseURL": server.openai_url,
            "openaiModelId": "gpt-4o",
        }
        yield Stage(entry, GREETING, ANSWER, AIMOCK_MODELS)


@contextmanager
def _anthropic_aimock() -> Iterator[Stage]:
    with running_aimock(_FIXTURES) as server:
        entry: dict[str, JsonValue] = {"provider": "anthropic", "baseURL": server.url, "model": "gpt-4o"}
        yield Stage(entry, GREETING, ANSWER, AIMOCK_MODELS)


@contextmanager
def _ollama_aimock() -> Iterator[Stage]:
    with running_aimock(_FIXTURES, shown={"granite3.2": _SHOWN}) as server:
        entry: dict[str, JsonValue] = {
            "provider": "ollama",
            "baseURL": server.url,
            "ollamaModelName": "granite3.2",
        }
        yield Stage(entry, GREETING, ANSWER, AIMOCK_MODELS)


def program(module: str, *args: str) -> dict[str, JsonValue]:
    # the program inherits no PYTHONPATH, so it is run by its path
    return {"command": sys.executable, "args": [str(ROOT / "tests" / "models" / f"{module}.py"), *args]}


@contextmanager
def _cursor_prints() -> Iterator[Stage]:
    entry = {"provider": "cursor-agent-cli", **program("cursor_program", "-p"), "apiKeyRef": "env:MODEL_KEY"}
    yield Stage(entry, "Good morning.", None, ("auto",), closes=False, unknown=False)


@contextmanager
def _cursor_turns() -> Iterator[Stage]:
    entry = {"provider": "cursor-agent-cli", **program("cursor_program")}
    yield Stage(entry, "All done.", "All done.", ("auto",), tells_usage=False, closes=False, unknown=False)


@contextmanager
def _acp() -> Iterator[Stage]:
    entry = {"provider": "acp", **program("acp_agent"), "model": "scripted-agent"}
    yield Stage(entry, "Good morning.", None, ("scripted-agent",), closes=False, unknown=False)


@contextmanager
def _fallback() -> Iterator[Stage]:
    with running_llama(_SCRIPT, context=WINDOW) as server:
        good: dict[str, JsonValue] = {
            "provider": "openai-compatible",
            "baseURL": server.openai_url,
            "openaiModelId": MODEL,
        }
        away: dict[str, JsonValue] = {**good, "baseURL": "http://127.0.0.1:9/v1"}
        entry: dict[str, JsonValue] = {"provider": "fallback", "fallbackModels": ["away", "good"]}
        others = {"away": away, "good": good}
        yield Stage(entry, GREETING, ANSWER, (), closes=False, unknown=False, others=others)


PIPE = ROOT / "examples" / "plugins" / "ploinky-pipe"


@contextmanager
def _plug_in() -> Iterator[Stage]:
    """The example plug-in, installed as a user would, but into a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="ploinky-plugin-") as folder:
        source = Path(folder) / "source"
        shutil.copytree(PIPE, source)  # building writes beside it
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
        options = ["--no-deps", "--no-build-isolation", "--target", f"{folder}/site"]
        subprocess.run([*pip, *options, str(source)], check=True)
        sys.path.insert(0, f"{folder}/site")
        importlib.invalidate_caches()
        try:
            answer = (
                "import sys; text = sys.stdin.read()\n"
                "while True:\n"
                "    print('Good', flush=True); print('morning.', flush=True)\n"
                "    'forever' in text or exit()"
            )
            entry: dict[str, JsonValue] = {
                "provider": "pipe",
                "command": sys.executable,
                "args": ["-c", answer],
                "model": "python",
            }
            yield Stage(
                entry, "Good\nmorning.", None, ("python",), tells_usage=False, closes=False, unknown=False
            )
        finally:
            sys.path.remove(f"{folder}/site")
            sys.modules.pop("ploinky_pipe", None)


SUBJECTS: dict[str, Callable[[], AbstractContextManager[Stage]]] = {
    "openai-llama": _openai_llama,
    "openai-aimock": _openai_aimock,
    "anthropic-llama": _anthropic_llama,
    "anthropic-aimock": _anthropic_aimock,
    "ollama-aimock": _ollama_aimock,
    "cursor-print": _cursor_prints,
    "cursor-turn": _cursor_turns,
    "acp": _acp,
    "fallback": _fallback,
    "plug-in": _plug_in,
}
