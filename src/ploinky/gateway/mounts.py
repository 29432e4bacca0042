"""What the gateway serves below fixed paths beside MCP and RPC: blobs, uploads, an agent's pages.

To add one: a ``Mount`` in ``file_mounts``.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from ploinky.base.errors import PloinkyError
from ploinky.gateway.blob_paths import PATH as BLOBS
from ploinky.gateway.blob_paths import BlobPaths
from ploinky.gateway.blobs import BlobLimits, BlobStore
from ploinky.gateway.metrics import CONTENT_TYPE, Metrics
from ploinky.gateway.rows import Access, Mount, Request
from ploinky.gateway.rpc.method import Scope
from ploinky.gateway.rpc.scopes import allows, scopes_of
from ploinky.gateway.site import PATH as SITE
from ploinky.gateway.site import Site
from ploinky.gateway.upload import PATH as UPLOAD
from ploinky.gateway.upload import Uploads
from ploinky.lifecycle.context import LifecycleContext
from ploinky.lifecycle.dependencies import code_folder
from ploinky.lifecycle.sources import locate
from ploinky.operations.start_agent import start_agent
from ploinky.router.http import HttpError, send_whole

METRICS = "/metrics"


def file_mounts(ctx: LifecycleContext) -> tuple[Mount, ...]:
    """The mounts of a workspace; what broken uploads of a former gateway left is removed."""
    settings = ctx.settings
    store = BlobStore(ctx.layout.blobs, BlobLimits(settings.blobs.each_bytes, settings.blobs.total_bytes))
    store.sweep()
    blobs = BlobPaths(store)
    uploads = Uploads(ctx.layout.root, most_bytes=settings.gateway.max_upload_bytes)
    site = Site(lambda: _site_code(ctx))

    async def serve_blobs(request: Request) -> None:
        await blobs.handle(request.scope, request.receive, request.send, request.caller)

    async def take_upload(request: Request) -> None:
        await uploads.handle(request.scope, request.receive, request.send, request.caller)

    async def serve_site(request: Request) -> None:
        await site.handle(request.scope, request.send)

    return (
        Mount(BLOBS, serve_blobs),
        Mount(UPLOAD.rstrip("/"), take_upload),
        Mount(SITE, serve_site, Access.ANYONE),
    )


def metrics_mount(metrics: Metrics) -> Mount:
    """``/metrics`` for the owner and for tokens that may read agents."""

    async def serve_metrics(request: Request) -> None:
        assert request.caller is not None
        if not allows(scopes_of(request.caller), Scope.AGENTS_READ):
            raise HttpError(403, "This token has not the scope agents:read.")
        if request.scope["method"] != "GET" or request.scope["path"] != METRICS:
            raise HttpError(405, "Method Not Allowed", [(b"allow", b"GET")])
        await send_whole(request.send, 200, CONTENT_TYPE, metrics.text())

    return Mount(METRICS, serve_metrics)


def _site_code(ctx: LifecycleContext) -> Path | None:
    """The code of the agent whose pages are shown."""
    key = ctx.settings.gateway.site or start_agent(ctx.layout)
    with contextlib.suppress(PloinkyError):  # none of that name, or its repository is gone
        return code_folder(locate(ctx, ctx.registry.require(key)).folder) if key else None
    return None
