"""The parts of a manifest as pydantic types: single texts with their checks, and the small objects.

A part that may be written in several forms is a union told apart by its JSON kind (``one_of``), so that a
fault names the place and not the form. What spans several fields is checked in ``checks``. Adding a field:
a line here or in ``model``, and its use in ``layers``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from ploinky.base.errors import PloinkyError, UsageError
from ploinky.base.names import is_env_name, is_name, require_name
from ploinky.manifest.env import is_pattern
from ploinky.manifest.ports import parse_port
from ploinky.manifest.refs import parse_agent_ref
from ploinky.manifest.texts import (
    parse_capability,
    parse_memory,
    require_image,
    require_inside,
    require_step,
    require_user,
    require_volume_host,
)

T = TypeVar("T")
TAG = "\0"  # begins every tag, so that no key of a manifest is taken for one
_KINDS: dict[type, str] = {
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
    type(None): "null",
}


def kind_of(value: object) -> str:
    """The JSON kind of a value, as a tag."""
    return TAG + _KINDS.get(type(value), "object")


ONE_OF = Discriminator(kind_of)
String = Tag(TAG + "string")
Number = Tag(TAG + "number")
Boolean = Tag(TAG + "boolean")
Array = Tag(TAG + "array")
Object = Tag(TAG + "object")
Null = Tag(TAG + "null")


def checked(parse: Callable[[Any], object]) -> AfterValidator:
    """Keep a value if ``parse`` accepts it; its error becomes the fault's message and hint."""

    def check(value: T) -> T:
        try:
            parse(value)
        except PloinkyError as error:
            raise PydanticCustomError(
                "manifest", "{message}", {"message": error.message, "hint": error.hint or ""}
            ) from None
        return value

    return AfterValidator(check)


def _test(accepts: Callable[[str], bool], message: str, hint: str) -> AfterValidator:
    def parse(text: str) -> None:
        if not accepts(text):
            raise UsageError("BAD_TEXT", message, hint=hint)

    return checked(parse)


_NO_VARIABLE = "this is not the name of a variable."
_NAMES = "Use letters, digits and '_', not starting with a digit."
NonEmpty = Annotated[str, Field(min_length=1)]
Name = Annotated[str, checked(lambda text: require_name(text, what="this"))]
EnvName = Annotated[str, _test(is_env_name, _NO_VARIABLE, _NAMES)]
EnvKey = Annotated[
    str,
    _test(lambda text: is_env_name(text) or is_pattern(text), _NO_VARIABLE, _NAMES),
]
ProfileName = Annotated[
    str,
    Field(pattern=r"^[a-z][a-z0-9_-]*$"),
]
Image = Annotated[str, checked(lambda text: text and require_image(text)), Field(examples=["node:20-alpine"])]
HookStep = Annotated[str, checked(require_step)]
InsidePath = Annotated[str, checked(require_inside), Field(examples=["scripts/ready.sh"])]
Ref = Annotated[
    str,
    checked(parse_agent_ref),
    Field(examples=["postgres", "basic/redis global", "tools as t no-wait"]),
]
User = Annotated[str, checked(require_user)]
Capability = Annotated[str, checked(parse_capability)]
VolumeHost = Annotated[str, checked(require_volume_host)]
Workdir = Annotated[
    str,
    _test(lambda text: text == "" or text[0] in "/$", "this is not an absolute path.", "Write /code."),
]
Alias = Annotated[str, _test(is_name, "this is not a name in the network.", "Use letters, digits and '-'.")]
TcpPort = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=100000)]
MountMode = Literal["rw", "ro"]
Scalar = Annotated[
    Annotated[str, String] | Annotated[int | float, Number] | Annotated[bool, Boolean],
    ONE_OF,
]
Flag = Annotated[Annotated[bool, Boolean] | Annotated[Literal["true", "false"], String], ONE_OF]


class Part(BaseModel):
    """An object of the manifest; fields that it does not know are kept and warned about."""

    model_config = ConfigDict(
        strict=True, frozen=True, extra="allow", validate_by_alias=True, defer_build=True
    )


class EnvValue(Part):
    """A variable in detail; ``value`` is another word for ``default``."""

    var_name: EnvName | None = Field(None, alias="varName", description="Variable it is taken from.")
    required: Flag | None = Field(None, description="Stop a start if no source has it.")
    default: Scalar | None = Field(None, description="Taken when no source has it.")
    value: Scalar | None = Field(None, description="The same as default.")


class EnvItem(EnvValue):
    """A variable of a list in detail."""

    name: EnvKey = Field(description="Variable inside the agent, or a wildcard.")


EnvText = Annotated[str, Field(examples=["NAME", "NAME=value", "PREFIX_*"])]
EnvList = list[Annotated[Annotated[EnvText, String] | Annotated[EnvItem, Object], ONE_OF]]
EnvMap = dict[
    EnvKey,
    Annotated[
        Annotated[str, String]
        | Annotated[int | float, Number]
        | Annotated[bool, Boolean]
        | Annotated[EnvValue, Object]
        | Annotated[None, Null],
        ONE_OF,
    ],
]
Env = Annotated[Annotated[EnvList, Array] | Annotated[EnvMap, Object], ONE_OF]

Port = Annotated[
    Annotated[int, Number] | Annotated[str, String],
    ONE_OF,
    checked(parse_port),
    Field(examples=[7000, "8000:8000", "127.0.0.1:8000:8000", "[::1]:53:53/udp", "9000-9003:9000-9003"]),
]
Ports = Annotated[
    Annotated[Annotated[int, checked(parse_port)], Number]
    | Annotated[Annotated[str, checked(parse_port)], String]
    | Annotated[list[Port], Array],
    ONE_OF,
]
Strings = Annotated[Annotated[NonEmpty, String] | Annotated[list[NonEmpty], Array], ONE_OF]


CommandLine = Annotated[Annotated[str, String] | Annotated[list[str], Array], ONE_OF]


class WhenPart(Part):
    """Conditions of a hook; all must hold."""

    env: (
        Annotated[
            Annotated[Annotated[str, Field(pattern="^[A-Za-z_][A-Za-z0-9_]*=")], String]
            | Annotated[dict[EnvName, Scalar], Object],
            ONE_OF,
        ]
        | None
    ) = Field(None, description="Variables that must equal these values.")
    exists: Strings | None = Field(None, description="Files that must exist, relative to the agent's folder.")


Steps = Annotated[Annotated[HookStep, String] | Annotated[list[HookStep], Array], ONE_OF]


class HookPart(Part):
    """A hook with conditions."""

    run: Steps = Field(description="A command, or steps in order.")
    when: WhenPart | None = None


HookField = Annotated[
    Annotated[HookStep, String] | Annotated[list[HookStep], Array] | Annotated[HookPart, Object], ONE_OF
]


class ProbePart(Part):
    """A health probe: exactly one of script, http, tcp."""

    script: InsidePath | None = Field(None, description="Script in the agent's folder; exit 0 is well.")
    http: Annotated[str, Field(pattern="^/")] | None = Field(None, description="Path; 2xx or 3xx is well.")
    tcp: TcpPort | None = Field(None, description="Port that must accept a connection.")
    port: TcpPort | None = Field(None, description="Port asked by http; the agent's own if absent.")
    interval: Seconds | None = Field(None, description="Seconds between two checks (5).")
    timeout: Seconds | None = Field(None, description="Seconds a check may take (5).")
    retries: Count | None = Field(None, description="Failures in a row that count as unwell (5).")
    failure_threshold: Count | None = Field(None, alias="failureThreshold", description="retries.")
    success_threshold: Count | None = Field(None, alias="successThreshold", description="Needed (1).")
    start_period: Annotated[float, Field(ge=0, le=86400)] | None = Field(
        None, alias="startPeriod", description="Seconds after the start in which failures do not count (0)."
    )


class ReadinessPart(ProbePart):
    """A readiness probe, or the protocol to ask by."""

    protocol: Literal["tcp", "mcp", "none"] | None = Field(None, description="How to ask without a probe.")


class HealthPart(Part):
    """How the platform asks an agent whether it lives and whether it is ready."""

    liveness: ProbePart | None = None
    readiness: ReadinessPart | None = None


class MountsPart(Part):
    """Whether the agent may write its code and skills."""

    code: MountMode | None = None
    skills: MountMode | None = None


NetworkModeText = Literal["workspace", "bridge", "none", "host"]


class NetworkPart(Part):
    """The agent's network."""

    mode: NetworkModeText | None = Field(None, description="'bridge' is another word for 'workspace'.")
    name: Alias | None = Field(
        None, description="A network: agents that give the same name reach each other."
    )
    aliases: list[Alias] | None = Field(None, description="Further names.")


NetworkField = Annotated[Annotated[NetworkModeText, String] | Annotated[NetworkPart, Object], ONE_OF]


class ResourcesPart(Part):
    """Limits."""

    cpus: Annotated[float, Field(gt=0, le=4096, allow_inf_nan=False)] | None = None
    memory: (
        Annotated[
            Annotated[Annotated[int, checked(parse_memory)], Number]
            | Annotated[Annotated[str, checked(parse_memory)], String],
            ONE_OF,
        ]
        | None
    ) = Field(None, description="'512m', '2g', or bytes.")
    pids: Annotated[int, Field(ge=1, le=4194304)] | None = None


class SecurityPart(Part):
    """What the agent may do beyond an ordinary unprivileged process."""

    privileged: bool | None = None
    capabilities: list[Capability] | None = None
    read_only_root: bool | None = Field(None, alias="readOnlyRoot")
    user: (
        Annotated[
            Annotated[Annotated[int, Field(ge=0)], Number] | Annotated[User, String],
            ONE_OF,
        ]
        | None
    ) = Field(None, description="uid[:gid]")


class RepoPart(Part):
    """A repository at a branch."""

    url: NonEmpty
    branch: NonEmpty | None = None


class ExposePart(Part):
    """An exposed variable."""

    value: Scalar


class VolumeOptionsPart(Part):
    """What is done to a volume's host folder before it is mounted."""

    chmod: Annotated[int, Field(ge=0, le=0o7777)] | None = Field(None, description="Mode as a number (511).")
    make_world_writable_subdirs: list[InsidePath] | None = Field(None, alias="makeWorldWritableSubdirs")


class McpPart(Part):
    """An MCP server that is the agent: exactly one of command, port, url."""

    command: CommandLine | None = Field(None, description="Program that speaks MCP on its pipes.")
    args: list[str] | None = Field(None, description="Its arguments.")
    env: dict[EnvName, str] | None = Field(None, description="Further variables of the program.")
    port: TcpPort | None = Field(
        None, description="Port inside, on which the agent's own command serves MCP."
    )
    path: Annotated[str, Field(pattern="^/")] | None = Field(None, description="Path on that port (/mcp).")
    url: Annotated[str, Field(pattern="^https?://")] | None = Field(None, description="Server outside.")
    headers: dict[NonEmpty, str] | None = Field(
        None, description="Headers for the server outside; ${VAR} is a variable or secret of the agent."
    )


class CommandsPart(Part):
    """The older place of the commands."""

    agent: str | None = None
    start: str | None = None
    cli: str | None = None
    run: str | None = None


RepoField = Annotated[Annotated[NonEmpty, String] | Annotated[RepoPart, Object], ONE_OF]
ExposeField = Annotated[
    Annotated[str, String]
    | Annotated[int | float, Number]
    | Annotated[bool, Boolean]
    | Annotated[ExposePart, Object],
    ONE_OF,
]
AnyFlag = Annotated[Annotated[bool, Boolean] | Annotated[dict[str, Any], Object], ONE_OF]
