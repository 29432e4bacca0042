"""Changing ``.ploinky/config.json``: a merge patch (RFC 7396), checked whole before it is written.

What the patch does not name stays as it is, also what other parts of the product keep there. Locked, atomic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ploinky.base.files import FileLock
from ploinky.workspace.addresses import require_bindable
from ploinky.workspace.documents import CONFIG_INVALID, read_json_object, write_json
from ploinky.workspace.layout import Layout
from ploinky.workspace.settings import Settings, check_settings


def change_settings(
    layout: Layout, patch: Mapping[str, object], check: Callable[[Settings], object] | None = None
) -> Settings:
    """Lay ``patch`` over the settings; a value None removes its key. The settings as they are now.

    ``check`` raises for what it does not want kept.

    Raises:
        PloinkyError: ``CONFIG_INVALID`` naming the faulty keys; nothing is written then.
        UsageError: ``BIND_REFUSED`` or ``BIND_UNKNOWN``.
    """
    with FileLock(layout.lock("config")):
        document = read_json_object(layout.config_file, code=CONFIG_INVALID) or {}
        merged = merged_over(document, patch)
        assert isinstance(merged, dict)
        settings = check_settings(layout.config_file, merged)
        if "gateway" in patch:
            require_bindable(settings.gateway)
        if check is not None:
            check(settings)
        write_json(layout.config_file, merged)
    return settings


def merged_over(target: object, patch: object) -> object:
    """RFC 7396."""
    if not isinstance(patch, Mapping):
        return patch
    result: dict[str, object] = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged_over(result.get(key), value)
    return result
