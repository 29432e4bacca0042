import { Play, RotateCw, ScrollText, Square } from "lucide-react";
import { useChange, useLink } from "../../api/hooks";
import type { AgentStatus, OperationAnswer } from "../../api/types";
import { ago, bytes } from "../../api/text";
import { Badge, Button } from "../../ui/parts";
import { useToast } from "../../ui/toast";
import { Sparkline } from "./Sparkline";
import { lookOf, runs } from "./state";
import type { Sample } from "./usage";

interface Props {
  agent: AgentStatus;
  usage: Sample[] | undefined;
  onOpen: () => void;
}

export function useLife(agent: string) {
  const toast = useToast();
  const refresh = ["agents.status", "tools.list"];
  const start = useChange<{ agent: string }, OperationAnswer>("agents.start", refresh);
  const stop = useChange<{ agent: string }, OperationAnswer>("agents.stop", refresh);
  const restart = useChange<{ agent: string }, OperationAnswer>("agents.restart", refresh);
  const run = (change: typeof start, done: string) => () =>
    change.mutate({ agent }, { onSuccess: () => toast.say(`${agent} ${done}.`), onError: toast.fail });
  return {
    start: run(start, "was started"),
    stop: run(stop, "was stopped"),
    restart: run(restart, "was restarted"),
    starting: start.isPending,
    stopping: stop.isPending,
    restarting: restart.isPending,
    busy: start.isPending || stop.isPending || restart.isPending,
  };
}

function Use({ usage }: { usage: Sample[] | undefined }) {
  const last = usage?.at(-1);
  return (
    <div className="agent-use">
      <div>
        <span className="faint">CPU</span> <b>{last ? `${Math.round(last.cpu * 100)} %` : "–"}</b>
        <Sparkline values={(usage ?? []).map((sample) => sample.cpu)} floor={0.1} label="CPU of late" />
      </div>
      <div>
        <span className="faint">Memory</span> <b>{last ? bytes(last.memory) : "–"}</b>
        <Sparkline values={(usage ?? []).map((sample) => sample.memory)} floor={1_000_000} label="Memory of late" />
      </div>
    </div>
  );
}

export function AgentCard({ agent, usage, onOpen }: Props) {
  const life = useLife(agent.name);
  const look = lookOf(agent);
  const running = runs(agent);
  const offline = useLink() === "lost";
  return (
    <li className="card agent-card">
      <div className="row apart top">
        <div className="grow">
          <h2 className="clip">
            <a href={`/agents/${agent.name}`} onClick={(event) => { event.preventDefault(); onOpen(); }}>
              {agent.name}
            </a>
          </h2>
          <p className="faint small clip">
            {agent.repo}
            {agent.profile && ` · ${agent.profile}`}
            {agent.startedAt && running && ` · up ${ago(agent.startedAt)}`}
            {agent.restarts > 0 && ` · ${agent.restarts} restarts`}
          </p>
        </div>
        <Badge tone={offline ? "plain" : look.tone} dot pulse={look.moving && !offline}>
          {offline ? `Last seen ${look.word.toLowerCase()}` : look.word}
        </Badge>
      </div>
      {running ? <Use usage={usage} /> : <p className="agent-reason soft small">{agent.reason && agent.reason !== "enabled" ? agent.reason : "It was not started yet."}</p>}
      {running && !agent.ready && agent.reason && <p className="warn-text small clip" title={agent.reason}>{agent.reason}</p>}
      <div className="row tight agent-actions">
        {running ? (
          <>
            <Button size="small" icon={<Square size={13} aria-hidden />} changes busy={life.stopping} disabled={life.busy} onClick={life.stop} label={`Stop ${agent.name}`}>
              Stop
            </Button>
            <Button size="small" icon={<RotateCw size={14} aria-hidden />} changes busy={life.restarting} disabled={life.busy} onClick={life.restart} label={`Restart ${agent.name}`}>
              Restart
            </Button>
          </>
        ) : (
          <Button size="small" kind="primary" icon={<Play size={14} aria-hidden />} busy={life.starting} disabled={life.busy} onClick={life.start} label={`Start ${agent.name}`}>
            Start
          </Button>
        )}
        <span className="grow" />
        <Button size="small" kind="quiet" icon={<ScrollText size={15} aria-hidden />} onClick={onOpen} label={`Details of ${agent.name}`}>
          Details
        </Button>
      </div>
    </li>
  );
}
