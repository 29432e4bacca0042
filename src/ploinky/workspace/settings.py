"""Settings of the workspace: ``.ploinky/config.json``, checked whole.

Every fault names its key; a key that is not known is an error with a guess at what was meant. Parts that
belong to assistants are accepted as they are. Values are immutable; change the file, then load again.
To add a setting: a field of its section.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from ploinky.base.camel import CamelSection
from ploinky.base.errors import PloinkyError
from ploinky.base.names import closest, is_name
from ploinky.workspace.documents import CONFIG_INVALID, read_json_object
from ploinky.workspace.layout import Layout

Port = Annotated[int, Field(ge=0, le=65535)]
Positive = Annotated[float, Field(gt=0)]


class OidcSettings(CamelSection):
    """An OpenID provider that people log in by. ``issuer`` is its own identifier, an URL; ``allow`` are the
    subjects and verified e-mail addresses that come in; ``client_secret_ref``: ``env:NAME`` or
    ``workspace:NAME``."""

    issuer: str
    client_id: str
    client_secret_ref: str | None = None
    allow: tuple[str, ...] = Field(default=(), strict=False)


class IssuerSettings(CamelSection):
    """An OAuth authorization server whose access tokens are accepted.

    ``audience`` is what they must be for; None: this gateway's URL. ``agents`` (globs) are whose tools they
    reach; ``scopes`` is what one may do that names no scope of ours.
    """

    issuer: str
    audience: str | None = None
    agents: tuple[str, ...] = Field(default=("*",), strict=False)
    scopes: tuple[str, ...] = Field(default=("tools:call",), strict=False)


class AuthSettings(CamelSection):
    """How callers prove who they are. ``oidc`` belongs to the mode of that name."""

    mode: Literal["token", "password", "oidc", "none"] = "token"
    password_hash: str | None = None
    oidc: OidcSettings | None = None
    resource_server: IssuerSettings | None = None


class TlsSettings(CamelSection):
    """Paths of the certificate chain and its key, relative to the workspace."""

    certificate: str
    key: str


class GatewaySettings(CamelSection):
    """Where the gateway listens and whom it believes.

    ``bind`` is ``loopback`` or an address; ``bind_address`` wins over it. ``allow`` holds further Host
    names and origins that are accepted. ``port`` 0: a free one. ``site``: the agent whose pages are shown
    at ``/site/``; None: the one that was last named in a start.
    """

    bind: str = "loopback"
    bind_address: str | None = None
    port: Port = 8080
    allow: tuple[str, ...] = Field(default=(), strict=False)
    allow_public: bool = False
    proxy: str | None = None
    tls: TlsSettings | None = None
    auth: AuthSettings = Field(default_factory=AuthSettings.model_construct)
    max_body_bytes: Annotated[int, Field(gt=0)] = 16 * 1024 * 1024
    max_upload_bytes: Annotated[int, Field(gt=0)] = 1024 * 1024 * 1024
    site: str | None = None


class BlobSettings(CamelSection):
    """Bytes that one blob, and all together, may have."""

    each_bytes: Annotated[int, Field(gt=0)] = 256 * 1024 * 1024
    total_bytes: Annotated[int, Field(gt=0)] = 2 * 1024 * 1024 * 1024


class PolicyRule(CamelSection):
    """One row of the router's policy: which callers (globs) may or may not call which tools of whom.

    ``rate`` is calls per minute; ``approval``: a person must agree to each call.
    """

    caller: str
    agents: tuple[str, ...] = Field(default=("*",), strict=False)
    tools: tuple[str, ...] = Field(default=("*",), strict=False)
    allow: bool = True
    rate: Annotated[int, Field(gt=0)] | None = None
    approval: bool = False


class RouterSettings(CamelSection):
    """How tools of many agents are shown as one server.

    ``agent_timeouts_ms``: instead of ``call_timeout_ms`` for the agents that a glob covers, the first counts.
    """

    naming: Literal["auto", "prefix", "plain"] = "auto"
    tool_search: bool = False
    call_timeout_ms: Annotated[int, Field(gt=0)] = 600_000
    agent_timeouts_ms: dict[str, Annotated[int, Field(gt=0)]] = Field(default_factory=dict)
    list_timeout_ms: Annotated[int, Field(gt=0)] = 2_000
    policy: tuple[PolicyRule, ...] = Field(default=(), strict=False)


class McpServer(CamelSection):
    """An MCP server in the shape that clients' files have: a command to run, or a URL.

    A command runs in a sandbox of its own, from ``image`` where the runtime uses images. ``env`` and
    ``headers`` may hold ``${VAR}`` of the workspace's variables and secrets. With ``perUser`` each caller
    needs a login of its own at a URL; else the owner's serves all. Other keys are ignored.
    """

    model_config = ConfigDict(extra="ignore")

    command: str | None = None
    args: tuple[str, ...] = Field(default=(), strict=False)
    env: dict[str, str] = Field(default_factory=dict)
    url: Annotated[str, Field(pattern="^https?://")] | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    image: str | None = None
    per_user: bool = False
    disabled: bool = False

    @model_validator(mode="after")
    def _one_of(self) -> McpServer:
        if (self.command is None) == (self.url is None):
            raise PydanticCustomError("mcp_server", "give either 'command' or 'url'")
        return self


def _checked_name(name: str) -> str:
    if not is_name(name):
        raise PydanticCustomError("mcp_server", "a name has 1-64 letters, digits and ._-")
    return name


McpServerName = Annotated[str, AfterValidator(_checked_name)]


class LimitSettings(CamelSection):
    """Limits of an agent whose manifest states none; None: the platform's own. ``memory`` in bytes."""

    cpus: Positive | None = None
    memory: Annotated[int, Field(gt=0)] | None = None
    pids: Annotated[int, Field(gt=0)] | None = None


class SandboxSettings(CamelSection):
    """What runs programs that nobody trusts: skills' and assistants'.

    ``engine`` auto: bubblewrap, else Podman, else Docker. ``image`` (with Python 3): what they see in a
    container; None: the programs of this machine.
    """

    engine: Literal["auto", "bubblewrap", "podman", "docker"] = "auto"
    image: str | None = None


class StartSettings(CamelSection):
    """``parallel``: how many agents start at once; None: by the machine's cores."""

    parallel: Annotated[int, Field(gt=0)] | None = None
    hook_timeout_s: Positive = 600.0
    ready_timeout_s: Positive = 120.0


class Settings(CamelSection):
    """The whole of ``config.json``. Fields of type JSON belong to assistants and are checked by them."""

    gateway: GatewaySettings = Field(default_factory=GatewaySettings.model_construct)
    router: RouterSettings = Field(default_factory=RouterSettings.model_construct)
    blobs: BlobSettings = Field(default_factory=BlobSettings.model_construct)
    runtime: Literal["auto", "sandbox", "podman", "docker"] = "auto"
    limits: LimitSettings = Field(default_factory=LimitSettings.model_construct)
    start: StartSettings = Field(default_factory=StartSettings.model_construct)
    sandbox: SandboxSettings = Field(default_factory=SandboxSettings.model_construct)

    mcp_servers: dict[McpServerName, McpServer] = Field(default_factory=dict)
    secrets: dict[str, JsonValue] = Field(default_factory=dict)
    models: dict[str, JsonValue] = Field(default_factory=dict)
    default_model: str | None = None
    profiles: JsonValue = None
    profiles_on_error: JsonValue = None
    agent_profiles_root: JsonValue = None
    assistants: JsonValue = None
    providers: JsonValue = None
    heartbeat: JsonValue = None
    cron: JsonValue = None
    memory: JsonValue = None
    context: JsonValue = None
    budgets: JsonValue = None
    workspaces: JsonValue = None
    tools: JsonValue = None
    skills: JsonValue = None
    turn: JsonValue = None
    schema_url: str | None = Field(default=None, alias="$schema")


def load_settings(layout: Layout) -> Settings:
    """The workspace's settings; defaults if there is no file.

    Raises:
        PloinkyError: ``CONFIG_INVALID`` with line and column, or with every faulty key.
    """
    document = read_json_object(layout.config_file, code=CONFIG_INVALID)
    return check_settings(layout.config_file, document)


def check_settings(path: Path, document: dict[str, object] | None) -> Settings:
    """The settings that ``document``, the content of ``path``, means; None: there is no such file.

    Raises:
        PloinkyError: ``CONFIG_INVALID`` with every faulty key.
    """
    if not document:
        return Settings.model_construct()  # without building what validates them, which takes its time
    try:
        return Settings.model_validate(document)
    except ValidationError as error:
        raise _faults(path, error) from None


def _faults(path: Path, error: ValidationError) -> PloinkyError:
    lines, keys = [], []
    for fault in error.errors(include_url=False, include_input=False):
        key = ".".join(str(part) for part in fault["loc"])
        keys.append(key)
        said = _guess(fault["loc"]) if fault["type"] == "extra_forbidden" else fault["msg"]
        lines.append(f"  {key}: {said}")
    return PloinkyError(
        CONFIG_INVALID,
        f"{path} is not valid:\n" + "\n".join(lines),
        hint="Correct these keys and try again; the file was not changed.",
        details={"path": str(path), "keys": ", ".join(keys)},
    )


def _guess(place: tuple[int | str, ...]) -> str:
    section: type[BaseModel] | None = Settings
    for part in place[:-1]:
        field = next((f for f in section.model_fields.values() if f.alias == part), None) if section else None
        kind = field.annotation if field else None
        section = kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None
    known = [f.alias or "" for f in section.model_fields.values()] if section else []
    near = closest(str(place[-1]), known)
    return f"unknown key; did you mean '{near}'?" if near else "unknown key"
