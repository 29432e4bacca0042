"""The composition root: the only place that names concrete classes.

``open_platform`` makes what operations stand on; ``run_gateway_here`` makes the gateway process of the same
parts. Nothing else decides which engine, registry or signer is used.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from ploinky.base.errors import PloinkyError
from ploinky.base.redaction import RedactingFilter
from ploinky.channel.binary import launcher_folder
from ploinky.lifecycle.context import LifecycleContext, RouterAddress
from ploinky.manifest.env import looks_like_key
from ploinky.operations.gateway_control import bind_host
from ploinky.operations.platform import Platform
from ploinky.operations.remembered_engine import engine_to_use, remember_engine
from ploinky.operations.routing import last_port
from ploinky.repos.store import RepoStore
from ploinky.router.callers import OWNER, Caller, CallerKind
from ploinky.runtimes.choose import choose_runtime
from ploinky.secrets.client_tokens import ClientToken, ClientTokens
from ploinky.secrets.stores import SecretStores
from ploinky.secrets.tokens import OwnerToken, TokenSigner
from ploinky.workspace.layout import Layout, find_workspace, require_workspace, runtime_folder
from ploinky.workspace.profiles import active_profile
from ploinky.workspace.registry import Registry
from ploinky.workspace.settings import Settings, load_settings
from ploinky.workspace.structure import init_workspace

if TYPE_CHECKING:
    from ploinky.assistants.household import Household
    from ploinky.assistants.toolkit import AgentTools
    from ploinky.skills.sandbox import Sandbox
    from ploinky.skills.shelf import Shelf

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

    Opens no engine and starts no event loop.

    Raises:
        NotFoundError: ``NO_WORKSPACE``.
        PloinkyError: ``CONFIG_INVALID``.
    """
    if make_workspace and find_workspace(choices.start_dir) is None:
        layout = init_workspace(choices.start_dir)
    else:
        layout = require_workspace(choices.start_dir)
    settings = load_settings(layout)
    secrets = SecretStores(layout, choices.environ, settings.secrets)
    return Platform(
        layout=layout,
        environ=choices.environ,
        secrets=secrets,
        settings=settings,
        registry=Registry(layout),
        repos=RepoStore(layout, environ=choices.environ),
        profile=active_profile(layout, choices.environ, choices.profile),
        open_lifecycle=functools.partial(_open_lifecycle, layout, settings, secrets, choices),
        serve_args=_serve_args(layout, choices),
        runtime=choices.engine,
        trust=choices.trust,
    )


async def run_gateway_here(platform: Platform, choices: Choices, *, port: int) -> None:
    """Be the gateway of the workspace until told to end."""
    from ploinky.gateway.app import Listen
    from ploinky.gateway.otel import open_tracer
    from ploinky.gateway.process import GatewayWiring, run_gateway
    from ploinky.providers.credentials import Keyring

    async with platform.open_lifecycle() as ctx:
        remember_engine(ctx.layout, ctx.runtime.kind)
        verifier = _Verifier(OwnerToken(ctx.layout), ctx.signer, ClientTokens(ctx.layout))
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
    skills = SkillTools(functools.partial(_find_shelf, platform))
    sandbox = functools.cache(functools.partial(_open_sandbox, platform))
    services = AssistantServices(platform.layout, agents, make_models, scrubber, PUBLIC, skills, sandbox)
    return Household(services)


def _find_shelf(platform: Platform, assistant: str) -> Shelf:
    from ploinky.operations.skills import open_shelf  # it brings the safety analysis, which is large

    return open_shelf(platform, assistant)


def _open_sandbox(platform: Platform) -> Sandbox:
    from ploinky.operations.skills import open_sandbox

    return open_sandbox(platform)


def _known_secrets(platform: Platform) -> list[str]:
    """Every secret value that this process can know of: kept ones, credentials, keys of its environment."""
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
    layout: Layout, settings: Settings, secrets: SecretStores, choices: Choices
) -> AsyncIterator[LifecycleContext]:
    OwnerToken(layout).ensure()
    runtime_dir = runtime_folder(layout, choices.environ)
    name = engine_to_use(layout, asked=choices.engine, configured=settings.runtime)
    runtime = await choose_runtime(name, layout=layout, environ=choices.environ)
    try:
        host = await runtime.router_host(layout.id)
        yield LifecycleContext(
            layout=layout,
            registry=Registry(layout),
            settings=settings,
            repos=RepoStore(layout, environ=choices.environ),
            runtime=runtime,
            environ=choices.environ,
            secrets=secrets,
            runtime_dir=runtime_dir,
            launcher_dir=launcher_folder(choices.environ),
            signer=TokenSigner(layout),
            router=RouterAddress(host=lambda: host, port=lambda: last_port(layout) or settings.gateway.port),
            profile=active_profile(layout, choices.environ, choices.profile),
        )
    finally:
        with anyio.move_on_after(_CLOSE_TIMEOUT_S, shield=True):
            await runtime.aclose()


def _serve_args(layout: Layout, choices: Choices) -> tuple[str, ...]:
    words = [sys.executable, "-m", "ploinky", "--workspace", str(layout.root)]
    words += ["--runtime", choices.engine] if choices.engine else []
    words += ["--profile", choices.profile] if choices.profile else []
    words += ["--trust"] if choices.trust else []
    return (*words, "serve")


class _Verifier:
    """The owner's token, the agents' signed ones and the clients', as the router wants them."""

    def __init__(self, owner: OwnerToken, signer: TokenSigner, clients: ClientTokens) -> None:
        self._owner = owner
        self._signer = signer
        self._clients = clients

    def verify(self, token: str) -> Caller | None:
        if self._owner.verify(token):
            return OWNER
        client = self._clients.verify(token)
        if client is not None:
            return _client(client)
        known = self._signer.verify(token)
        return None if known is None else Caller(CallerKind.AGENT, known.agent)

    def act_as(self, name: str) -> Caller | None:
        kind, _, who = name.partition(":")
        if kind == CallerKind.ASSISTANT and who:
            return Caller(CallerKind.ASSISTANT, who)
        known = self._clients.find(who) if kind == CallerKind.CLIENT else None
        return None if known is None else _client(known)


def _client(token: ClientToken) -> Caller:
    return Caller(CallerKind.CLIENT, token.name, frozenset(token.scopes), token.agents)
