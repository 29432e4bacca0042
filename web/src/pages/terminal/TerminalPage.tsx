// A shell inside an agent, in the browser; never on the host.

import { lazy, Suspense, useState } from "react";
import { Link, useLocation, useParams } from "wouter";
import { RotateCw, SquareTerminal } from "lucide-react";
import { useCall } from "../../api/hooks";
import type { WorkspaceStatus } from "../../api/types";
import { runs } from "../home/state";
import { Button, Empty, ErrorNote, Field, PageHead, Skeleton } from "../../ui/parts";
import "./terminal.css";

const TerminalView = lazy(() => import("./TerminalView"));

export default function TerminalPage() {
  const status = useCall<WorkspaceStatus>("agents.status");
  const { agent } = useParams<{ agent?: string }>();
  const [, go] = useLocation();
  const [round, setRound] = useState(0);
  const running = (status.data?.agents ?? []).filter(runs);
  const chosen = running.find((each) => each.name === agent);

  return (
    <div className="page full terminal-page">
      <PageHead title="Terminal" about="A shell inside an agent's sandbox. It sees what the agent sees, and nothing else.">
        {running.length > 0 && (
          <Field label={<span className="hidden-text">Agent</span>}>
            {(props) => (
              <select {...props} className="input" value={chosen?.name ?? ""} onChange={(event) => go(`/terminal/${event.target.value}`)}>
                <option value="" disabled>
                  Choose an agent
                </option>
                {running.map((each) => (
                  <option key={each.name}>{each.name}</option>
                ))}
              </select>
            )}
          </Field>
        )}
        {chosen && (
          <Button icon={<RotateCw size={15} aria-hidden />} onClick={() => setRound(round + 1)}>
            New shell
          </Button>
        )}
      </PageHead>
      {status.error && <ErrorNote error={status.error} onRetry={() => void status.refetch()} />}
      {status.isPending && !status.error && <Skeleton lines={6} />}
      {status.data && running.length === 0 && (
        <div className="card">
          <Empty icon={<SquareTerminal size={36} strokeWidth={1.5} aria-hidden />} title="No agent runs">
            <Link href="/">Start one</Link> to look inside.
          </Empty>
        </div>
      )}
      {running.length > 0 && !chosen && (
        <div className="card">
          <Empty icon={<SquareTerminal size={36} strokeWidth={1.5} aria-hidden />} title="Choose an agent">
            Its shell opens here.
          </Empty>
        </div>
      )}
      {chosen && (
        <Suspense fallback={<Skeleton lines={8} />}>
          <TerminalView key={`${chosen.name}${round}`} agent={chosen.name} />
        </Suspense>
      )}
    </div>
  );
}
