"""``web_fetch``: a page of the public web as text; private addresses are out of reach."""

from __future__ import annotations

from html.parser import HTMLParser

from ploinky.assistants.toolkit import BuiltinTool, ToolOutcome, ToolSpec, ToolUse, schema, text_field
from ploinky.base.jsontypes import JsonObject
from ploinky.base.outbound import OutboundPolicy, fetch

MAX_BYTES = 4 * 1024 * 1024
_TYPES = ("text/*", "application/json", "application/xml", "application/xhtml+xml", "application/rss+xml")
_SKIPPED = frozenset({"script", "style", "noscript", "svg", "template", "head"})
_BLOCKS = frozenset({"p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "section", "article", "pre"})
PUBLIC = OutboundPolicy(
    schemes=frozenset({"https", "http"}), max_bytes=MAX_BYTES, timeout_s=30.0, content_types=_TYPES
)


def make_web_tools(policy: OutboundPolicy) -> tuple[BuiltinTool, ...]:
    """``web_fetch`` within ``policy``."""

    async def web_fetch(arguments: JsonObject, use: ToolUse) -> ToolOutcome:
        found = await fetch(str(arguments["url"]), policy=policy)
        text = found.text
        if "html" in found.content_type:
            text = page_text(text)
        return ToolOutcome(f"{found.url} ({found.status})\n\n{text}", is_error=found.status >= 400)

    spec = ToolSpec(
        "web_fetch",
        "Fetch a page of the public web and read its text.",
        schema(["url"], url=text_field("An http(s) address.", maxLength=4096)),
        outside=True,
        wary=True,
    )
    return (BuiltinTool(spec, web_fetch),)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._skipping = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._skipping += tag in _SKIPPED
        if tag in _BLOCKS:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in _SKIPPED and self._skipping:
            self._skipping -= 1

    def handle_data(self, data: str) -> None:
        if not self._skipping:
            self.pieces.append(data)


def page_text(html: str) -> str:
    """The words of a page, without mark-up, scripts and styles."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.pieces).splitlines())
    return "\n".join(line for line in lines if line)
