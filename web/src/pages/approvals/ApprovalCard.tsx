import { useState } from "react";
import { ShieldAlert } from "lucide-react";
import { useChange } from "../../api/hooks";
import { ago } from "../../api/text";
import { Badge, Button, type Tone } from "../../ui/parts";
import { useToast } from "../../ui/toast";
import type { Approval } from "./types";
import "./approvals.css";

const RISKS: Record<string, Tone> = { low: "good", medium: "warn", high: "bad" };

interface Grant {
  pattern: Record<string, string> | null;
  uses: number | null;
  lastsS: number | null;
}

interface Resolve {
  profileId: string;
  id: string;
  decision: "approve" | "deny";
  grant?: Grant;
}

/** What "yes" may cover beside this one call. */
const REACHES: Record<string, { name: string; grant?: Grant }> = {
  once: { name: "this call, once" },
  same: { name: "this very call, for a day", grant: { pattern: null, uses: null, lastsS: 86_400 } },
  tool: { name: "any call of this tool, for an hour", grant: { pattern: {}, uses: null, lastsS: 3600 } },
};

function Arguments({ approval }: { approval: Approval }) {
  const entries = Object.entries(approval.arguments);
  if (entries.length === 0) return <p className="faint small">It takes no arguments.</p>;
  return (
    <dl className="facts">
      {entries.map(([name, value]) => (
        <div key={name} style={{ display: "contents" }}>
          <dt className="mono">{name}</dt>
          <dd className="mono approval-value">{typeof value === "string" ? value : JSON.stringify(value)}</dd>
        </div>
      ))}
    </dl>
  );
}

/** One call that waits for a person: exactly what would run, why it asks, yes or no. */
export function ApprovalCard({ approval }: { approval: Approval }) {
  const toast = useToast();
  const [reach, setReach] = useState("once");
  const resolve = useChange<Resolve>("approval.resolve", ["approval.list", "approval.capabilities"]);
  const { profileId, id } = approval;

  const decide = (decision: Resolve["decision"]) => {
    const grant = decision === "approve" ? REACHES[reach]?.grant : undefined;
    resolve.mutate(
      { profileId, id, decision, ...(grant && { grant }) },
      { onSuccess: () => toast.say(decision === "approve" ? "Allowed; it goes on." : "Denied."), onError: toast.fail },
    );
  };

  return (
    <section className="card ask-card stack" aria-label={`Approval of ${approval.tool}`}>
      <div className="row wrap tight">
        <ShieldAlert size={18} aria-hidden className="warn-text" />
        <h2>
          {approval.profileId} wants to call <span className="mono">{approval.tool}</span>
        </h2>
        <Badge tone={RISKS[approval.risk] ?? "warn"}>{approval.risk} risk</Badge>
        <span className="faint small">{ago(approval.createdAt)} ago</span>
      </div>
      {approval.why && <p className="soft">{approval.why}</p>}
      <Arguments approval={approval} />
      <div className="row wrap tight">
        <Button kind="primary" busy={resolve.isPending} onClick={() => decide("approve")}>
          Approve
        </Button>
        <Button kind="danger" disabled={resolve.isPending} onClick={() => decide("deny")}>
          Deny
        </Button>
        <label className="row tight small soft">
          <span className="nowrap">for</span>
          <select className="input" value={reach} onChange={(event) => setReach(event.target.value)} aria-label="What to approve">
            {Object.entries(REACHES).map(([name, each]) => (
              <option key={name} value={name}>
                {each.name}
              </option>
            ))}
          </select>
        </label>
      </div>
    </section>
  );
}
