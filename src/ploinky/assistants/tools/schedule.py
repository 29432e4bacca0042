"""``schedule``: messages that the assistant sends to itself later."""

from __future__ import annotations

import json

from ploinky.assistants.autonomy.cron import Cron, JobWish
from ploinky.assistants.autonomy.jobs import Action
from ploinky.assistants.autonomy.schedule import parse_schedule
from ploinky.assistants.toolkit import BuiltinTool, ToolOutcome, ToolSpec, ToolUse, schema, text_field
from ploinky.base.jsontypes import JsonObject


def make_schedule_tool(cron: Cron, time_zone: str) -> BuiltinTool:
    """The tool over ``cron``; times without a zone are meant in ``time_zone``."""

    async def schedule(arguments: JsonObject, use: ToolUse) -> ToolOutcome:
        action = str(arguments["action"])
        if action == "list":
            jobs = [job.wire() for job in cron.store.all()]
            return ToolOutcome(
                json.dumps(jobs, ensure_ascii=False, indent=1) if jobs else "There are no jobs."
            )
        if action == "remove":
            await cron.remove(str(arguments.get("id", "")))
            return ToolOutcome("Removed.")
        if not arguments.get("message"):
            return ToolOutcome("Give the message to be sent.", is_error=True)
        wanted: JsonObject = {key: arguments[key] for key in ("at", "every", "cron") if key in arguments}
        if "cron" in wanted:
            wanted["timeZone"] = arguments.get("timeZone", time_zone)
        text = str(arguments["message"])
        name = str(arguments.get("name") or text[:40])
        wish = JobWish(name, parse_schedule(wanted), Action(use.run.session.id, message=text))
        job = await cron.add(wish, by="the assistant")
        return ToolOutcome(f"Job {job.id} will run next at {job.next_at}.")

    actions: JsonObject = {"type": "string", "enum": ["add", "list", "remove"]}
    spec = ToolSpec(
        "schedule",
        "Have a message sent to yourself later in this session: once (at), again and again (every, cron).",
        schema(
            ["action"],
            action=actions,
            id=text_field("Of the job to remove."),
            name=text_field("A short name.", maxLength=80),
            at=text_field("A time with zone, such as 2026-05-01T09:00:00+02:00."),
            every=text_field("A span such as 2h."),
            cron=text_field("Five fields, such as 0 9 * * mon-fri."),
            timeZone=text_field("For cron, such as Europe/Paris."),
            message=text_field("What to do then, as you would ask it.", maxLength=8000),
        ),
        wary=True,
    )
    return BuiltinTool(spec, schedule)
