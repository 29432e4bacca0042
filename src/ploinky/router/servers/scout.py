"""One look at an MCP server: which eras it speaks, who it is, and everything that it lists.

The scout has a conversation of its own and says that its client can all, so that nothing is kept back.
"""

from __future__ import annotations

from dataclasses import dataclass

import anyio

from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonObject, find_object, find_text
from ploinky.mcp.messages import METHOD_NOT_FOUND, STATELESS_VERSIONS, RpcError
from ploinky.mcp.upstream import Ask, Back, ClientFacts, Conversation, Offer

_MOST_PAGES = 100
_MOST_ITEMS = 10_000
SCOUT = "scout"
CAPABLE: JsonObject = {"elicitation": {}, "sampling": {}, "roots": {"listChanged": True}}
EVERY_LIST: JsonObject = {
    "notifications": {
        "toolsListChanged": True,
        "promptsListChanged": True,
        "resourcesListChanged": True,
    }
}
SCOUT_SESSION = ClientFacts(caller=SCOUT, version="2025-11-25", capabilities=CAPABLE)
SCOUT_STATELESS = ClientFacts(
    caller=SCOUT, version=STATELESS_VERSIONS[-1], stateless=True, capabilities=CAPABLE
)


@dataclass(frozen=True)
class Found:
    """What a look found: the server's introduction, and whether it speaks each era."""

    introduction: JsonObject
    session: bool
    stateless: bool


class Deaf:
    """The way back to a scout: it only notes that something was said."""

    def __init__(self) -> None:
        self.changed = anyio.Event()

    def notify(self, method: str, params: JsonObject) -> None:
        if method.endswith("/list_changed"):
            self.changed.set()

    async def ask(self, method: str, params: JsonObject) -> JsonObject:
        if method == "roots/list":
            return {"roots": []}
        raise RpcError(METHOD_NOT_FOUND, f"The client cannot be asked {method} now.")


async def discover(talk: Conversation, back: Back) -> JsonObject | None:
    """What the server says to ``server/discover``; None if it does not know that."""
    try:
        return await talk.request(Ask(0, "server/discover", {}, SCOUT_STATELESS, back))
    except RpcError:
        return None
    except PloinkyError as error:
        if error.code == "SERVER_PROTOCOL":
            return None  # a server of the other era may refuse by HTTP alone
        raise


async def read_offer(talk: Conversation, found: Found, back: Back) -> Offer:
    """Everything that the server lists.

    Raises:
        PloinkyError: it went away, or lists without end.
    """
    introduction = found.introduction
    capabilities = find_object(introduction, "capabilities") or {}
    meta_server = (find_object(introduction, "_meta") or {}).get("io.modelcontextprotocol/serverInfo")
    info = find_object(introduction, "serverInfo") or (meta_server if isinstance(meta_server, dict) else None)

    async def listed(capability: str, method: str, member: str) -> tuple[JsonObject, ...]:
        return await _pages(talk, back, method, member) if capability in capabilities else ()

    return Offer(
        capabilities=capabilities,
        tools=await listed("tools", "tools/list", "tools"),
        resources=await listed("resources", "resources/list", "resources"),
        templates=await listed("resources", "resources/templates/list", "resourceTemplates"),
        prompts=await listed("prompts", "prompts/list", "prompts"),
        server_info=info,
        instructions=find_text(introduction, "instructions"),
        varies=True,
        keeps_state=not found.stateless,
    )


async def _pages(talk: Conversation, back: Back, method: str, member: str) -> tuple[JsonObject, ...]:
    items: list[JsonObject] = []
    cursor: str | None = None
    for _ in range(_MOST_PAGES):
        params: JsonObject = {} if cursor is None else {"cursor": cursor}
        try:
            result = await talk.request(Ask(0, method, params, SCOUT_STATELESS, back))
        except RpcError as error:
            if error.code == METHOD_NOT_FOUND:
                return ()
            raise
        page = result.get(member)
        items.extend(item for item in page if isinstance(item, dict)) if isinstance(page, list) else None
        cursor = find_text(result, "nextCursor")
        if cursor is None:
            return tuple(items)
        if len(items) > _MOST_ITEMS:
            break
    raise PloinkyError("SERVER_PROTOCOL", f"The MCP server's {method} has no end.")
