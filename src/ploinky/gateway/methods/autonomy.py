"""RPC rows of what assistants do unasked: ``heartbeat.*``, ``cron.*``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from pydantic import JsonValue as PydanticJson

from ploinky.assistants.autonomy.cron import JobWish
from ploinky.assistants.autonomy.heartbeat import FILE
from ploinky.assistants.autonomy.jobs import Action
from ploinky.assistants.autonomy.schedule import parse_schedule
from ploinky.base.jsontypes import JsonObject
from ploinky.gateway.methods.named_assistant import OfAssistant, SessionId, assistant_of
from ploinky.gateway.rpc.method import Call, Method, Scope, reading

_Id = Annotated[str, Field(min_length=1, max_length=64)]
_MOST_CHARS = 256 * 1024


class TextParams(OfAssistant):
    """``text``: the whole new content."""

    text: Annotated[str, Field(max_length=_MOST_CHARS)]


class JobParams(OfAssistant):
    """``schedule``: one of ``at``, ``every``, ``cron`` (with ``timeZone``). Either ``message`` is said to the
    assistant then, or ``tool`` is called with ``arguments``, under the same approvals as ever."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    schedule: dict[str, PydanticJson]
    session_id: SessionId = "main"
    message: Annotated[str, Field(min_length=1, max_length=20_000)] | None = None
    tool: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    arguments: dict[str, PydanticJson] = Field(default_factory=dict)
    missed: Literal["skip", "once"] | None = None
    retries: Annotated[int, Field(ge=0, le=20)] | None = None
    enabled: bool = True

    @model_validator(mode="after")
    def _one_action(self) -> JobParams:
        if (self.message is None) == (self.tool is None):
            raise ValueError("give either message or tool")
        return self

    def wish(self) -> JobWish:
        action = Action(self.session_id, self.message, self.tool, dict(self.arguments) if self.tool else None)
        schedule = parse_schedule(self.schedule)
        return JobWish(self.name, schedule, action, self.missed, self.retries, self.enabled)


class OfJob(OfAssistant):
    """``id``: as ``cron.add`` gave it."""

    id: _Id


class UpdateParams(JobParams):
    """``id``, and the job as it shall be, whole."""

    id: _Id


class HistoryParams(OfAssistant):
    """``id``: of one job; left out, of all."""

    id: _Id | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


async def poll_heartbeat(call: Call, params: OfAssistant) -> JsonObject:
    """When the heartbeat beats next, what came of the last, and what would keep it from beating now."""
    return {"profileId": (found := assistant_of(call, params)).id, **found.heartbeat.poll()}


async def get_heartbeat(call: Call, params: OfAssistant) -> JsonObject:
    """The text of HEARTBEAT.md; null if there is none."""
    return {"name": FILE, "text": assistant_of(call, params).substrate.read(FILE)}


async def update_heartbeat(call: Call, params: TextParams) -> JsonObject:
    """Replace HEARTBEAT.md."""
    assistant_of(call, params).substrate.write(FILE, params.text)
    return {"name": FILE, "bytes": len(params.text.encode())}


async def run_heartbeat(call: Call, params: OfAssistant) -> JsonObject:
    """Beat now; answers with what came of it."""
    assistant = assistant_of(call, params)
    return {"profileId": assistant.id, "outcome": await assistant.heartbeat.beat()}


async def list_jobs(call: Call, params: OfAssistant) -> list[JsonObject]:
    """The jobs of an assistant with their next times."""
    return [job.wire() for job in assistant_of(call, params).cron.store.all()]


async def add_job(call: Call, params: JobParams) -> JsonObject:
    """Add a job."""
    return (await assistant_of(call, params).cron.add(params.wish(), by=str(call.caller))).wire()


async def update_job(call: Call, params: UpdateParams) -> JsonObject:
    """Replace a job; its history stays."""
    return (await assistant_of(call, params).cron.update(params.id, params.wish())).wire()


async def remove_job(call: Call, params: OfJob) -> JsonObject:
    """Forget a job with its history."""
    await assistant_of(call, params).cron.remove(params.id)
    return {"id": params.id, "removed": True}


async def run_job(call: Call, params: OfJob) -> JsonObject:
    """Run a job now, beside its times; answers with how it went."""
    return (await assistant_of(call, params).cron.run_now(params.id)).wire()


async def history(call: Call, params: HistoryParams) -> list[JsonObject]:
    """How runs of jobs went, the newest first."""
    found = assistant_of(call, params).cron.store.history(params.id, params.limit)
    return [each.wire() for each in found]


_USE, _MANAGE = Scope.ASSISTANTS_USE, Scope.ASSISTANTS_MANAGE
AUTONOMY_METHODS: tuple[Method[Any], ...] = (
    reading("heartbeat.poll", OfAssistant, dict[str, Any], _USE, poll_heartbeat),
    reading("heartbeat.getFile", OfAssistant, dict[str, Any], _USE, get_heartbeat),
    Method("heartbeat.update", TextParams, dict[str, Any], _MANAGE, update_heartbeat),
    Method("heartbeat.run", OfAssistant, dict[str, Any], _MANAGE, run_heartbeat),
    reading("cron.list", OfAssistant, list[dict[str, Any]], _USE, list_jobs),
    Method("cron.add", JobParams, dict[str, Any], _MANAGE, add_job),
    Method("cron.update", UpdateParams, dict[str, Any], _MANAGE, update_job),
    Method("cron.remove", OfJob, dict[str, Any], _MANAGE, remove_job),
    Method("cron.run", OfJob, dict[str, Any], _MANAGE, run_job),
    reading("cron.history", HistoryParams, list[dict[str, Any]], _USE, history),
)
