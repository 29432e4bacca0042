"""RPC rows of environment profiles and secrets: names to those who may, values to nobody."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from pydantic import JsonValue as PydanticJson

from ploinky.base.jsontypes import JsonValue
from ploinky.gateway.methods.running import collect
from ploinky.gateway.rpc.method import Answer, Call, Method, NoParams, Params, Scope, reading
from ploinky.operations import profile, profile_validation, secret_list, values


class ProfileParams(Params):
    """``name``: the profile's."""

    name: Annotated[str, Field(min_length=1, max_length=100)]


class ValidateParams(Params):
    """``name``: the profile's; left out: the active one."""

    name: str | None = None


class SecretParams(Params):
    """``name``: the variable's."""

    name: Annotated[str, Field(min_length=1, max_length=200)]


class SetSecretParams(SecretParams):
    """``value`` is kept and never given out again; ``$OTHER`` makes an alias of OTHER."""

    value: Annotated[str, Field(max_length=65536, repr=False)]


class ProfileRow(Answer):
    """One profile; ``status`` is ``active``, ``ready`` or ``missing`` (secrets that it needs)."""

    name: str
    active: bool
    status: str
    secrets: int
    found: int
    missing: list[str]


class Shown(Answer):
    """The active profile, where that comes from, and what it gives to each agent."""

    profile: str | None
    origin: str
    agents: list[dict[str, PydanticJson]]


class Used(Answer):
    """The profile that is active now. Running agents keep theirs until they are started again."""

    profile: str | None


class Validated(Answer):
    """What was checked of each agent; ``errors`` counts the faults."""

    profile: str
    agents: list[dict[str, PydanticJson]]
    errors: int


class SecretRow(Answer):
    """A secret by name: whether it has a value and from which source, who needs it."""

    name: str
    found: bool
    source: str | None
    required: bool
    agents: list[str]


class SetAnswer(Answer):
    """Whether the name has a value now."""

    name: str
    set: bool


async def list_profiles(call: Call, params: NoParams) -> JsonValue:
    """Every profile that an enabled agent knows, and how many of its secrets are there."""
    return await collect(profile.list_profiles(call.services.platform()))


async def show_profile(call: Call, params: NoParams) -> JsonValue:
    """The active profile and what it gives to each enabled agent."""
    return await collect(profile.show_profile(call.services.platform()))


async def use_profile(call: Call, params: ProfileParams) -> JsonValue:
    """Make a profile the workspace's."""
    answer = await collect(profile.use_profile(call.services.platform(), params.name))
    call.services.hub.publish("settings", "profile", {"name": params.name})
    return answer


async def validate_profile(call: Call, params: ValidateParams) -> JsonValue:
    """Check manifest, variables, secrets and scripts of every enabled agent under a profile."""
    platform = call.services.platform()
    return await collect(profile_validation.validate_profile(platform, params.name))


async def list_secrets(call: Call, params: NoParams) -> JsonValue:
    """Every secret that an agent asks for or that is kept here, by name."""
    return await collect(secret_list.list_secrets(call.services.platform()))


async def set_secret(call: Call, params: SetSecretParams) -> JsonValue:
    """Keep a value; agents that use it get it at their next start. It is never given out again."""
    answer = await collect(values.set_value(call.services.platform(), params.name, params.value))
    call.services.hub.publish("settings", "secret", {"name": params.name, "set": True})
    return answer


async def delete_secret(call: Call, params: SecretParams) -> JsonValue:
    """Forget a value."""
    answer = await collect(values.unset_value(call.services.platform(), params.name))
    call.services.hub.publish("settings", "secret", {"name": params.name, "set": False})
    return answer


ENVIRONMENT_METHODS: tuple[Method[Any], ...] = (
    reading("envprofile.list", NoParams, list[ProfileRow], Scope.AGENTS_READ, list_profiles),
    reading("envprofile.show", NoParams, Shown, Scope.AGENTS_READ, show_profile),
    Method("envprofile.use", ProfileParams, Used, Scope.ADMIN, use_profile),
    reading("envprofile.validate", ValidateParams, Validated, Scope.AGENTS_READ, validate_profile),
    reading("secrets.list", NoParams, list[SecretRow], Scope.ADMIN, list_secrets),
    Method("secrets.set", SetSecretParams, SetAnswer, Scope.ADMIN, set_secret),
    Method("secrets.delete", SecretParams, SetAnswer, Scope.ADMIN, delete_secret),
)
