// What a conversation waits for from a person: approvals, and keys that somebody must store.

import { type FormEvent, useState } from "react";
import { KeyRound } from "lucide-react";
import { useCall, useChange, useEvents } from "../../api/hooks";
import { Button, Field } from "../../ui/parts";
import { useToast } from "../../ui/toast";
import { ApprovalCard } from "../approvals/ApprovalCard";
import type { Approval } from "../approvals/types";
import type { JournalEvent } from "./types";

interface Wanted {
  kind: "provider" | "skill";
  owner: string;
  name: string;
  why: string;
}

const SETTERS = { provider: "provider.credentials.set", skill: "skills.credentials.set" } as const;

/** A value goes to the gateway and is forgotten here at once. */
function CredentialCard({ profileId, wanted, onDone }: { profileId: string; wanted: Wanted; onDone: () => void }) {
  const toast = useToast();
  const [value, setValue] = useState("");
  const set = useChange<object>(SETTERS[wanted.kind], ["skills.credentials.list", "provider.credentials.list"]);
  const owner = wanted.kind === "provider" ? { providerId: wanted.owner } : { skillId: wanted.owner };

  function save(event: FormEvent) {
    event.preventDefault();
    set.mutate(
      { profileId, ...owner, keyName: wanted.name, value },
      {
        onSuccess: () => {
          toast.say(`${wanted.name} is kept.`);
          onDone();
        },
        onError: toast.fail,
        onSettled: () => setValue(""),
      },
    );
  }

  return (
    <form className="card ask-card stack" onSubmit={save}>
      <div className="row tight">
        <KeyRound size={17} aria-hidden />
        <h2>A key is asked for</h2>
      </div>
      <p>{wanted.why}</p>
      <Field label={`${wanted.name} of ${wanted.owner}`} help="It is kept encrypted. The assistant never sees it.">
        {(props) => <input {...props} className="input" type="password" autoComplete="off" required value={value} onChange={(event) => setValue(event.target.value)} />}
      </Field>
      <div className="row tight">
        <Button kind="primary" type="submit" busy={set.isPending}>
          Keep it
        </Button>
        <Button onClick={onDone}>Not now</Button>
      </div>
    </form>
  );
}

export function Requests({ profileId, sessionId }: { profileId: string; sessionId: string }) {
  const approvals = useCall<Approval[]>("approval.list", { profileId, status: "pending" });
  const [wanted, setWanted] = useState<Wanted[]>([]);
  useEvents("assistants", (event) => {
    if (event.kind !== "credential_needed" || event.profileId !== profileId || event.sessionId !== sessionId) return;
    const asked = (event.data as unknown as JournalEvent).data as unknown as Wanted;
    setWanted((before) => [...before.filter((each) => each.name !== asked.name || each.owner !== asked.owner), asked]);
  });
  const here = (approvals.data ?? []).filter((approval) => approval.sessionId === sessionId);
  return (
    <>
      {here.map((approval) => (
        <ApprovalCard key={approval.id} approval={approval} />
      ))}
      {wanted.map((each) => (
        <CredentialCard key={`${each.owner} ${each.name}`} profileId={profileId} wanted={each} onDone={() => setWanted((before) => before.filter((other) => other !== each))} />
      ))}
    </>
  );
}
