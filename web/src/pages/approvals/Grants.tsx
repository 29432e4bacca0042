import { useState } from "react";
import { OctagonX, Trash2 } from "lucide-react";
import { useCall, useChange } from "../../api/hooks";
import { stamp } from "../../api/text";
import { Confirm } from "../../ui/Dialog";
import { Button, Note } from "../../ui/parts";
import { useToast } from "../../ui/toast";
import type { Capabilities, Grant } from "./types";

function reach(grant: Grant): string {
  if (grant.pattern === null) return "one very call";
  const parts = Object.entries(grant.pattern).map(([name, glob]) => `${name}: ${glob}`);
  return parts.length ? parts.join(", ") : "any arguments";
}

/** An assistant's grants and its red button. */
export function Grants({ profileId, name }: { profileId: string; name: string }) {
  const toast = useToast();
  const [asking, setAsking] = useState(false);
  const stale = ["approval.capabilities", "approval.list", "profile.list"];
  const found = useCall<Capabilities>("approval.capabilities", { profileId });
  const revoke = useChange<{ profileId: string; id?: string }>("approval.revoke", stale);
  const bundle = useChange<{ profileId: string; reason: string }>("incident.bundle", stale);
  const clear = useChange<{ profileId: string }>("incident.clear", stale);
  if (!found.data) return null;
  const { grants, incident } = found.data;
  return (
    <section className="card stack" aria-label={`Grants of ${name}`}>
      <div className="row wrap apart">
        <h2>{name}</h2>
        {incident ? (
          <Button busy={clear.isPending} onClick={() => clear.mutate({ profileId }, { onSuccess: () => toast.say("The incident is closed."), onError: toast.fail })}>
            Close the incident
          </Button>
        ) : (
          <Button kind="danger" size="small" icon={<OctagonX size={15} aria-hidden />} onClick={() => setAsking(true)}>
            Stop everything
          </Button>
        )}
      </div>
      {incident && (
        <Note kind="bad" title={`An incident is open since ${stamp(incident.openedAt)}.`}>
          {incident.reason}. Grants are revoked, tools above low risk are shut, nothing is sent unasked.
        </Note>
      )}
      {grants.length === 0 ? (
        <p className="soft small">No grants: every risky call asks.</p>
      ) : (
        <ul className="plain stack tight">
          {grants.map((grant) => (
            <li key={grant.id} className="row tight">
              <span className="mono">{grant.tool}</span>
              <span className="grow soft small clip">
                {reach(grant)}
                {grant.usesLeft !== null && ` · ${grant.usesLeft} left`}
                {grant.expiresAt && ` · until ${stamp(grant.expiresAt)}`}
              </span>
              <Button size="small" kind="quiet" icon={<Trash2 size={15} />} label={`Revoke the grant for ${grant.tool}`} onClick={() => revoke.mutate({ profileId, id: grant.id }, { onSuccess: () => toast.say("Revoked."), onError: toast.fail })} />
            </li>
          ))}
        </ul>
      )}
      <Confirm
        open={asking}
        title={`Stop everything ${name} does?`}
        action="Stop everything"
        danger
        busy={bundle.isPending}
        onClose={() => setAsking(false)}
        onConfirm={() =>
          bundle.mutate({ profileId, reason: "stopped in the web UI" }, { onSuccess: () => { setAsking(false); toast.say("Stopped. What happened is kept."); }, onError: toast.fail })
        }
      >
        Runs are cancelled, grants are revoked, tools above low risk are shut, and nothing is sent unasked until you close the incident.
      </Confirm>
    </section>
  );
}
