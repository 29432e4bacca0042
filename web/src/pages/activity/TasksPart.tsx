// Tasks of agents' tools, whoever started them, and runs of assistants: what is under way, what came of the last.

import { useState } from "react";
import { ListChecks } from "lucide-react";
import { useCall } from "../../api/hooks";
import { ago, sentence } from "../../api/text";
import { Badge, Button, Empty, ErrorNote, Skeleton } from "../../ui/parts";
import { RunsCard } from "./RunsCard";
import { TaskDialog } from "./TaskDialog";
import { STATE_TONES, type TaskRow } from "./types";

const LOOK_AGAIN_MS = 2000;

export function StateBadge({ state, moving }: { state: string; moving: boolean }) {
  return (
    <Badge tone={STATE_TONES[state] ?? "plain"} dot pulse={moving}>
      {sentence(state.replaceAll("_", " "))}
    </Badge>
  );
}

function TaskTable({ tasks, onOpen }: { tasks: TaskRow[]; onOpen: (id: string) => void }) {
  return (
    <div className="table-wrap" tabIndex={0} role="group" aria-label="Tasks of agents">
      <table>
        <thead>
          <tr>
            <th>Tool</th>
            <th>State</th>
            <th>Says</th>
            <th>Caller</th>
            <th>Begun</th>
            <th>
              <span className="hidden-text">Open</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {tasks.map((task) => (
            <tr key={task.taskId}>
              <td className="mono">
                {task.agent}.{task.tool}
              </td>
              <td>
                <StateBadge state={task.state} moving={!task.ended} />
              </td>
              <td className="task-says">
                {!task.ended && task.fraction !== null && (
                  <div className="progress" role="img" aria-label={`${Math.round(task.fraction * 100)} of 100`}>
                    <i style={{ width: `${Math.round(task.fraction * 100)}%` }} />
                  </div>
                )}
                <span className="soft small">{task.message ?? (task.ended ? "" : "–")}</span>
              </td>
              <td className="soft">{task.caller}</td>
              <td className="soft nowrap">{ago(task.createdAt)} ago</td>
              <td className="number">
                <Button size="small" label={`Open the task ${task.agent}.${task.tool}, ${task.state}`} onClick={() => onOpen(task.taskId)}>
                  Open
                </Button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function TasksPart() {
  const tasks = useCall<TaskRow[]>("tasks.list", { limit: 100 }, { refetchInterval: LOOK_AGAIN_MS });
  const [open, setOpen] = useState<string | null>(null);
  return (
    <>
      <section className="card flush" aria-labelledby="tasks-title">
        <div className="card-head">
          <div>
            <h2 id="tasks-title">Tasks of agents</h2>
            <p className="soft small">Calls of long tools: they go on when their client has gone, and are kept for a day.</p>
          </div>
        </div>
        {tasks.error && <ErrorNote error={tasks.error} onRetry={() => void tasks.refetch()} />}
        {tasks.isPending && !tasks.error && <Skeleton />}
        {tasks.data?.length === 0 && <Empty icon={<ListChecks size={32} strokeWidth={1.5} aria-hidden />} title="No task of late">A tool that is marked async becomes one when it is called.</Empty>}
        {tasks.data && tasks.data.length > 0 && <TaskTable tasks={tasks.data} onOpen={setOpen} />}
      </section>
      <RunsCard />
      {open !== null && <TaskDialog taskId={open} onClose={() => setOpen(null)} />}
    </>
  );
}
