import { plural } from "../../api/text";
import { Badge, Button, Note, type Tone } from "../../ui/parts";
import type { Finding, Proposal, Step } from "./types";

const VERDICTS: Record<string, { tone: Tone; word: string }> = {
  allow: { tone: "good", word: "Looks harmless" },
  deny: { tone: "bad", word: "Refused" },
};
const lookOf = (verdict: string) => VERDICTS[verdict] ?? { tone: "warn" as Tone, word: "Needs your eyes" };

function Steps({ steps }: { steps: Step[] }) {
  if (steps.length === 0) return <p className="soft small">Nothing is run; its files are kept.</p>;
  return (
    <ol className="stack tight">
      {steps.map((step, index) => (
        <li key={index}>
          {step.label} {step.byHand && <Badge tone="warn">by your hand</Badge>}
          {step.argv.length > 0 && <pre className="code">{step.argv.join(" ")}</pre>}
          {step.hosts.length > 0 && <p className="faint small">It reaches: {step.hosts.join(", ")}</p>}
        </li>
      ))}
    </ol>
  );
}

function Findings({ findings }: { findings: Finding[] }) {
  return (
    <ul className="plain stack tight">
      {findings.map((finding, index) => (
        <li key={index} className="finding">
          <div className="row wrap tight">
            <Badge tone={lookOf(finding.verdict).tone}>{lookOf(finding.verdict).word}</Badge>
            <b>{finding.reason}</b>
            <span className="faint small mono">
              {finding.file}
              {finding.line !== null && `:${finding.line}`} · {finding.rule}
            </span>
          </div>
          {finding.text && <pre className="code">{finding.text}</pre>}
        </li>
      ))}
    </ul>
  );
}

interface Props {
  proposal: Proposal;
  busy: boolean;
  said: string;
  onApprove: () => void;
  onDrop: () => void;
}

/** All that would happen; what is approved is exactly this, by its digest. */
export function ProposalView({ proposal, busy, said, onApprove, onDrop }: Props) {
  const look = lookOf(proposal.verdict);
  const denied = look.tone === "bad";
  return (
    <div className="stack" aria-live="polite">
      <div className="row wrap tight">
        <h3>{proposal.id}</h3>
        <Badge tone={look.tone}>{look.word}</Badge>
      </div>
      {denied && <Note kind="bad" title="It is refused: what was found is no matter of approval." />}
      {proposal.difference && <pre className="code">{proposal.difference}</pre>}
      <h4>What would run</h4>
      <Steps steps={proposal.steps} />
      <h4>{proposal.findings.length ? plural(proposal.findings.length, "finding") : "Nothing was found"}</h4>
      <Findings findings={proposal.findings} />
      {proposal.credentials.length > 0 && <p className="small soft">It will want keys: {proposal.credentials.join(", ")}</p>}
      {busy && (
        <div role="status" className="stack tight">
          <div className="progress unknown">
            <i />
          </div>
          <p className="soft small">{said || "It is being installed."}</p>
        </div>
      )}
      <div className="row tight">
        <Button kind="primary" disabled={denied} busy={busy} onClick={onApprove}>
          Approve and install
        </Button>
        <Button disabled={busy} onClick={onDrop}>
          Leave it
        </Button>
      </div>
    </div>
  );
}
