import { useCall, useChange } from "../../api/hooks";
import type { JsonMap } from "../../api/types";
import { ago } from "../../api/text";
import { Button } from "../../ui/parts";
import { useToast } from "../../ui/toast";

interface WaitingCall {
  id: string;
  caller: string;
  agent: string;
  tool: string;
  arguments: JsonMap;
  digest: string;
  askedAt: string;
}

/** Calls of programs that a rule of the policy holds back until a person agrees. */
export function RouterApprovals() {
  const toast = useToast();
  const waiting = useCall<WaitingCall[]>("tools.approvals", {}, { refetchInterval: 4000 });
  const approve = useChange<{ id: string; allow: boolean; digest: string }>("tools.approve", ["tools.approvals"]);
  return (
    <>
      {(waiting.data ?? []).map((call) => (
        <section key={call.id} className="card ask-card stack" aria-label={`Call of ${call.agent}.${call.tool}`}>
          <div className="row wrap tight">
            <h2>
              {call.caller} wants to call <span className="mono">{`${call.agent}.${call.tool}`}</span>
            </h2>
            <span className="faint small">{ago(call.askedAt)} ago · a rule of the policy asks</span>
          </div>
          <dl className="facts">
            {Object.entries(call.arguments).map(([name, value]) => (
              <div key={name} style={{ display: "contents" }}>
                <dt className="mono">{name}</dt>
                <dd className="mono approval-value">{typeof value === "string" ? value : JSON.stringify(value)}</dd>
              </div>
            ))}
          </dl>
          <div className="row tight">
            {[true, false].map((allow) => (
              <Button
                key={String(allow)}
                kind={allow ? "primary" : "danger"}
                disabled={approve.isPending}
                onClick={() => approve.mutate({ id: call.id, allow, digest: call.digest }, { onSuccess: () => toast.say(allow ? "Allowed." : "Denied."), onError: toast.fail })}
              >
                {allow ? "Approve" : "Deny"}
              </Button>
            ))}
          </div>
        </section>
      ))}
    </>
  );
}
