"""An enabled agent's sandbox: its name, its folder for sockets, and which runtime holds it.

Known from the registry alone, so that what stops agents loads nothing that reads manifests.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from ploinky.base.errors import PloinkyError
from ploinky.lifecycle.context import LifecycleContext
from ploinky.workspace.registry import RegistryEntry


def socket_folder(ctx: LifecycleContext, key: str) -> Path:
    """The agent's folder for the launcher's socket: short whatever the key, private by its parent."""
    return ctx.runtime_dir / hashlib.sha256(key.encode()).hexdigest()[:10]


def sandbox_name(ctx: LifecycleContext, entry: RegistryEntry) -> str:
    """The name of the agent's sandbox; two aliases of one agent never share one."""
    return entry.container_name or ctx.layout.container_name(
        entry.repo_name, entry.key, Path(entry.project_path)
    )


def require_same_runtime(ctx: LifecycleContext, entry: RegistryEntry) -> None:
    """Refuse to work on an agent whose sandbox another runtime holds: it could not be seen from here.

    Raises:
        PloinkyError: OTHER_RUNTIME, naming it.
    """
    if entry.container_id is None or entry.runtime in (None, ctx.runtime.kind):
        return
    raise PloinkyError(
        "OTHER_RUNTIME",
        f"The sandbox of agent '{entry.key}' was made by the runtime '{entry.runtime}', not by "
        f"'{ctx.runtime.kind}'.",
        hint=f"Use --runtime {entry.runtime}; to change over, first: "
        f"ploinky destroy --runtime {entry.runtime}",
        details={"agent": entry.key, "runtime": entry.runtime or ""},
    )
