"""Ids of what an assistant keeps: short words that say what they name, and digests of tool calls."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping

from ploinky.base.jsontypes import JsonValue


def new_id(kind: str) -> str:
    """``kind`` and 80 random bits, as in ``run_3f9c...``."""
    return f"{kind}_{secrets.token_hex(10)}"


def canonical(arguments: Mapping[str, JsonValue]) -> str:
    """The one spelling of these arguments: keys sorted, no blanks, ASCII."""
    return json.dumps(arguments, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def call_digest(tool: str, arguments: Mapping[str, JsonValue]) -> str:
    """The hash that an approval binds to: of the exact tool and the exact arguments."""
    return hashlib.sha256(f"{tool}\n{canonical(arguments)}".encode()).hexdigest()
