"""JSON files of ours: read strictly, written whole.

A file that is missing is None; a file that cannot be parsed is an error with path, line and column, and
stays as it is. Knows nothing of what the files mean; the readers of each file check the shape.
"""

from __future__ import annotations

import json
from pathlib import Path

from ploinky.base.errors import PloinkyError
from ploinky.base.files import read_text, write_atomic

CONFIG_INVALID = "CONFIG_INVALID"
"""The code of every fault in ``config.json``."""


def read_json(path: Path, *, code: str) -> object | None:
    """The value that ``path`` holds, or None if there is no such file.

    Raises:
        PloinkyError: ``code`` with path, line and column if it is not JSON; ``FILE_READ``.
    """
    text = read_text(path)
    if text is None:
        return None
    try:
        value: object = json.loads(text)
    except json.JSONDecodeError as error:
        raise _syntax_error(path, code, error.lineno, error.colno, error.msg) from None
    except RecursionError:
        raise _syntax_error(path, code, 1, 1, "nested too deeply") from None
    return value


def read_json_object(path: Path, *, code: str) -> dict[str, object] | None:
    """Like ``read_json`` for a file whose top must be an object."""
    value = read_json(path, code=code)
    if value is None or isinstance(value, dict):
        return value
    raise shape_error(path, code, "the top level must be an object")


def write_json(path: Path, value: object, *, mode: int = 0o600) -> None:
    """Replace ``path`` by ``value`` as indented JSON; the caller holds the file's lock."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    write_atomic(path, (text + "\n").encode("utf-8", "surrogatepass"), mode=mode)


def shape_error(path: Path, code: str, fault: str, *, key: str | None = None) -> PloinkyError:
    """The error for a file that is JSON but does not hold what it should; ``fault`` quotes no values."""
    details = {"path": str(path)} | ({"key": key} if key else {})
    return PloinkyError(
        code, f"{path}: {fault}.", hint="Repair the file by hand; it was not changed.", details=details
    )


def _syntax_error(path: Path, code: str, line: int, column: int, fault: str) -> PloinkyError:
    return PloinkyError(
        code,
        f"{path}, line {line}, column {column}: not valid JSON ({fault}).",
        hint="Repair the file by hand; it was not changed.",
        details={"path": str(path), "line": str(line), "column": str(column)},
    )
