import { HeartPulse } from "lucide-react";
import { useCall, useChange } from "../../api/hooks";
import type { JsonMap } from "../../api/types";
import { stamp } from "../../api/text";
import { Badge, Button, ErrorNote } from "../../ui/parts";
import { useToast } from "../../ui/toast";
import type { ProfileFacts } from "../chat/types";
import type { PartProps } from "./Assistants";
import { FileEditor } from "./FileEditor";

type Poll = ProfileFacts["heartbeat"];

export function Heartbeat({ profile }: PartProps) {
  const toast = useToast();
  const { profileId } = profile;
  const stale = ["heartbeat.poll", "profile.list"];
  const poll = useCall<Poll>("heartbeat.poll", { profileId });
  const update = useChange<{ profileId: string; settings: JsonMap }>("profile.update", stale);
  const run = useChange<{ profileId: string }, JsonMap>("heartbeat.run", stale);
  const beat = poll.data;
  return (
    <>
      {poll.error && <ErrorNote error={poll.error} />}
      {beat && (
        <div className="row wrap apart">
          <dl className="facts">
            <dt>State</dt>
            <dd>
              <Badge tone={beat.enabled ? "good" : "plain"} dot>
                {beat.enabled ? "On" : "Off"}
              </Badge>
            </dd>
            <dt>Next</dt>
            <dd>{beat.enabled && beat.nextAt ? stamp(beat.nextAt) : "–"}</dd>
            <dt>Last</dt>
            <dd>
              {beat.lastOutcome ? `${beat.lastOutcome}${beat.lastAt ? `, ${stamp(beat.lastAt)}` : ""}` : "never"}
            </dd>
            {beat.skips && (
              <>
                <dt>Now it would</dt>
                <dd>be skipped: {beat.skips}</dd>
              </>
            )}
          </dl>
          <div className="row tight">
            <Button
              busy={update.isPending}
              onClick={() => update.mutate({ profileId, settings: { heartbeat: { enabled: !beat.enabled } } }, { onError: toast.fail })}
            >
              Turn {beat.enabled ? "off" : "on"}
            </Button>
            <Button
              icon={<HeartPulse size={15} aria-hidden />}
              busy={run.isPending}
              onClick={() => run.mutate({ profileId }, { onSuccess: (answer) => toast.say(`It beat: ${String(answer.outcome ?? "done")}`, "info"), onError: toast.fail })}
            >
              Beat now
            </Button>
          </div>
        </div>
      )}
      <FileEditor profileId={profileId} name="HEARTBEAT.md" read="heartbeat.getFile" write="heartbeat.update" params={{}} stale={stale} />
    </>
  );
}
