"""``pipe``: any program that reads a prompt on its standard input and writes an answer, as ``llm`` does."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

from ploinky.base.errors import UsageError
from ploinky.providers.config import ModelConfig
from ploinky.providers.pace import Pace
from ploinky.providers.program import Program, inherited
from ploinky.providers.protocol import (
    Done,
    Message,
    ModelInfo,
    Served,
    StopReason,
    TextDelta,
    Tool,
    TurnEvent,
    TurnOptions,
)
from ploinky.providers.registry import ProviderContext, ProviderKind
from ploinky.providers.transcript import as_prompt


class PipeProvider:
    """One program; each turn runs it once."""

    def __init__(self, config: ModelConfig, context: ProviderContext) -> None:
        if config.command is None:
            raise UsageError(
                "MODEL_ENTRY_INVALID",
                f"The model {context.model_id!r} does not say which program to run.",
                hint='Set command and args, for example "command": "llm".',
            )
        self._argv = [config.command, *config.args]
        self._name = config.model or Path(config.command).name
        self._config = config
        self._context = context

    async def stream_turn(
        self, messages: Sequence[Message], tools: Sequence[Tool], options: TurnOptions
    ) -> AsyncGenerator[TurnEvent, None]:
        pace = Pace.of(self._config, options)
        with tempfile.TemporaryDirectory() as folder:
            env = inherited(self._context.environ)
            program = await Program.start(self._argv, env=env, folder=Path(folder))
            try:
                program.send(as_prompt(messages).encode(), last=True)
                between = ""
                while (line := await program.line(pace)) is not None:
                    yield TextDelta(between + line.decode("utf-8", "replace"))
                    between = "\n"
                if not await program.ended_well(pace):
                    raise await program.failure()
            finally:
                await program.end(at_once=True)
        yield Done(StopReason.END, Served(self._context.model_id, "pipe", self._name))

    async def list_models(self) -> tuple[ModelInfo, ...]:
        return (ModelInfo(self._name),)

    async def model_info(self, name: str | None = None) -> ModelInfo:
        return ModelInfo(name or self._name, context_tokens=self._config.max_context_tokens)

    async def aclose(self) -> None:
        return


KIND = ProviderKind("pipe", "any program that reads a prompt and writes an answer", PipeProvider)
