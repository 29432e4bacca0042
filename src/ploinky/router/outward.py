"""Names on the way out of all agents as one server: tasks and resources by ids that say whose they are.

On the way in the directory finds the agent by them. To give one more kind of thing a public name here: a
line in ``renamed_result`` or in ``Renaming``.
"""

from __future__ import annotations

from collections.abc import Callable

from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.mcp.upstream import Back
from ploinky.router.naming import Target

_MARK = ":"  # no agent has it in its name
PublicUri = Callable[[str, str], str]
"""The public URI of an agent's resource."""


def public_task(agent: str, own: JsonValue) -> str:
    """The public id of an agent's task."""
    return f"{agent}{_MARK}{own}"


def own_task(public: JsonValue) -> Target | None:
    """Whose task a public id names, by which id of its own; None if it is no such id."""
    agent, mark, own = public.partition(_MARK) if isinstance(public, str) else ("", "", "")
    return Target(agent, own) if mark else None


def renamed_result(agent: str, result: JsonObject) -> JsonObject:
    """A result of ``agent`` in public names."""
    task = result.get("task")
    if isinstance(task, dict) and isinstance(task.get("taskId"), str):
        result = {**result, "task": {**task, "taskId": public_task(agent, task["taskId"])}}
    if isinstance(result.get("taskId"), str):
        result = {**result, "taskId": public_task(agent, result["taskId"])}
    return result


class Renaming:
    """A way back on which things have their public names."""

    def __init__(self, back: Back, agent: str, public_uri: PublicUri) -> None:
        self._back = back
        self._agent = agent
        self._public_uri = public_uri

    def notify(self, method: str, params: JsonObject) -> None:
        self._back.notify(method, self._renamed(params))

    async def ask(self, method: str, params: JsonObject) -> JsonObject:
        return await self._back.ask(method, params)

    def _renamed(self, params: JsonObject) -> JsonObject:
        uri, task_id = params.get("uri"), params.get("taskId")
        if isinstance(uri, str):
            params = {**params, "uri": self._public_uri(self._agent, uri)}
        if isinstance(task_id, str):
            params = {**params, "taskId": public_task(self._agent, task_id)}
        return params
