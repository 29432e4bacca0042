#!/usr/bin/env python3
"""Three tools over PDF files in the shared folder; the first argument says which.

One JSON line on stdin holds ``{"tool", "input", "metadata"}``; the answer goes to stdout. A line
``{"progress": 0.5, "message": ...}`` on stderr is shown to the caller while it waits.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pypdf import PdfReader
from pypdf.errors import PdfReadError

SHARED = Path("/shared")


class ToolError(Exception):
    """Something the caller can mend."""


def open_pdf(name: str) -> PdfReader:
    path = (SHARED / name).resolve()
    if SHARED.resolve() not in path.parents:
        raise ToolError(f"'{name}' lies outside the shared folder.")
    if not path.is_file():
        have = ", ".join(sorted(str(each.relative_to(SHARED)) for each in SHARED.rglob("*.pdf"))) or "none"
        raise ToolError(f"There is no file '{name}' in the shared folder. PDF files there: {have}.")
    return PdfReader(path)


def info(arguments: dict[str, Any]) -> str:
    reader = open_pdf(arguments["path"])
    facts = reader.metadata
    return json.dumps(
        {
            "pages": len(reader.pages),
            "title": facts.title if facts else None,
            "author": facts.author if facts else None,
            "encrypted": reader.is_encrypted,
        }
    )


def text(arguments: dict[str, Any]) -> str:
    reader = open_pdf(arguments["path"])
    first = arguments.get("first", 1)
    last = min(arguments.get("last", len(reader.pages)), len(reader.pages))
    if first > len(reader.pages):
        raise ToolError(f"The file has {len(reader.pages)} pages; page {first} is past its end.")
    return "\n\n".join(f"[page {n}]\n{reader.pages[n - 1].extract_text()}" for n in range(first, last + 1))


def hits(needle: str, files: list[Path]) -> Iterator[str]:
    for number, path in enumerate(files, 1):
        report = {"progress": number / len(files), "message": path.name}
        print(json.dumps(report), file=sys.stderr, flush=True)
        for page_number, page in enumerate(PdfReader(path).pages, 1):
            for line in page.extract_text().splitlines():
                if needle in line.lower():
                    yield f"{path.relative_to(SHARED)}, page {page_number}: {line.strip()}"


def search(arguments: dict[str, Any]) -> str:
    found = []
    for hit in hits(arguments["text"].lower(), sorted(SHARED.rglob("*.pdf"))):
        found.append(hit)
        if len(found) >= arguments.get("limit", 50):
            break
    return "\n".join(found) or "No page contains that text."


TOOLS = {"info": info, "text": text, "search": search}


def main() -> int:
    try:
        print(TOOLS[sys.argv[1]](json.loads(sys.stdin.readline())["input"]))
    except (ToolError, PdfReadError) as error:
        print(json.dumps({"error": str(error)}))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
