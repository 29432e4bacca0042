import { type FormEvent, useState } from "react";
import { AlarmClock, Play, Trash2 } from "lucide-react";
import { useCall, useChange } from "../../api/hooks";
import type { JsonMap } from "../../api/types";
import { stamp } from "../../api/text";
import { Badge, Button, Empty, ErrorNote, Field, Skeleton } from "../../ui/parts";
import { useToast } from "../../ui/toast";
import type { PartProps } from "./Assistants";

interface Job {
  id: string;
  name: string;
  schedule: JsonMap;
  action: { sessionId: string; message?: string; tool?: string };
  enabled: boolean;
  nextAt: string | null;
  running: boolean;
}

interface JobRun {
  jobId: string;
  startedAt: string;
  outcome: string;
  detail: string | null;
}

const KINDS: Record<string, { name: string; hint: string; make: (text: string) => JsonMap }> = {
  every: { name: "Every", hint: "30m, 6h, 1d", make: (text) => ({ every: text }) },
  cron: { name: "By cron", hint: "0 8 * * 1-5", make: (text) => ({ cron: text, timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone }) },
  at: { name: "Once, at", hint: "", make: (text) => ({ at: new Date(text).toISOString() }) },
};

/** 21600 → "6h" */
function span(seconds: number): string {
  const [size, unit] = [[86_400, "d"], [3600, "h"], [60, "m"]].find(([each]) => seconds % (each as number) === 0) ?? [1, "s"];
  return `${seconds / (size as number)}${unit}`;
}

function told(schedule: JsonMap): string {
  if (typeof schedule.every === "string") return `every ${schedule.every}`;
  if (typeof schedule.every === "number") return `every ${span(schedule.every)}`;
  if (typeof schedule.cron === "string") return `${schedule.cron}${schedule.timeZone ? ` (${String(schedule.timeZone)})` : ""}`;
  return typeof schedule.at === "string" ? stamp(schedule.at) : JSON.stringify(schedule);
}

function NewJob({ profileId }: { profileId: string }) {
  const toast = useToast();
  const [name, setName] = useState("");
  const [kind, setKind] = useState("every");
  const [when, setWhen] = useState("");
  const [message, setMessage] = useState("");
  const add = useChange<object>("cron.add", ["cron.list"]);

  function save(event: FormEvent) {
    event.preventDefault();
    const schedule = KINDS[kind]?.make(when.trim()) ?? {};
    add.mutate(
      { profileId, name: name.trim(), schedule, message: message.trim() },
      {
        onSuccess: () => {
          toast.say("The job is kept.");
          setName("");
          setMessage("");
        },
        onError: toast.fail,
      },
    );
  }

  return (
    <form className="job-form" onSubmit={save}>
      <Field label="Name">{(props) => <input {...props} className="input" required maxLength={80} value={name} onChange={(event) => setName(event.target.value)} />}</Field>
      <Field label="When">
        {(props) => (
          <select {...props} className="input" value={kind} onChange={(event) => { setKind(event.target.value); setWhen(""); }}>
            {Object.entries(KINDS).map(([id, each]) => (
              <option key={id} value={id}>
                {each.name}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Field label={kind === "at" ? "Time" : "Schedule"}>
        {(props) => <input {...props} className="input mono" required type={kind === "at" ? "datetime-local" : "text"} value={when} onChange={(event) => setWhen(event.target.value)} placeholder={KINDS[kind]?.hint} />}
      </Field>
      <Field label="What to say to it">{(props) => <input {...props} className="input" required value={message} onChange={(event) => setMessage(event.target.value)} />}</Field>
      <Button kind="primary" type="submit" busy={add.isPending}>
        Add job
      </Button>
    </form>
  );
}

export function Jobs({ profile }: PartProps) {
  const toast = useToast();
  const { profileId } = profile;
  const jobs = useCall<Job[]>("cron.list", { profileId });
  const history = useCall<JobRun[]>("cron.history", { profileId, limit: 50 });
  const stale = ["cron.list", "cron.history"];
  const run = useChange<{ profileId: string; id: string }>("cron.run", stale);
  const remove = useChange<{ profileId: string; id: string }>("cron.remove", stale);
  const lastOf = (id: string) => history.data?.find((each) => each.jobId === id);
  return (
    <>
      <NewJob profileId={profileId} />
      {jobs.error && <ErrorNote error={jobs.error} />}
      {jobs.isPending && !jobs.error && <Skeleton />}
      {jobs.data?.length === 0 && <Empty icon={<AlarmClock size={32} strokeWidth={1.5} aria-hidden />} title="No job yet">A job says something to the assistant at a time, as if you had.</Empty>}
      {jobs.data && jobs.data.length > 0 && (
        <div className="table-wrap" tabIndex={0} role="group" aria-label="Jobs">
          <table>
            <thead>
              <tr>
                <th>Job</th>
                <th>When</th>
                <th>Next</th>
                <th>Last</th>
                <th>
                  <span className="hidden-text">Change</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {jobs.data.map((job) => {
                const last = lastOf(job.id);
                return (
                  <tr key={job.id}>
                    <td>
                      <b>{job.name}</b>
                      <div className="faint small">{job.action.message ?? job.action.tool}</div>
                    </td>
                    <td className="mono">{told(job.schedule)}</td>
                    <td className="nowrap">{job.running ? <Badge tone="info" dot pulse>running</Badge> : job.nextAt ? stamp(job.nextAt) : "–"}</td>
                    <td>{last ? <Badge tone={last.outcome === "done" ? "good" : "bad"}>{last.outcome}</Badge> : <span className="faint">never</span>}</td>
                    <td className="number nowrap">
                      <Button size="small" icon={<Play size={14} />} label={`Run ${job.name} now`} onClick={() => run.mutate({ profileId, id: job.id }, { onSuccess: () => toast.say(`${job.name} ran.`), onError: toast.fail })} />{" "}
                      <Button size="small" kind="quiet" icon={<Trash2 size={15} />} label={`Delete job ${job.name}`} onClick={() => remove.mutate({ profileId, id: job.id }, { onError: toast.fail })} />
                    </td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}
