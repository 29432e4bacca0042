import { useQueries } from "@tanstack/react-query";
import { Link } from "wouter";
import { Bot, CircleStop } from "lucide-react";
import { useCall, useChange, useEvents } from "../../api/hooks";
import { rpc } from "../../api/rpc";
import { ago } from "../../api/text";
import { Badge, Button, Empty, Skeleton } from "../../ui/parts";
import { useToast } from "../../ui/toast";
import { chatPath } from "../chat/Sessions";
import type { Profiles, RunFacts } from "../chat/types";
import { StateBadge } from "./TasksPart";

interface RunRow extends RunFacts {
  profileId: string;
  kind: string;
  createdAt: string;
  usage: { inputTokens?: number; outputTokens?: number };
}

const EACH = 20;
const MOST = 60;
const KINDS: Record<string, string> = { user: "asked", cron: "job", heartbeat: "heartbeat", ask: "asked by another" };

/** The last runs of all assistants: what a person asked, what a job or the heartbeat began. */
export function RunsCard() {
  const toast = useToast();
  const profiles = useCall<Profiles>("profile.list");
  const ids = (profiles.data?.profiles ?? []).map((profile) => profile.profileId);
  const runs = useQueries({
    queries: ids.map((profileId) => ({
      queryKey: ["agent.runs", { profileId, limit: EACH }],
      queryFn: () => rpc<RunRow[]>("agent.runs", { profileId, limit: EACH }),
    })),
    combine: (all) => ({
      rows: all.flatMap((each) => each.data ?? []).sort((one, other) => other.createdAt.localeCompare(one.createdAt)).slice(0, MOST),
      again: () => all.forEach((each) => void each.refetch()),
    }),
  });
  useEvents("runs", (event) => ["started", "done", "queued", "approval_needed"].includes(event.kind) && runs.again());
  const cancel = useChange<{ profileId: string; runId: string }>("agent.cancel", ["agent.runs"]);
  return (
    <section className="card flush" aria-labelledby="runs-title">
      <div className="card-head">
        <div>
          <h2 id="runs-title">Runs of assistants</h2>
          <p className="soft small">Turns of conversations, jobs and heartbeats.</p>
        </div>
      </div>
      {profiles.isPending && !profiles.error && <Skeleton />}
      {profiles.data && runs.rows.length === 0 && <Empty icon={<Bot size={32} strokeWidth={1.5} aria-hidden />} title="No run yet">Say something to an assistant, or give it a job.</Empty>}
      {runs.rows.length > 0 && (
        <div className="table-wrap" tabIndex={0} role="group" aria-label="Runs of assistants">
          <table>
            <thead>
              <tr>
                <th>Assistant</th>
                <th>Conversation</th>
                <th>State</th>
                <th>Begun by</th>
                <th className="number">Tokens</th>
                <th>When</th>
                <th>
                  <span className="hidden-text">End it</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {runs.rows.map((run) => (
                <tr key={run.runId}>
                  <td>{run.profileId}</td>
                  <td>
                    <Link href={chatPath(run.profileId, run.sessionId)}>{run.sessionId}</Link>
                    {run.error && <div className="bad-text small">{run.error.message}</div>}
                  </td>
                  <td>
                    <StateBadge state={run.status} moving={!run.ended} />
                  </td>
                  <td>
                    <Badge>{KINDS[run.kind] ?? run.kind}</Badge>
                  </td>
                  <td className="number">{((run.usage.inputTokens ?? 0) + (run.usage.outputTokens ?? 0)).toLocaleString()}</td>
                  <td className="soft nowrap">{ago(run.createdAt)} ago</td>
                  <td className="number">
                    {!run.ended && (
                      <Button size="small" kind="quiet" icon={<CircleStop size={15} />} label={`End the run in ${run.sessionId}`} onClick={() => cancel.mutate({ profileId: run.profileId, runId: run.runId }, { onError: toast.fail })} />
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
