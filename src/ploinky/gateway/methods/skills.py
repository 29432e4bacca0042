"""RPC rows of skills: ``skills.*``. Values of credentials go in and are named; none comes out.

The analysis of skills is large, so handlers import it when they are first called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from ploinky.base.files import safe_join
from ploinky.base.jsontypes import JsonValue
from ploinky.gateway.methods.named_assistant import OfAssistant
from ploinky.gateway.methods.running import OperationAnswer, collect
from ploinky.gateway.rpc.method import Call, Method, Rate, Scope, reading

if TYPE_CHECKING:
    from ploinky.operations.skills import Approve
    from ploinky.skills.shelf import Proposal

_RATE = Rate(60, 20)
_Name = Annotated[str, Field(min_length=1, max_length=64)]
_KeyName = Annotated[str, Field(min_length=1, max_length=128)]


class SourceParams(OfAssistant):
    """``source``: an https address, a repository, or a path in the workspace."""

    source: Annotated[str, Field(min_length=1, max_length=4096)]


class InstallParams(SourceParams):
    """``approve``: the digest that ``skills.analyze`` showed; needed where its verdict is needs-approval."""

    approve: Annotated[str, Field(min_length=64, max_length=64)] | None = None
    wait: bool = False


class OfSkill(OfAssistant):
    """``skillId``: an installed skill."""

    skill_id: _Name


class UpdateParams(OfSkill):
    """``approve``: the digest of the new state; without it only what needs no approval is installed."""

    approve: Annotated[str, Field(min_length=64, max_length=64)] | None = None
    wait: bool = False


class KeyParams(OfSkill):
    """``keyName``: the name of a variable that the skill reads."""

    key_name: _KeyName


class SetKeyParams(KeyParams):
    """``value``: the key; it is kept encrypted and never given out."""

    value: Annotated[str, Field(min_length=1, max_length=8192, repr=False)]


class ValidateParams(SourceParams):
    """``source``: a path in the workspace."""


async def list_skills(call: Call, params: OfAssistant) -> JsonValue:
    """The installed skills of an assistant; those with changed files are not offered to it."""
    from ploinky.operations import skills as operations

    return await collect(operations.list_skills(call.services.platform(), assistant=params.profile_id))


async def analyze(call: Call, params: SourceParams) -> JsonValue:
    """Fetch and judge a skill; nothing runs. The verdict, every finding, every step, and their digest."""
    from ploinky.operations import skills as operations

    platform = call.services.platform()
    return await collect(
        operations.analyze_skill(
            platform, params.source, assistant=params.profile_id, relative_to=platform.layout.root
        )
    )


async def install(call: Call, params: InstallParams) -> OperationAnswer:
    """Install a skill in a sandbox, if it is allowed or approved by its digest."""
    from ploinky.operations import skills as operations

    call.services.household.require(params.profile_id)
    platform = call.services.platform()
    events = operations.install_skill(
        platform,
        params.source,
        assistant=params.profile_id,
        relative_to=platform.layout.root,
        approve=_by_digest(params.approve),
    )
    operation = call.services.runner.start(events, "install a skill")
    if not params.wait:
        return OperationAnswer(operation_id=operation.id, done=False)
    return OperationAnswer(
        operation_id=operation.id, done=True, result=await call.services.runner.finish(operation)
    )


async def update(call: Call, params: UpdateParams) -> OperationAnswer:
    """Fetch a skill again; what changed is judged, and installed if it is approved by its digest."""
    from ploinky.operations import skills as operations

    call.services.household.require(params.profile_id)
    platform = call.services.platform()
    events = operations.update_skill(
        platform,
        params.skill_id,
        assistant=params.profile_id,
        relative_to=platform.layout.root,
        approve=_by_digest(params.approve),
    )
    operation = call.services.runner.start(events, f"update the skill {params.skill_id}")
    if not params.wait:
        return OperationAnswer(operation_id=operation.id, done=False)
    return OperationAnswer(
        operation_id=operation.id, done=True, result=await call.services.runner.finish(operation)
    )


async def uninstall(call: Call, params: OfSkill) -> JsonValue:
    """Remove a skill and all that its install made; its keys stay until they are deleted."""
    from ploinky.operations import skills as operations

    platform = call.services.platform()
    return await collect(operations.uninstall_skill(platform, params.skill_id, assistant=params.profile_id))


async def validate(call: Call, params: ValidateParams) -> JsonValue:
    """Check a skill strictly against the open format."""
    from ploinky.operations import skills as operations

    call.services.household.require(params.profile_id)
    platform = call.services.platform()
    return await collect(operations.validate_skill(platform, safe_join(platform.layout.root, params.source)))


async def list_keys(call: Call, params: OfSkill) -> JsonValue:
    """Which keys a skill declares, and which are present; never a value."""
    from ploinky.operations import skills as operations

    platform = call.services.platform()
    return await collect(operations.credentials(platform, params.skill_id, assistant=params.profile_id))


async def set_key(call: Call, params: SetKeyParams) -> JsonValue:
    """Keep a key for a skill."""
    from ploinky.operations import skills as operations

    platform = call.services.platform()
    return await collect(
        operations.credentials(
            platform,
            params.skill_id,
            assistant=params.profile_id,
            name=params.key_name,
            value=params.value,
        )
    )


async def delete_key(call: Call, params: KeyParams) -> JsonValue:
    """Forget a key of a skill."""
    from ploinky.operations import skills as operations

    platform = call.services.platform()
    return await collect(
        operations.credentials(
            platform, params.skill_id, assistant=params.profile_id, name=params.key_name, delete=True
        )
    )


def _by_digest(digest: str | None) -> Approve:
    def approve(proposal: Proposal) -> bool:
        return digest is not None and digest == proposal.digest

    return approve


_MANAGE = Scope.ASSISTANTS_MANAGE
_Rows = list[dict[str, Any]]
SKILL_METHODS: tuple[Method[Any], ...] = (
    reading("skills.list", OfAssistant, _Rows, Scope.ASSISTANTS_USE, list_skills),
    Method("skills.analyze", SourceParams, dict[str, Any], _MANAGE, analyze, _RATE),
    Method("skills.fetchFromUrl", SourceParams, dict[str, Any], _MANAGE, analyze, _RATE),
    Method("skills.install", InstallParams, OperationAnswer, _MANAGE, install, _RATE),
    Method("skills.update", UpdateParams, OperationAnswer, _MANAGE, update, _RATE),
    Method("skills.uninstall", OfSkill, dict[str, Any], _MANAGE, uninstall, _RATE),
    reading("skills.validate", ValidateParams, dict[str, Any], _MANAGE, validate),
    reading("skills.credentials.list", OfSkill, _Rows, _MANAGE, list_keys),
    Method("skills.credentials.set", SetKeyParams, _Rows, _MANAGE, set_key, _RATE),
    Method("skills.credentials.delete", KeyParams, _Rows, _MANAGE, delete_key, _RATE),
)
