// Approvals: what waits for a person, what was decided, which grants let calls through.

import { ShieldCheck } from "lucide-react";
import { useCall } from "../../api/hooks";
import type { Profiles } from "../chat/types";
import { stamp } from "../../api/text";
import { Badge, Empty, ErrorNote, PageHead, Skeleton, type Tone } from "../../ui/parts";
import { ApprovalCard } from "./ApprovalCard";
import { Grants } from "./Grants";
import { PENDING } from "./pending";
import { RouterApprovals } from "./RouterApprovals";
import type { Approval } from "./types";
import "./approvals.css";

const TONES: Record<string, Tone> = { approved: "good", denied: "bad", expired: "plain" };

function Decided() {
  const all = useCall<Approval[]>("approval.list", { all: true, limit: 60 });
  const rows = (all.data ?? []).filter((approval) => approval.status !== "pending");
  if (rows.length === 0) return null;
  return (
    <section className="card flush" aria-labelledby="decided-title">
      <div className="card-head">
        <h2 id="decided-title">Decided</h2>
      </div>
      <div className="table-wrap" tabIndex={0} role="group" aria-label="Decided requests">
        <table>
          <thead>
            <tr>
              <th>Asked</th>
              <th>Assistant</th>
              <th>Tool</th>
              <th>Decision</th>
              <th>By</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.id}>
                <td className="nowrap soft">{stamp(row.createdAt)}</td>
                <td>{row.profileId}</td>
                <td className="mono">{row.tool}</td>
                <td>
                  <Badge tone={TONES[row.status] ?? "plain"}>{row.status}</Badge>
                </td>
                <td className="soft">{row.resolvedBy ?? "–"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

export default function Approvals() {
  const pending = useCall<Approval[]>("approval.list", PENDING);
  const profiles = useCall<Profiles>("profile.list");
  return (
    <div className="page">
      <PageHead title="Approvals" about="What is risky waits here for you. Nothing unknown is allowed by itself." />
      {pending.error && <ErrorNote error={pending.error} onRetry={() => void pending.refetch()} />}
      {pending.isPending && !pending.error && <Skeleton lines={4} />}
      {pending.data?.length === 0 && (
        <div className="card">
          <Empty icon={<ShieldCheck size={36} strokeWidth={1.5} aria-hidden />} title="Nothing waits for you" />
        </div>
      )}
      {(pending.data ?? []).map((approval) => (
        <ApprovalCard key={approval.id} approval={approval} />
      ))}
      <RouterApprovals />
      {(profiles.data?.profiles ?? []).map((profile) => (
        <Grants key={profile.profileId} profileId={profile.profileId} name={profile.name} />
      ))}
      <Decided />
    </div>
  );
}
