"""No agent beside a gateway that asks nobody for a token: whoever reaches its address is the owner there.

With ``gateway.auth.mode`` ``none`` the gateway listens on the loopback only; an agent that shares the
loopback would own the workspace, whatever its manifest says. Such an agent is not started.
"""

from __future__ import annotations

from ploinky.base.addresses import is_loopback
from ploinky.base.errors import PloinkyError
from ploinky.lifecycle.context import LifecycleContext
from ploinky.runtimes.spec import NetworkMode, RunSpec


async def require_out_of_reach(ctx: LifecycleContext, spec: RunSpec) -> None:
    """Raises:
    PloinkyError: ``GATEWAY_OPEN_TO_AGENT``.
    """
    if ctx.settings.gateway.auth.mode != "none" or spec.network.mode is NetworkMode.NONE:
        return
    shares = spec.network.mode is NetworkMode.HOST or is_loopback(
        await ctx.runtime.router_host(spec.workspace)
    )
    if shares:
        raise PloinkyError(
            "GATEWAY_OPEN_TO_AGENT",
            f"Agent '{spec.agent}' would reach the gateway, which asks nobody for a token"
            " (gateway.auth.mode is none), and be the workspace's owner there.",
            hint='Set gateway.auth.mode to token; or give the agent "network": {"mode": "none"} in its'
            " manifest, or run it with Podman.",
            details={"agent": spec.agent},
        )
