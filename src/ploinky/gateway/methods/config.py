"""RPC rows of the settings: what they are, changing them, how people log in."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import anyio.to_thread
from pydantic import Field
from pydantic import JsonValue as PydanticJson

from ploinky.assistants.editing import check_sections
from ploinky.base.errors import UsageError
from ploinky.base.jsontypes import JsonObject
from ploinky.gateway.auth_mode import auth_mode
from ploinky.gateway.rpc.method import Answer, Call, Method, NoParams, Params, Rate, Scope, reading
from ploinky.secrets.passwords import hash_password
from ploinky.workspace.addresses import require_bindable
from ploinky.workspace.settings import Settings, load_settings
from ploinky.workspace.settings_change import change_settings

_HIDDEN = "***"
_NEEDS_RESTART = ("gateway", "router", "runtime")


class PatchParams(Params):
    """``patch`` is laid over the settings (RFC 7396): null removes a key."""

    patch: dict[str, PydanticJson]


class LoginParams(Params):
    """``mode``: how people log in; ``password`` for the mode of that name, kept as an argon2 hash."""

    mode: Literal["token", "password", "none"]
    password: Annotated[str | None, Field(max_length=1000, repr=False)] = None


class ConfigAnswer(Answer):
    """The settings with all defaults, hashes hidden. ``restartNeeded`` names the parts that this gateway
    takes up when it is started anew; all else counts at once."""

    settings: dict[str, PydanticJson]
    restart_needed: list[str]


async def get_config(call: Call, params: NoParams) -> ConfigAnswer:
    """The workspace's settings."""
    return _answer(call, load_settings(call.services.platform().layout))


async def patch_config(call: Call, params: PatchParams) -> ConfigAnswer:
    """Change settings; they are checked whole first, and nothing is written if anything is wrong."""
    _refuse_hashes(params.patch)
    layout = call.services.platform().layout

    def check(settings: Settings) -> None:
        check_sections(layout.config_file, settings.model_dump(mode="json", by_alias=True))
        if "gateway" in params.patch:
            _check_login(settings)

    settings = await anyio.to_thread.run_sync(change_settings, layout, params.patch, check)
    await call.services.household.reload()
    keys: JsonObject = {"keys": [*params.patch]}
    call.services.hub.publish("settings", "config", keys)
    return _answer(call, settings)


async def reload_config(call: Call, params: NoParams) -> ConfigAnswer:
    """Read the settings again, put those of assistants into force, and say what needs a new start."""
    await call.services.household.reload()
    return await get_config(call, params)


async def set_login(call: Call, params: LoginParams) -> ConfigAnswer:
    """Set how people log in. Everybody who is logged in must do so again once the gateway starts anew."""
    patch: dict[str, object] = {"mode": params.mode}
    if params.mode == "password":
        patch["passwordHash"] = await anyio.to_thread.run_sync(hash_password, params.password or "")
    layout = call.services.platform().layout
    settings = change_settings(layout, {"gateway": {"auth": patch}}, _check_login)
    call.services.hub.publish("settings", "login", {"mode": params.mode})
    return _answer(call, settings)


def _check_login(settings: Settings) -> None:
    """Raises what would keep the gateway from starting with these settings."""
    auth_mode(settings.gateway, require_bindable(settings.gateway))


def _refuse_hashes(patch: dict[str, Any]) -> None:
    gateway = patch.get("gateway")
    auth = gateway.get("auth") if isinstance(gateway, dict) else None
    if isinstance(auth, dict) and "passwordHash" in auth:
        raise UsageError(
            "BAD_PARAMS",
            "gateway.auth.passwordHash is not set this way.",
            hint="Use config.login.",
            details={"field": "patch.gateway.auth.passwordHash"},
        )


def _answer(call: Call, settings: Settings) -> ConfigAnswer:
    value = settings.model_dump(mode="json", by_alias=True)
    auth = value["gateway"]["auth"]
    if auth.get("passwordHash"):
        auth["passwordHash"] = _HIDDEN
    began = call.services.settings_at_start
    changed = [name for name in _NEEDS_RESTART if getattr(settings, name) != getattr(began, name)]
    return ConfigAnswer(settings=value, restart_needed=changed)


CONFIG_METHODS: tuple[Method[Any], ...] = (
    reading("config.get", NoParams, ConfigAnswer, Scope.ADMIN, get_config),
    Method("config.patch", PatchParams, ConfigAnswer, Scope.ADMIN, patch_config, Rate(60, 20)),
    reading("config.reload", NoParams, ConfigAnswer, Scope.ADMIN, reload_config),
    Method("config.login", LoginParams, ConfigAnswer, Scope.ADMIN, set_login, Rate(10, 5)),
)
