"""RPC rows of the gateway itself: what it is, whether all is well, starting it anew."""

from __future__ import annotations

from typing import Any

from ploinky import __version__
from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.gateway.methods.running import collect
from ploinky.gateway.rpc.method import Answer, Call, Method, NoParams, Rate, Scope, reading
from ploinky.gateway.rpc.scopes import scopes_of
from ploinky.operations.doctor import doctor


class Finding(Answer):
    """One answer of doctor; ``status`` is ``ok``, ``warning`` or ``problem``."""

    check: str
    status: str
    message: str
    hint: str | None
    fix: str | None


class DoctorAnswer(Answer):
    """All findings; ``problems`` counts what is wrong."""

    findings: list[Finding]
    problems: int


class GatewayAnswer(Answer):
    """This gateway and who asks it. ``epoch`` changes when it is started anew."""

    version: str
    workspace: str
    name: str
    profile: str | None
    epoch: str
    caller: str
    scopes: list[str]


class Restarting(Answer):
    """The gateway ends now and its supervisor starts the next one; agents go on running."""

    restarting: bool


async def gateway_status(call: Call, params: NoParams) -> JsonObject:
    """Version, workspace and profile of the gateway, and the scopes of the caller."""
    platform = call.services.platform()
    scopes: list[JsonValue] = [*sorted(scopes_of(call.caller))]
    return {
        "version": __version__,
        "workspace": str(platform.layout.root),
        "name": platform.layout.root.name,
        "profile": platform.profile.name,
        "epoch": call.services.hub.epoch,
        "caller": str(call.caller),
        "scopes": scopes,
    }


async def ask_doctor(call: Call, params: NoParams) -> JsonValue:
    """Ask whether machine, workspace and gateway are as they should be; repairs nothing."""
    platform = call.services.platform()
    return await collect(doctor(platform, fix=False, environ=platform.environ))


async def restart_gateway(call: Call, params: NoParams) -> Restarting:
    """Start the gateway anew, which settings of its address need; agents go on running."""
    await call.services.restart()
    return Restarting(restarting=True)


GATEWAY_METHODS: tuple[Method[Any], ...] = (
    reading("gateway.status", NoParams, GatewayAnswer, None, gateway_status),
    reading("gateway.doctor", NoParams, DoctorAnswer, Scope.AGENTS_READ, ask_doctor),
    Method("gateway.restart", NoParams, Restarting, Scope.ADMIN, restart_gateway, Rate(6, 3)),
)
