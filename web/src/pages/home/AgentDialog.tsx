import { useState } from "react";
import { Link } from "wouter";
import { SquareTerminal, Trash2 } from "lucide-react";
import { useCall, useChange } from "../../api/hooks";
import type { AgentStatus, ToolRow } from "../../api/types";
import { stamp } from "../../api/text";
import { Confirm, Dialog } from "../../ui/Dialog";
import { Badge, Button, Empty, ErrorNote, Skeleton } from "../../ui/parts";
import { Tabs } from "../../ui/Tabs";
import { useToast } from "../../ui/toast";
import { LogView } from "./LogView";
import { lookOf, runs } from "./state";

const TABS = [
  { id: "log", name: "Log" },
  { id: "tools", name: "Tools" },
  { id: "facts", name: "Facts" },
];

function Facts({ agent }: { agent: AgentStatus }) {
  const rows: [string, string][] = [
    ["State", `${lookOf(agent).word}${agent.reason ? `: ${agent.reason}` : ""}`],
    ["From", `${agent.repo}/${agent.agent}`],
    ["Profile", agent.profile ?? "–"],
    ["Engine", agent.runtime ?? "–"],
    ["Works on", agent.mode ?? "–"],
    ["Ports", agent.ports.join(", ") || "none"],
    ["Image", agent.image || "–"],
    ["Started", agent.startedAt ? stamp(agent.startedAt) : "–"],
    ["Restarts", String(agent.restarts)],
  ];
  return (
    <dl className="facts">
      {rows.map(([name, value]) => (
        <div key={name} style={{ display: "contents" }}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function ToolList({ agent }: { agent: AgentStatus }) {
  const tools = useCall<ToolRow[]>("tools.list", { agent: agent.name }, { enabled: agent.ready });
  if (!agent.ready) return <Empty title="Its tools are away">They are offered while the agent is ready.</Empty>;
  if (tools.error) return <ErrorNote error={tools.error} />;
  if (!tools.data) return <Skeleton />;
  if (tools.data.length === 0) return <Empty title="It offers no tools" />;
  return (
    <ul className="plain stack tight">
      {tools.data.map((tool) => (
        <li key={tool.name} className="tool-line">
          <Link href={`/tools/${agent.name}/${tool.name}`} className="mono">
            {tool.name}
          </Link>
          <span className="soft small">{tool.description}</span>
        </li>
      ))}
    </ul>
  );
}

function Disable({ agent, onDone }: { agent: AgentStatus; onDone: () => void }) {
  const [asking, setAsking] = useState(false);
  const toast = useToast();
  const disable = useChange<{ agent: string }>("agents.disable", ["agents.status", "agents.list", "agents.graph"]);
  return (
    <>
      <Button kind="danger" size="small" icon={<Trash2 size={14} aria-hidden />} onClick={() => setAsking(true)}>
        Disable
      </Button>
      <Confirm
        open={asking}
        title={`Disable ${agent.name}?`}
        action="Disable"
        danger
        busy={disable.isPending}
        onClose={() => setAsking(false)}
        onConfirm={() =>
          disable.mutate(
            { agent: agent.name },
            {
              onSuccess: () => {
                toast.say(`${agent.name} was disabled.`);
                onDone();
              },
              onError: toast.fail,
            },
          )
        }
      >
        It is stopped and its sandbox is removed. Its data in <code>agents/{agent.name}</code> stays.
      </Confirm>
    </>
  );
}

export function AgentDialog({ agent, onClose }: { agent: AgentStatus | undefined; onClose: () => void }) {
  const [tab, setTab] = useState("log");
  return (
    <Dialog open={agent !== undefined} onClose={onClose} title={agent?.name ?? ""} wide>
      {agent && (
        <>
          <div className="row wrap tight">
            <Badge tone={lookOf(agent).tone} dot pulse={lookOf(agent).moving}>
              {lookOf(agent).word}
            </Badge>
            <span className="grow" />
            {runs(agent) && (
              <Link href={`/terminal/${agent.name}`} className="button small">
                <SquareTerminal size={15} aria-hidden /> Terminal
              </Link>
            )}
            <Disable agent={agent} onDone={onClose} />
          </div>
          <Tabs label={`About ${agent.name}`} tabs={TABS} current={tab} onChoose={setTab}>
            {tab === "log" && <LogView key={agent.name} agent={agent.name} />}
            {tab === "tools" && <ToolList agent={agent} />}
            {tab === "facts" && <Facts agent={agent} />}
          </Tabs>
        </>
      )}
    </Dialog>
  );
}
