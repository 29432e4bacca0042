"""Plain arguments as environment variables, for programs that cannot read JSON: a shell script, say.

The JSON line on standard input stays the whole truth; these are a convenience of the same values.
"""

from __future__ import annotations

import re

import orjson

from ploinky.base.jsontypes import JsonObject

PREFIX = "INPUT_"
LONGEST_VALUE = 32 * 1024  # bytes; the kernel refuses a variable over 128 KiB
_NOT_IN_NAMES = re.compile(r"[^A-Z0-9_]")


def argument_variables(arguments: JsonObject) -> dict[str, str]:
    """``INPUT_<NAME>`` for each text, number and truth value; the name in capitals, ``_`` for the rest.

    Texts that are too long or hold a NUL, lists, objects and nulls have none.
    """
    variables = {}
    for name, value in arguments.items():
        if isinstance(value, str):
            text = value
        elif isinstance(value, bool | int | float):
            text = orjson.dumps(value).decode()
        else:
            continue
        if "\0" not in text and len(text.encode()) <= LONGEST_VALUE:
            variables[PREFIX + _NOT_IN_NAMES.sub("_", name.upper())] = text
    return variables
