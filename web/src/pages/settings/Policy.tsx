import { type FormEvent, useState } from "react";
import { ShieldCheck, Trash2 } from "lucide-react";
import { useChange } from "../../api/hooks";
import type { ConfigAnswer, Json, JsonMap } from "../../api/types";
import { Badge, Button, Empty, Field } from "../../ui/parts";
import { useToast } from "../../ui/toast";
import type { PartProps } from "./Settings";

interface Rule {
  caller: string;
  agents: string[];
  tools: string[];
  allow: boolean;
  rate: number | null;
  approval: boolean;
}

const listOf = (text: string): string[] => text.split(/[\s,]+/).filter(Boolean);

function NewRule({ onAdd, busy }: { onAdd: (rule: Rule) => void; busy: boolean }) {
  const [caller, setCaller] = useState("");
  const [agents, setAgents] = useState("*");
  const [tools, setTools] = useState("*");
  const [what, setWhat] = useState("allow");

  function add(event: FormEvent) {
    event.preventDefault();
    onAdd({ caller: caller.trim(), agents: listOf(agents), tools: listOf(tools), allow: what !== "deny", approval: what === "approval", rate: null });
    setCaller("");
  }

  return (
    <form className="rule-form" onSubmit={add}>
      <Field label="Caller" help="A token's name, agent:NAME, or a glob.">
        {(props) => <input {...props} className="input mono" required value={caller} onChange={(event) => setCaller(event.target.value)} placeholder="agent:*" />}
      </Field>
      <Field label="Agents">{(props) => <input {...props} className="input mono" required value={agents} onChange={(event) => setAgents(event.target.value)} />}</Field>
      <Field label="Tools">{(props) => <input {...props} className="input mono" required value={tools} onChange={(event) => setTools(event.target.value)} />}</Field>
      <Field label="May">
        {(props) => (
          <select {...props} className="input" value={what} onChange={(event) => setWhat(event.target.value)}>
            <option value="allow">call them</option>
            <option value="approval">call them once approved</option>
            <option value="deny">not call them</option>
          </select>
        )}
      </Field>
      <Button kind="primary" type="submit" busy={busy}>
        Add rule
      </Button>
    </form>
  );
}

export function Policy({ config }: PartProps) {
  const toast = useToast();
  const patch = useChange<{ patch: JsonMap }, ConfigAnswer>("config.patch", ["config.get"]);
  const router = config.settings.router as JsonMap | undefined;
  const rules = ((router?.policy as Json[] | undefined) ?? []) as unknown as Rule[];
  const keep = (next: Rule[], done: string) =>
    patch.mutate(
      { patch: { router: { policy: next.map((rule) => Object.fromEntries(Object.entries(rule).filter(([, value]) => value !== null))) as Json[] } } },
      { onSuccess: () => toast.say(done), onError: toast.fail },
    );
  return (
    <section className="card flush" aria-labelledby="policy-title">
      <div className="card-head">
        <div>
          <h2 id="policy-title">Who may call which tools</h2>
          <p className="soft small">Without rules: the owner may all, an agent what its manifest enables, a token what it was made for.</p>
        </div>
      </div>
      <NewRule busy={patch.isPending} onAdd={(rule) => keep([...rules, rule], "The rule is kept.")} />
      {rules.length === 0 ? (
        <Empty icon={<ShieldCheck size={32} strokeWidth={1.5} aria-hidden />} title="No rule of your own">
          A rule narrows or widens what a caller may do.
        </Empty>
      ) : (
        <div className="table-wrap">
          <table>
            <thead>
              <tr>
                <th>Caller</th>
                <th>Agents</th>
                <th>Tools</th>
                <th>May</th>
                <th>
                  <span className="hidden-text">Delete</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {rules.map((rule, index) => (
                <tr key={index}>
                  <td className="mono">{rule.caller}</td>
                  <td className="mono">{rule.agents.join(" ")}</td>
                  <td className="mono">{rule.tools.join(" ")}</td>
                  <td>
                    <Badge tone={!rule.allow ? "bad" : rule.approval ? "warn" : "good"}>{!rule.allow ? "no" : rule.approval ? "once approved" : "yes"}</Badge>
                    {rule.rate && <span className="faint small"> {rule.rate} a minute</span>}
                  </td>
                  <td className="number">
                    <Button size="small" kind="quiet" icon={<Trash2 size={15} />} label={`Delete rule for ${rule.caller}`} onClick={() => keep(rules.filter((_, at) => at !== index), "The rule was deleted.")} />
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
