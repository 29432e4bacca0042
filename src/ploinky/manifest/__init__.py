"""Floor 1: what a manifest says. Pure: no I/O.

``document.parse_manifest`` reads one, ``effective.effective`` applies a profile, ``model.manifest_schema``
is its schema; ``values`` holds what comes out. ``env``, ``ports``, ``refs`` and ``texts`` read single
texts, ``graph`` orders agents into waves. Only ``document``, ``model`` and ``effective`` need pydantic.
"""

from ploinky.manifest.refs import AgentRef

__all__ = ["AgentRef"]
