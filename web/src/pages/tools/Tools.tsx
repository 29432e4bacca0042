// Tools: what every agent offers, a form for each, what came of calls.

import { useState } from "react";
import { Link, useLocation, useParams } from "wouter";
import { Wrench } from "lucide-react";
import { useCall } from "../../api/hooks";
import type { ToolRow } from "../../api/types";
import { plural } from "../../api/text";
import { Empty, ErrorNote, Field, PageHead, Skeleton } from "../../ui/parts";
import { History } from "./History";
import { ToolPanel } from "./ToolPanel";
import "./tools.css";

function grouped(tools: ToolRow[]): [string, ToolRow[]][] {
  const groups = new Map<string, ToolRow[]>();
  for (const tool of tools) {
    const agent = tool.agent ?? "other";
    groups.set(agent, [...(groups.get(agent) ?? []), tool]);
  }
  return [...groups];
}

/** A tool's own name: the public one may carry its agent in front. */
export const ownName = (tool: ToolRow): string =>
  tool.agent && tool.name.startsWith(`${tool.agent}__`) ? tool.name.slice(tool.agent.length + 2) : tool.name;

function ToolList({ tools, here }: { tools: ToolRow[]; here: string }) {
  return (
    <>
      {grouped(tools).map(([agent, rows]) => (
        <section key={agent}>
          <h3 className="tool-group">{agent}</h3>
          <ul className="plain">
            {rows.map((tool) => {
              const path = `/tools/${agent}/${ownName(tool)}`;
              return (
                <li key={tool.name}>
                  <Link href={path} className="tool-item" aria-current={path === here ? "page" : undefined}>
                    <span className="mono">{ownName(tool)}</span>
                    <span className="small faint clip">{tool.description}</span>
                  </Link>
                </li>
              );
            })}
          </ul>
        </section>
      ))}
    </>
  );
}

export default function Tools() {
  const tools = useCall<ToolRow[]>("tools.list");
  const { agent, tool } = useParams<{ agent?: string; tool?: string }>();
  const [here] = useLocation();
  const [text, setText] = useState("");
  const all = tools.data ?? [];
  const wanted = text.trim().toLowerCase();
  const fitting = all.filter((each) => `${each.name} ${each.agent} ${each.description}`.toLowerCase().includes(wanted));
  const chosen = all.find((each) => each.agent === agent && ownName(each) === tool);

  return (
    <div className="page">
      <PageHead title="Tools" about={tools.data ? `${plural(all.length, "tool")} of ${plural(grouped(all).length, "agent")} that are ready` : "What your agents offer"} />
      {tools.error && <ErrorNote error={tools.error} onRetry={() => void tools.refetch()} />}
      {tools.isPending && !tools.error && <Skeleton lines={6} />}
      {tools.data && all.length === 0 && (
        <div className="card">
          <Empty icon={<Wrench size={36} strokeWidth={1.5} aria-hidden />} title="No tools now">
            Tools come from agents that are ready. <Link href="/">Start one</Link>.
          </Empty>
        </div>
      )}
      {all.length > 0 && (
        <div className={chosen ? "tools chosen" : "tools"}>
          <nav className="card tool-list" aria-label="Tools">
            <Field label={<span className="hidden-text">Find a tool</span>}>
              {(props) => <input {...props} className="input" type="search" placeholder="Find a tool" value={text} onChange={(event) => setText(event.target.value)} />}
            </Field>
            {fitting.length === 0 && <p className="soft small">No tool fits.</p>}
            <ToolList tools={fitting} here={here} />
          </nav>
          <div className="stack">
            {chosen ? <ToolPanel key={chosen.name} tool={chosen} own={ownName(chosen)} /> : (
              <div className="card tool-hint">
                <Empty title="Choose a tool">A form is made from what it takes.</Empty>
              </div>
            )}
            <History />
          </div>
        </div>
      )}
    </div>
  );
}
