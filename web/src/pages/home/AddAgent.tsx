import { useState } from "react";
import { Link } from "wouter";
import { Play, Plus } from "lucide-react";
import { useCall, useChange } from "../../api/hooks";
import type { AgentRow, OperationAnswer } from "../../api/types";
import { Dialog } from "../../ui/Dialog";
import { Badge, Button, Empty, ErrorNote, Field, Skeleton } from "../../ui/parts";
import { useToast } from "../../ui/toast";

function Row({ row, onDone }: { row: AgentRow; onDone: () => void }) {
  const toast = useToast();
  const name = `${row.repo}/${row.agent}`;
  const enable = useChange<{ agent: string }>("agents.enable", ["agents.status", "agents.list", "agents.graph"]);
  const start = useChange<{ agent: string; wait: boolean }, OperationAnswer>("agents.start", ["agents.status", "agents.list"]);
  const on = row.enabled.length > 0;
  return (
    <li className="add-row">
      <div className="grow">
        <h3>{row.agent}</h3>
        <p className="small soft">{row.fault ? <span className="bad-text">{row.fault}</span> : row.about || "It says nothing of itself."}</p>
        <p className="faint small">{row.repo}</p>
      </div>
      {on ? (
        <Badge tone="good">Enabled</Badge>
      ) : (
        <div className="row tight">
          <Button
            size="small"
            label={`Enable ${row.agent}`}
            icon={<Plus size={14} aria-hidden />}
            busy={enable.isPending}
            disabled={row.fault !== null}
            onClick={() => enable.mutate({ agent: name }, { onSuccess: () => toast.say(`${row.agent} is enabled.`), onError: toast.fail })}
          >
            Enable
          </Button>
          <Button
            size="small"
            kind="primary"
            label={`Start ${row.agent}`}
            icon={<Play size={13} aria-hidden />}
            busy={start.isPending}
            disabled={row.fault !== null}
            onClick={() =>
              start.mutate(
                { agent: name, wait: false },
                {
                  onSuccess: () => {
                    toast.say(`${row.agent} is being started.`, "info");
                    onDone();
                  },
                  onError: toast.fail,
                },
              )
            }
          >
            Start
          </Button>
        </div>
      )}
    </li>
  );
}

export function AddAgent({ open, onClose }: { open: boolean; onClose: () => void }) {
  const [text, setText] = useState("");
  const agents = useCall<AgentRow[]>("agents.list", {}, { enabled: open });
  const wanted = text.trim().toLowerCase();
  const rows = (agents.data ?? []).filter((row) => `${row.repo}/${row.agent} ${row.about}`.toLowerCase().includes(wanted));
  return (
    <Dialog open={open} onClose={onClose} title="Add an agent" wide>
      <Field label="Find">
        {(props) => (
          <input {...props} className="input" type="search" placeholder="Name, repository or what it does" value={text} onChange={(event) => setText(event.target.value)} />
        )}
      </Field>
      {agents.error && <ErrorNote error={agents.error} onRetry={() => void agents.refetch()} />}
      {agents.isPending && open && !agents.error && <Skeleton lines={5} />}
      {agents.data && rows.length === 0 && (
        <Empty title={wanted ? "No agent fits" : "No repository has agents"}>
          Add a repository in the <Link href="/settings/repositories">settings</Link>, or with <code>ploinky add repo</code>.
        </Empty>
      )}
      <ul className="plain add-list">
        {rows.map((row) => (
          <Row key={`${row.repo}/${row.agent}`} row={row} onDone={onClose} />
        ))}
      </ul>
    </Dialog>
  );
}
