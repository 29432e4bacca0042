// Home: the agents and how they are; who needs whom; the active profile and what it lacks.

import { lazy, Suspense, useState } from "react";
import { useLocation, useParams } from "wouter";
import { Boxes, Play, Plus, Square } from "lucide-react";
import { useCall, useChange } from "../../api/hooks";
import type { AgentStatus, OperationAnswer, WorkspaceStatus } from "../../api/types";
import { plural } from "../../api/text";
import { Button, Empty, ErrorNote, PageHead, Skeleton } from "../../ui/parts";
import { useToast } from "../../ui/toast";
import { AddAgent } from "./AddAgent";
import { AgentCard } from "./AgentCard";
import { AgentDialog } from "./AgentDialog";
import { ProfileCard } from "./ProfileCard";
import { useUsage } from "./usage";
import "./home.css";

const GraphCard = lazy(() => import("./GraphCard"));

function summary(agents: AgentStatus[]): string {
  const ready = agents.filter((agent) => agent.ready).length;
  const failed = agents.filter((agent) => agent.state === "FAILED").length;
  if (agents.length === 0) return "No agent yet";
  const words = [`${plural(agents.length, "agent")}, ${ready} ready`];
  if (failed) words.push(`${failed} failed`);
  return words.join(", ");
}

export function Home() {
  const status = useCall<WorkspaceStatus>("agents.status");
  const usage = useUsage();
  const toast = useToast();
  const [, go] = useLocation();
  const { agent: shown } = useParams<{ agent?: string }>();
  const [adding, setAdding] = useState(false);
  const startAll = useChange<object, OperationAnswer>("agents.start", ["agents.status"]);
  const stopAll = useChange<object, OperationAnswer>("agents.stop", ["agents.status"]);
  const agents = status.data?.agents ?? [];
  const busy = startAll.isPending || stopAll.isPending;
  const selected = agents.find((agent) => agent.name === shown);

  const run = (change: typeof startAll, done: string) =>
    change.mutate({}, { onSuccess: () => toast.say(done), onError: toast.fail });

  return (
    <div className="page">
      <PageHead title="Home" about={status.data ? summary(agents) : "Your agents and how they are"}>
        {agents.length > 0 && (
          <>
            <Button changes icon={<Play size={15} aria-hidden />} busy={startAll.isPending} disabled={busy} onClick={() => run(startAll, "All agents were started.")}>
              Start all
            </Button>
            <Button changes icon={<Square size={14} aria-hidden />} busy={stopAll.isPending} disabled={busy} onClick={() => run(stopAll, "All agents were stopped.")}>
              Stop all
            </Button>
          </>
        )}
        <Button kind="primary" icon={<Plus size={16} aria-hidden />} onClick={() => setAdding(true)}>
          Add agent
        </Button>
      </PageHead>

      {status.error && <ErrorNote error={status.error} onRetry={() => void status.refetch()} />}
      {status.isPending && !status.error && (
        <div className="agent-grid">
          {[0, 1, 2].map((index) => (
            <div key={index} className="card">
              <Skeleton lines={4} />
            </div>
          ))}
        </div>
      )}
      {status.data && agents.length === 0 && (
        <div className="card">
          <Empty
            icon={<Boxes size={36} strokeWidth={1.5} aria-hidden />}
            title="No agent is enabled yet"
            action={
              <Button kind="primary" onClick={() => setAdding(true)}>
                Add the first one
              </Button>
            }
          >
            An agent is any program in a sandbox that offers tools. Choose one from your repositories, or make one with{" "}
            <code>ploinky new agent</code>.
          </Empty>
        </div>
      )}
      {agents.length > 0 && (
        <ul className="agent-grid plain" aria-label="Agents">
          {agents.map((agent) => (
            <AgentCard key={agent.name} agent={agent} usage={usage[agent.name]} onOpen={() => go(`/agents/${agent.name}`)} />
          ))}
        </ul>
      )}
      {status.data && (
        <div className="home-lower">
          <Suspense fallback={<div className="card"><Skeleton /></div>}>
            <GraphCard agents={agents} onOpen={(name) => go(`/agents/${name}`)} />
          </Suspense>
          <ProfileCard />
        </div>
      )}
      <AddAgent open={adding} onClose={() => setAdding(false)} />
      <AgentDialog agent={selected} onClose={() => go("/")} />
    </div>
  );
}
