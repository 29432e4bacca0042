// What a conversation waits for from a person: approvals, and keys that somebody must store.

import { useCall } from "../../api/hooks";
import { ApprovalCard } from "../approvals/ApprovalCard";
import type { Approval } from "../approvals/types";
import { KeyCard } from "./KeyCard";
import { useWanted, wantedId } from "./wanted";

interface Props {
  profileId: string;
  sessionId: string;
  onAgain: () => void;
}

export function Requests({ profileId, sessionId, onAgain }: Props) {
  const approvals = useCall<Approval[]>("approval.list", { profileId, status: "pending" });
  const { wanted, drop } = useWanted(profileId, sessionId);
  const here = (approvals.data ?? []).filter((approval) => approval.sessionId === sessionId);
  return (
    <>
      {here.map((approval) => (
        <ApprovalCard key={approval.id} approval={approval} />
      ))}
      {wanted.map((each) => (
        <KeyCard key={wantedId(each)} profileId={profileId} wanted={each} onDone={() => drop(each)} onAgain={onAgain} />
      ))}
    </>
  );
}
