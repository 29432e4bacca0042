"""Which built-in tools an assistant gets, each made of exactly the parts of it that the tool may use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ploinky.assistants.assistant import Assistant
from ploinky.assistants.autonomy.cron import Cron
from ploinky.assistants.autonomy.heartbeat import Heartbeat
from ploinky.assistants.journal import EventKind
from ploinky.assistants.reach import OWN
from ploinky.assistants.services import AssistantServices
from ploinky.assistants.toolkit import ToolUse
from ploinky.assistants.tools.files import make_file_tools
from ploinky.assistants.tools.memory import make_memory_tools
from ploinky.assistants.tools.others import AskOther, make_ask_tool, make_credential_tool
from ploinky.assistants.tools.run import make_exec_tool
from ploinky.assistants.tools.schedule import make_schedule_tool
from ploinky.assistants.tools.web import make_web_tools
from ploinky.base.jsontypes import JsonObject


def equip(
    assistant: Assistant,
    services: AssistantServices,
    names: Callable[[], Sequence[str]],
    ask: AskOther,
) -> None:
    """Give ``assistant`` its tools."""

    async def request_credential(arguments: JsonObject, use: ToolUse) -> None:
        session, run_id = use.run.session.id, use.run.id
        await assistant.journal.append(session, EventKind.CREDENTIAL_NEEDED, arguments, run_id=run_id)

    cron, heartbeat = Cron(assistant), Heartbeat(assistant)
    assistant.equip(
        [
            *make_memory_tools(assistant.memory),
            *make_file_tools(assistant.reach),
            *make_web_tools(services.fetching),
            make_ask_tool(assistant.id, names, ask),
            make_credential_tool(request_credential),
            make_schedule_tool(cron, assistant.settings.cron.time_zone),
            *services.skills.tools(assistant.id, request_credential),
            make_exec_tool(lambda: own_folder(assistant), services.sandbox),
        ],
        cron,
        heartbeat,
    )


def own_folder(assistant: Assistant) -> Path:
    """The assistant's own workspace, made if it is missing."""
    return assistant.reach.require_area(OWN).path
