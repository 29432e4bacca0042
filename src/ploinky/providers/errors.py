"""How a turn fails: one class, a closed set of codes, and for each code what to do next.

Callers decide by ``code`` and ``transient``, never by the text. A server's own words may be quoted, but
only through ``quoted``: short, printable, without the key that was sent. To add a code, add a row.
"""

from __future__ import annotations

from enum import StrEnum

from ploinky.base.errors import PloinkyError
from ploinky.base.redaction import Redactor

LONGEST_QUOTE = 300


class ProviderCode(StrEnum):
    """What went wrong."""

    NO_KEY = "PROVIDER_NO_KEY"
    KEY_REFUSED = "PROVIDER_KEY_REFUSED"
    MODEL_NOT_FOUND = "MODEL_NOT_FOUND"
    QUOTA = "PROVIDER_QUOTA"
    RATE_LIMITED = "PROVIDER_RATE_LIMITED"
    OVERLOADED = "PROVIDER_OVERLOADED"
    UNREACHABLE = "PROVIDER_UNREACHABLE"
    TIMEOUT = "PROVIDER_TIMEOUT"
    IDLE = "PROVIDER_IDLE"
    CONTEXT_OVERFLOW = "CONTEXT_OVERFLOW"
    STREAM_CUT = "PROVIDER_STREAM_CUT"
    MALFORMED = "PROVIDER_MALFORMED"
    TOO_LARGE = "PROVIDER_ANSWER_TOO_LARGE"
    REFUSED = "PROVIDER_REFUSED"
    NO_TOOLS = "MODEL_WITHOUT_TOOLS"
    NOT_INSTALLED = "PROVIDER_NOT_INSTALLED"
    PROGRAM_FAILED = "PROVIDER_PROGRAM_FAILED"
    CLOSED = "PROVIDER_CLOSED"
    NOT_SUPPORTED = "PROVIDER_NOT_SUPPORTED"


TRANSIENT = frozenset({ProviderCode.RATE_LIMITED, ProviderCode.OVERLOADED, ProviderCode.STREAM_CUT})

HINTS: dict[ProviderCode, str] = {
    ProviderCode.NO_KEY: "Store the key that apiKeyRef names, or correct apiKeyRef in the model's entry.",
    ProviderCode.KEY_REFUSED: "Check that the key is of this provider, still valid, and allowed this model.",
    ProviderCode.MODEL_NOT_FOUND: "List what the provider offers and correct the model's name.",
    ProviderCode.QUOTA: "The account behind the key has no credit left; add some, or choose another model.",
    ProviderCode.RATE_LIMITED: "Wait and try again, or choose another model.",
    ProviderCode.OVERLOADED: "Try again later, or choose another model.",
    ProviderCode.UNREACHABLE: "Check baseURL and that the server runs.",
    ProviderCode.TIMEOUT: "Raise timeoutMs of the model if its answers need longer.",
    ProviderCode.IDLE: "Raise idleTimeoutMs of the model if it may be silent for longer.",
    ProviderCode.CONTEXT_OVERFLOW: "Set maxContextTokens of the model, or send less.",
    ProviderCode.STREAM_CUT: "Try again; look into the server's log if it happens often.",
    ProviderCode.MALFORMED: "Check that baseURL belongs to the provider that the model's entry names.",
    ProviderCode.TOO_LARGE: "Ask for less, or set maxOutputTokens of the model.",
    ProviderCode.REFUSED: "Read the server's words above; the request is wrong for this model.",
    ProviderCode.NO_TOOLS: "Choose a model that can call tools, or take the assistant's tools away.",
    ProviderCode.NOT_INSTALLED: "Install the program, or set command in the model's entry.",
    ProviderCode.PROGRAM_FAILED: "Run the program by hand once; it may ask you to sign in.",
    ProviderCode.CLOSED: "Start the turn again.",
    ProviderCode.NOT_SUPPORTED: "Choose another provider for this.",
}


class ProviderError(PloinkyError):
    """A turn, or a question to a provider, failed.

    ``retry_after_s`` is how long the server asked to wait, if it did.
    """

    def __init__(
        self,
        code: ProviderCode,
        message: str,
        *,
        hint: str | None = None,
        retry_after_s: float | None = None,
        model: str | None = None,
    ) -> None:
        super().__init__(
            code, message, hint=hint or HINTS[code], details={} if model is None else {"model": model}
        )
        self.provider_code = code
        self.retry_after_s = retry_after_s

    @property
    def transient(self) -> bool:
        """Whether the same request may succeed a little later."""
        return self.provider_code in TRANSIENT


def quoted(text: str, *secrets: str) -> str:
    """A server's words as they may be shown: one printable line, bounded, without ``secrets``."""
    scrubbed = Redactor(secrets).scrub(text)
    line = " ".join("".join(c if c.isprintable() else " " for c in scrubbed).split())
    return line if len(line) <= LONGEST_QUOTE else line[: LONGEST_QUOTE - 3] + "..."
