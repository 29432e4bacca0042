"""One entry of ``models`` in ``config.json``: which provider, which model, where, with which key and limits.

Checked whole; a fault names its key. A key itself is refused here: entries name where it is kept
(``apiKeyRef``). Whether the provider exists is the registry's to say. To add a field: here, and in
``docs/providers.md``.
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field, JsonValue

from ploinky.base.camel import CamelSection
from ploinky.providers.credentials import KeyReference, read_key_reference

DEFAULT_DEADLINE_S = 600.0
DEFAULT_IDLE_S = 120.0
DEFAULT_RETRY_BUDGET_S = 60.0

_Milliseconds = Annotated[int, Field(gt=0, le=24 * 3600 * 1000)]
_Tokens = Annotated[int, Field(gt=0)]
_PerMillion = Annotated[float, Field(ge=0, strict=False)]
_Texts = Annotated[tuple[str, ...], Field(strict=False)]


def _checked_url(text: str) -> str:
    """An http(s) address with a host, without user, password, query or fragment; no slash at its end."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an http:// or https:// address")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must have no user, password, query or fragment; keys go into apiKeyRef")
    return text.rstrip("/")


def _checked_reference(text: str) -> str:
    read_key_reference(text)
    return text


class _Part(CamelSection):
    model_config = ConfigDict(hide_input_in_errors=True)


class Price(_Part):
    """What a million tokens cost; ``cachedInput`` is the input's price where it is not given."""

    input: _PerMillion
    output: _PerMillion
    cached_input: _PerMillion | None = None
    currency: str = "USD"

    def cost(self, input_tokens: int, output_tokens: int, cached_input_tokens: int) -> float:
        """The price of one turn, in ``currency``; ``input_tokens`` includes the cached ones."""
        cached = self.input if self.cached_input is None else self.cached_input
        fresh = max(0, input_tokens - cached_input_tokens)
        return (fresh * self.input + cached_input_tokens * cached + output_tokens * self.output) / 1_000_000


class ModelConfig(_Part):
    """One configured model.

    ``model`` is the provider's own name of it; ``ollamaModelName`` and ``openaiModelId`` say the same and
    win for their providers. ``preset`` fills in addresses (``lm-studio``, ``openrouter``, ...). ``command``
    and ``args`` are of providers that are programs, ``fallbackModels`` ids of other entries in order.
    ``options`` are further fields of the request's body, as the provider's own documentation has them; what
    the product sets itself wins over them.
    """

    provider: Annotated[str, Field(min_length=1)]
    enabled: bool = True
    model: str | None = None
    ollama_model_name: str | None = None
    openai_model_id: str | None = None
    preset: str | None = None
    base_url: Annotated[str, AfterValidator(_checked_url)] | None = Field(default=None, alias="baseURL")
    api_key_ref: Annotated[str, AfterValidator(_checked_reference)] | None = None
    timeout_ms: _Milliseconds | None = None
    idle_timeout_ms: _Milliseconds | None = None
    retry_budget_ms: Annotated[int, Field(ge=0)] | None = None
    max_context_tokens: _Tokens | None = None
    max_output_tokens: _Tokens | None = None
    temperature: Annotated[float, Field(ge=0, le=2, strict=False)] | None = None
    supports_tools: bool | None = None
    price: Price | None = None
    command: str | None = None
    args: _Texts = ()
    auth_profiles: _Texts = ()
    fallback_models: _Texts = ()
    options: dict[str, JsonValue] = Field(default_factory=dict)

    @property
    def deadline_s(self) -> float:
        return DEFAULT_DEADLINE_S if self.timeout_ms is None else self.timeout_ms / 1000

    @property
    def idle_timeout_s(self) -> float:
        return DEFAULT_IDLE_S if self.idle_timeout_ms is None else self.idle_timeout_ms / 1000

    @property
    def retry_budget_s(self) -> float:
        return DEFAULT_RETRY_BUDGET_S if self.retry_budget_ms is None else self.retry_budget_ms / 1000

    @property
    def key_reference(self) -> KeyReference | None:
        return None if self.api_key_ref is None else read_key_reference(self.api_key_ref)


OFFLINE = ModelConfig(provider="offline")
"""The model of a fresh workspace: none."""
