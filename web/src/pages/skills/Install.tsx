import { type FormEvent, useState } from "react";
import { useChange, useEvents } from "../../api/hooks";
import { RpcError } from "../../api/rpc";
import type { OperationAnswer } from "../../api/types";
import { Button, ErrorNote, Field } from "../../ui/parts";
import { useToast } from "../../ui/toast";
import { ProposalView } from "./ProposalView";
import type { Proposal } from "./types";

interface Ended {
  operationId?: string;
  message?: string;
  label?: string;
  outcome?: string;
  error?: { message: string; hint?: string };
}

/** Source, then plan and findings, then yes or no, then progress. */
export function Install({ profileId }: { profileId: string }) {
  const toast = useToast();
  const [source, setSource] = useState("");
  const [proposal, setProposal] = useState<Proposal | null>(null);
  const [error, setError] = useState<RpcError | null>(null);
  const [running, setRunning] = useState("");
  const [said, setSaid] = useState("");
  const analyze = useChange<{ profileId: string; source: string }, Proposal>("skills.analyze");
  const install = useChange<{ profileId: string; source: string; approve: string }, OperationAnswer>("skills.install");

  useEvents("operations", (event) => {
    const told = event.data as Ended;
    if (!running || told.operationId !== running) return;
    if (event.kind === "event") setSaid(told.message ?? told.label ?? "");
    if (event.kind !== "ended") return;
    setRunning("");
    if (told.outcome === "ok") {
      toast.say(`${proposal?.id ?? "The skill"} is installed.`);
      setProposal(null);
      setSource("");
    } else if (told.error) setError(new RpcError(told.error.message, told.outcome ?? "FAILED", told.error.hint));
  });

  function look(event: FormEvent) {
    event.preventDefault();
    setError(null);
    setProposal(null);
    analyze.mutate({ profileId, source: source.trim() }, { onSuccess: setProposal, onError: setError });
  }

  function approve() {
    if (!proposal) return;
    setError(null);
    setSaid("");
    install.mutate(
      { profileId, source: source.trim(), approve: proposal.digest },
      { onSuccess: (answer) => setRunning(answer.operationId), onError: setError },
    );
  }

  return (
    <section className="card stack" aria-labelledby="install-title">
      <h2 id="install-title">Install a skill</h2>
      <form className="row wrap top" onSubmit={look}>
        <div className="grow">
          <Field label={<span className="hidden-text">Where it is</span>} help="A folder in the workspace, an https address, or a git repository.">
            {(props) => <input {...props} className="input mono" required value={source} onChange={(event) => setSource(event.target.value)} placeholder="https://… or skills/weather" />}
          </Field>
        </div>
        <Button kind="primary" type="submit" busy={analyze.isPending}>
          Look at it
        </Button>
      </form>
      {error && <ErrorNote error={error} />}
      {proposal && <ProposalView proposal={proposal} busy={install.isPending || running !== ""} said={said} onApprove={approve} onDrop={() => setProposal(null)} />}
    </section>
  );
}
