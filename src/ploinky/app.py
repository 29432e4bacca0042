"""The composition root: the only place that names concrete classes.

``open_platform`` makes what operations stand on; ``run_gateway_here`` makes the gateway process of the same
parts. Nothing else decides which engine, registry or signer is used.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonValue
from ploinky.operations.platform import Platform
from ploinky.secrets.stores import SecretStores
from ploinky.secrets.tokens import OwnerToken, TokenSigner
from ploinky.workspace.documents import CONFIG_INVALID, read_json_object
from ploinky.workspace.layout import Layout, find_workspace, require_workspace, runtime_folder
from ploinky.workspace.profiles import active_profile
from ploinky.workspace.structure import init_workspace

if TYPE_CHECKING:
    from ploinky.assistants.household import Household
    from ploinky.assistants.toolkit import AgentTools
    from ploinky.lifecycle.context import LifecycleContext
    from ploinky.operations.skills import Shelves
    from ploinky.skills.sandbox import Sandbox
    from ploinky.workspace.settings import Settings

_log = logging.getLogger(__name__)
ENGINE_VARIABLE = "PLOINKY_RUNTIME"
_CLOSE_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Choices:
    """What a person chose on the command line; None: not said."""

    start_dir: Path
    environ: Mapping[str, str]
    profile: str | None = None
    runtime: str | None = None
    trust: bool = False

    @property
    def engine(self) -> str | None:
        """The engine asked for: by option, else by ``PLOINKY_RUNTIME``."""
        return self.runtime or self.environ.get(ENGINE_VARIABLE) or None


def open_platform(choices: Choices, *, make_workspace: bool = False) -> Platform:
    """The platform of the workspace around ``start_dir``; made there if it is missing and asked for.

    Opens no engine and starts no event loop. The settings are read here and checked by who uses them.

    Raises:
        NotFoundError: ``NO_WORKSPACE``.
        PloinkyError: ``CONFIG_INVALID`` if the settings are no JSON object.
    """
    if make_workspace and find_workspace(choices.start_dir) is None:
        layout = init_workspace(choices.start_dir)
    else:
        layout = require_workspace(choices.start_dir)
    document = read_json_object(layout.config_file, code=CONFIG_INVALID)
    read_settings = functools.cache(functools.partial(_checked, layout, document))
    section = functools.partial(_secrets_section, document, read_settings)
    configured = functools.partial(_configured_engine, document, read_settings)
    secrets = SecretStores(layout, choices.environ, section)
    return Platform(
        layout=layout,
        environ=choices.environ,
        secrets=secrets,
        profile=active_profile(layout, choices.environ, choices.profile),
        read_settings=read_settings,
        open_lifecycle=functools.partial(
            _open_lifecycle, layout, configured, read_settings, secrets, choices
        ),
        serve_args=_serve_args(layout, choices),
        runtime=choices.engine,
        trust=choices.trust,
    )


def _checked(layout: Layout, document: dict[str, object] | None) -> Settings:
    from ploinky.workspace.settings import check_settings

    return check_settings(layout.config_file, document)


def _secrets_section(
    document: dict[str, object] | None, read_settings: Callable[[], Settings]
) -> Mapping[str, JsonValue]:
    """``secrets`` of the settings; a workspace without any does not load their models for that."""
    return read_settings().secrets if document and "secrets" in document else {}


def _configured_engine(document: dict[str, object] | None, read_settings: Callable[[], Settings]) -> str:
    """``runtime`` of the settings, for which their models are not loaded."""
    from ploinky.runtimes.choose import AUTO

    named = (document or {}).get("runtime", AUTO)
    return named if isinstance(named, str) else read_settings().runtime


async def run_gateway_here(platform: Platform, choices: Choices, *, port: int) -> None:
    """Be the gateway of the workspace until told to end."""
    from ploinky.gateway.app import Listen
    from ploinky.gateway.otel import open_tracer
    from ploinky.gateway.process import GatewayWiring, run_gateway
    from ploinky.gateway.verifier import Verifier
    from ploinky.operations.gateway_control import bind_host
    from ploinky.operations.remembered_engine import remember_engine
    from ploinky.providers.credentials import Keyring
    from ploinky.secrets.client_tokens import ClientTokens

    async with platform.open_lifecycle() as ctx:
        remember_engine(ctx.layout, ctx.runtime.kind)
        verifier = Verifier(OwnerToken(ctx.layout), ctx.signer, ClientTokens(ctx.layout))
        fresh = functools.partial(_platform_in_gateway, choices)
        household = functools.partial(make_household, platform)
        wiring = GatewayWiring(
            verifier=verifier,
            platform=fresh,
            proof=functools.partial(_login_proof, ctx),
            keys=Keyring(platform.secrets.credentials, platform.environ),
            household=household,
        )
        try:
            async with open_tracer(platform.environ) as tracer:
                wiring = replace(wiring, tracer=tracer)
                await run_gateway(ctx, wiring, Listen(bind_host(platform), port))
        except PloinkyError:
            raise
        except Exception:
            _log.exception("the gateway failed")  # nobody looks on when it runs in the background
            raise


def _platform_in_gateway(choices: Choices) -> Platform:
    """The platform for an operation that the gateway itself runs: settings and profile of this moment."""
    return replace(open_platform(choices), in_gateway=True)


def _login_proof(ctx: LifecycleContext) -> str:
    """What a browser's login stands on: it ends when the owner's token or the password changes."""
    auth = ctx.settings.gateway.auth
    return f"{auth.mode} {auth.password_hash} {OwnerToken(ctx.layout).read()}"


def make_household(platform: Platform, agents: AgentTools) -> Household:
    """The assistants of the workspace, over the tools of ``agents``; nothing is opened before it runs."""
    from ploinky.assistants.household import Household
    from ploinky.assistants.scrubbing import Scrubber
    from ploinky.assistants.services import AssistantServices
    from ploinky.assistants.tools.skills import SkillTools
    from ploinky.assistants.tools.web import PUBLIC
    from ploinky.operations.models import open_models
    from ploinky.providers.registry import ProviderRegistry

    make_models = functools.partial(open_models, platform, registry=ProviderRegistry.installed())
    scrubber = Scrubber(functools.partial(_known_secrets, platform))
    shelves = functools.cache(functools.partial(_open_shelves, platform))
    skills = SkillTools(lambda assistant: shelves().open(assistant))
    sandbox = functools.cache(functools.partial(_open_sandbox, platform))
    services = AssistantServices(platform.layout, agents, make_models, scrubber, PUBLIC, skills, sandbox)
    return Household(services)


def _open_shelves(platform: Platform) -> Shelves:
    from ploinky.operations.skills import Shelves  # it brings the safety analysis, which is large

    return Shelves(platform)


def _open_sandbox(platform: Platform) -> Sandbox:
    from ploinky.operations.skills import open_sandbox

    return open_sandbox(platform)


def _known_secrets(platform: Platform) -> list[str]:
    """Every secret value that this process can know of: kept ones, credentials, keys of its environment."""
    from ploinky.manifest.env import looks_like_key

    kept = platform.secrets.kept_values()
    credentials = platform.secrets.credentials
    sealed = [value for scope in credentials.scopes() for value in credentials.get_all(scope).values()]
    keys = [value for name, value in platform.environ.items() if looks_like_key(name)]
    return [*kept, *sealed, *keys, OwnerToken(platform.layout).ensure()]


def owner_token(platform: Platform, *, rotate: bool = False) -> str:
    """The owner's token, made if there is none; a new one if ``rotate``."""
    token = OwnerToken(platform.layout)
    return token.rotate() if rotate else token.ensure()


def start_logging(platform: Platform, *, verbose: bool) -> None:
    """Send the log of this process to stderr, free of every secret that it knows now or comes to know."""
    from ploinky.base.redaction import RedactingFilter

    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    redactor = platform.secrets.redactor
    redactor.add([*platform.secrets.kept_values(), OwnerToken(platform.layout).ensure()])
    handler.addFilter(RedactingFilter(redactor))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.DEBUG if verbose else logging.INFO)


@contextlib.asynccontextmanager
async def _open_lifecycle(
    layout: Layout,
    configured: Callable[[], str],
    read_settings: Callable[[], Settings],
    secrets: SecretStores,
    choices: Choices,
    *,
    plans: bool = True,
) -> AsyncIterator[LifecycleContext]:
    import anyio

    from ploinky.channel.binary import launcher_folder
    from ploinky.lifecycle.context import LifecycleContext, RouterAddress
    from ploinky.operations.remembered_engine import engine_to_use
    from ploinky.operations.routing import last_port
    from ploinky.repos.store import RepoStore
    from ploinky.runtimes.choose import choose_runtime
    from ploinky.workspace.registry import Registry

    OwnerToken(layout).ensure()
    runtime_dir = runtime_folder(layout, choices.environ)
    name = engine_to_use(layout, asked=choices.engine, configured=configured())
    runtime = await choose_runtime(name, layout=layout, environ=choices.environ)
    try:
        host = await runtime.router_host(layout.id) if plans else None
        router = RouterAddress(
            host=functools.partial(_router_host, host),
            port=lambda: last_port(layout) or read_settings().gateway.port,
        )
        yield LifecycleContext(
            layout=layout,
            registry=Registry(layout),
            read_settings=read_settings,
            repos=RepoStore(layout, environ=choices.environ),
            runtime=runtime,
            environ=choices.environ,
            secrets=secrets,
            runtime_dir=runtime_dir,
            launcher_dir=launcher_folder(choices.environ),
            signer=TokenSigner(layout),
            router=router,
            profile=active_profile(layout, choices.environ, choices.profile),
        )
    finally:
        with anyio.move_on_after(_CLOSE_TIMEOUT_S, shield=True):
            await runtime.aclose()


def _router_host(host: str | None) -> str:
    assert host is not None, "opened by something that plans nothing"
    return host


def _serve_args(layout: Layout, choices: Choices) -> tuple[str, ...]:
    words = [sys.executable, "-m", "ploinky", "--workspace", str(layout.root)]
    words += ["--runtime", choices.engine] if choices.engine else []
    words += ["--profile", choices.profile] if choices.profile else []
    words += ["--trust"] if choices.trust else []
    return (*words, "serve")
