"""The hash of what an agent's install steps come from: if it is unchanged they need not run again.

Resolved values are not part of it: a rotated secret restarts an agent, it does not install it anew.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from ploinky.manifest.texts import relative_script
from ploinky.manifest.values import EffectiveConfig
from ploinky.runtimes.spec import RunSpec


def install_digest(spec: RunSpec, config: EffectiveConfig, folder: Path, dependencies: str) -> str:
    """SHA-256 (hex) over the spec, the hooks with their scripts' contents, the declared variables, the
    profile and the key of the dependencies."""
    facts = {
        "spec": spec.digest,
        "profile": config.profile,
        "env": [asdict(entry) for entry in config.env],
        "secrets": list(config.secrets),
        "hooks": {
            name.value: [asdict(hook), [_content(folder, step) for step in hook.steps]]
            for name, hook in config.hooks.items()
        },
        "dependencies": dependencies,
    }
    text = json.dumps(facts, sort_keys=True, default=str, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _content(folder: Path, step: str) -> str:
    """The hash of the script that a step starts with; empty if it starts with none."""
    word = relative_script(step)
    script = folder / word if word else None
    if script is None or not script.is_file():
        return ""
    return hashlib.sha256(script.read_bytes()).hexdigest()
