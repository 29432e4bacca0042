"""Put right what a killed command left behind. Called with the agent's lock held, before anything else."""

from __future__ import annotations

import logging

from ploinky.lifecycle.context import LifecycleContext
from ploinky.lifecycle.emitting import Emit
from ploinky.lifecycle.journal import JournalFile, kill_marked
from ploinky.lifecycle.records import change_entry, move, without_sandbox
from ploinky.lifecycle.sandboxes import sandbox_name
from ploinky.lifecycle.steps import Step
from ploinky.wire.events import Notice
from ploinky.workspace.states import AgentState

_LOG = logging.getLogger(__name__)
_IN_WORK = frozenset({AgentState.CREATING, AgentState.STARTING})


async def recover(ctx: LifecycleContext, key: str, emit: Emit | None = None) -> bool:
    """Finish off a dead start, if there was one; whether there was.

    Its programs on the host are killed. A sandbox whose installs did not end is removed with all that
    was made for it; one whose installs are recorded is kept, and the next start goes on from there.

    Raises:
        NotFoundError: AGENT_NOT_ENABLED. PloinkyError: of the runtime.
    """
    journal_file = JournalFile(ctx.layout, key)
    journal = journal_file.read()
    if journal is None:
        return False
    entry = ctx.registry.require(key)
    killed = await kill_marked(journal.start_id)
    half_made = entry.install_digest is None
    if half_made:
        for name in {journal.sandbox or sandbox_name(ctx, entry), sandbox_name(ctx, entry)}:
            await ctx.runtime.remove(name)
        await change_entry(ctx, key, without_sandbox)
    if entry.state in _IN_WORK:
        state = AgentState.ENABLED if half_made else AgentState.STOPPED
        await move(ctx, key, state, "an interrupted start was cleaned up", emit=emit)
    journal_file.clear()
    _LOG.info("agent %s: cleaned up after a start that died in step %s", key, journal.step)
    if emit is not None:
        title = Step(journal.step).title if journal.step in set(Step) else "unknown"
        left = f", {killed} left-over programs ended" if killed else ""
        message = f"An earlier start of '{key}' was interrupted in step {journal.step} ({title}){left}."
        await emit(Notice(message=message, agent=key))
    return True
