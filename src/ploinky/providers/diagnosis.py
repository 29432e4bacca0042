"""``provider.test``: is this model ready, and if not, what is wrong and what to do.

Looks in the order in which things fail: the entry, the key, the server, the model, one tiny call. What is
found wrong ends the list, because all that follows would fail for the same reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass

from ploinky.base.errors import PloinkyError
from ploinky.providers.config import ModelConfig
from ploinky.providers.credentials import Keyring
from ploinky.providers.errors import ProviderCode, ProviderError, quoted
from ploinky.providers.folding import TurnFold
from ploinky.providers.protocol import Provider, TextDelta, ThinkingDelta, TurnOptions, UserMessage

QUESTION = "Answer with the single word: ready"
LONGEST_ANSWER = 64
DEADLINE_S = 120.0
RETRIES_S = 2.0
UNABLE = frozenset({ProviderCode.NOT_SUPPORTED, ProviderCode.MALFORMED})
"""Codes of a server that cannot be asked for its models, which says nothing of the model."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. ``detail`` says what was found; ``code`` and ``hint`` what is wrong."""

    what: str
    good: bool
    detail: str
    code: str | None = None
    hint: str | None = None


@dataclass(frozen=True)
class Diagnosis:
    """All findings. Times are seconds from the call: to the first piece of the answer, and to its end."""

    model_id: str
    findings: tuple[Finding, ...]
    served_by: str | None = None
    first_piece_s: float | None = None
    whole_s: float | None = None

    @property
    def good(self) -> bool:
        return all(finding.good for finding in self.findings)


async def diagnose(
    model_id: str,
    config: ModelConfig,
    make: Callable[[], Provider],
    keys: Keyring,
    *,
    timeout_s: float = DEADLINE_S,
) -> Diagnosis:
    """Look at one model, with at most one small call of it. Never raises for what is wrong with it."""
    examination = _Examination(config, keys, timeout_s)
    try:
        await examination.run(make)
    except PloinkyError as error:
        examination.note(error.message, code=error.code, hint=error.hint)
    return Diagnosis(
        model_id,
        tuple(examination.findings),
        examination.served_by,
        examination.first_piece_s,
        examination.whole_s,
    )


class _Examination:
    """Looks step by step; what a step raises is its finding."""

    def __init__(self, config: ModelConfig, keys: Keyring, timeout_s: float) -> None:
        self._config = config
        self._keys = keys
        self._timeout_s = timeout_s
        self._looking_at = "entry"
        self.findings: list[Finding] = []
        self.served_by: str | None = None
        self.first_piece_s: float | None = None
        self.whole_s: float | None = None

    def note(self, detail: str, *, code: str | None = None, hint: str | None = None) -> None:
        self.findings.append(Finding(self._looking_at, code is None, detail, code, hint))

    async def run(self, make: Callable[[], Provider]) -> None:
        provider = make()
        self.note(f"A model of {self._config.provider}.")
        reference = self._config.key_reference
        if reference is not None:
            self._looking_at = "key"
            await self._keys.fetch(reference)
            self.note(f"There is one at {reference}.")
        self._looking_at = "model"
        await self._ask(provider)
        self._looking_at = "call"
        await self._call(provider)

    async def _ask(self, provider: Provider) -> None:
        """Whether the server knows the model; one that has no list leaves it to the call."""
        try:
            info = await provider.model_info()
        except ProviderError as error:
            if error.provider_code not in UNABLE:
                raise
            self.note("The server does not list its models.")
            return
        facts = [info.name]
        if info.context_tokens is not None:
            facts.append(f"{info.context_tokens} tokens of context")
        if info.tools is not None:
            facts.append("can call tools" if info.tools else "cannot call tools")
        self.note(", ".join(facts) + ".")

    async def _call(self, provider: Provider) -> None:
        options = TurnOptions(
            max_output_tokens=LONGEST_ANSWER, deadline_s=self._timeout_s, retry_budget_s=RETRIES_S
        )
        fold = TurnFold()
        began = time.monotonic()
        async with aclosing(provider.stream_turn([UserMessage(QUESTION)], (), options)) as turn:
            async for event in turn:
                if self.first_piece_s is None and isinstance(event, (TextDelta, ThinkingDelta)):
                    self.first_piece_s = time.monotonic() - began
                fold.add(event)
        self.served_by = fold.require_done().served.model
        self.whole_s = time.monotonic() - began
        text = quoted(fold.message.text)
        self.note(
            f"{self.served_by} answered: {text}" if text else f"{self.served_by} answered with nothing."
        )
