// Calls: who called what, how often, how long it took, what failed.

import { lazy, Suspense, useDeferredValue, useState } from "react";
import { useCall } from "../../api/hooks";
import type { AuditRow, OperationRow, Statistics } from "../../api/types";
import { Empty, ErrorNote, Field, Skeleton } from "../../ui/parts";
import { AuditTable } from "./AuditTable";
import { Operations } from "./Operations";

const Charts = lazy(() => import("./Charts"));
const SPANS: Record<string, { hours: number; spans: number; name: string }> = {
  hour: { hours: 1, spans: 30, name: "Last hour" },
  day: { hours: 24, spans: 24, name: "Last day" },
  week: { hours: 168, spans: 28, name: "Last week" },
};
const EVENTS: [string, string][] = [
  ["", "Everything"],
  ["tool", "Tool calls"],
  ["rpc", "Changes"],
  ["login", "Logins"],
  ["terminal", "Terminals"],
  ["secrets_given", "Secrets given to agents"],
];

export function CallsPart() {
  const [span, setSpan] = useState("day");
  const [event, setEvent] = useState("");
  const [outcome, setOutcome] = useState("");
  const [text, setText] = useState("");
  const wanted = useDeferredValue(text.trim());
  const { hours, spans } = SPANS[span] ?? { hours: 24, spans: 24 };
  const statistics = useCall<Statistics>("calls.statistics", { hours, spans });
  const operations = useCall<OperationRow[]>("operations.list");
  const filters = { limit: 200, ...(event && { event }), ...(outcome && { outcome }), ...(wanted && { text: wanted }) };
  const audit = useCall<AuditRow[]>("audit.list", filters);

  return (
    <>
      <div className="row wrap apart">
        <p className="soft">Who called what, how long it took, and what came of it. Values are never kept.</p>
        <Field label={<span className="hidden-text">How far back</span>}>
          {(props) => (
            <select {...props} className="input" value={span} onChange={(change) => setSpan(change.target.value)}>
              {Object.entries(SPANS).map(([id, each]) => (
                <option key={id} value={id}>
                  {each.name}
                </option>
              ))}
            </select>
          )}
        </Field>
      </div>
      {statistics.error && <ErrorNote error={statistics.error} onRetry={() => void statistics.refetch()} />}
      <Suspense fallback={<div className="card"><Skeleton lines={6} /></div>}>
        {statistics.data ? <Charts statistics={statistics.data} hours={hours} /> : !statistics.error && <div className="card"><Skeleton lines={6} /></div>}
      </Suspense>
      <Operations rows={operations.data ?? []} />
      <section className="card flush" aria-labelledby="audit-title">
        <div className="card-head">
          <h2 id="audit-title">Audit log</h2>
          <div className="row wrap tight filters">
            <Field label={<span className="hidden-text">Kind</span>}>
              {(props) => (
                <select {...props} className="input" value={event} onChange={(change) => setEvent(change.target.value)}>
                  {EVENTS.map(([id, name]) => (
                    <option key={id} value={id}>
                      {name}
                    </option>
                  ))}
                </select>
              )}
            </Field>
            <Field label={<span className="hidden-text">Outcome</span>}>
              {(props) => (
                <select {...props} className="input" value={outcome} onChange={(change) => setOutcome(change.target.value)}>
                  <option value="">Any outcome</option>
                  <option value="ok">Went well</option>
                  <option value="failed">Failed</option>
                </select>
              )}
            </Field>
            <Field label={<span className="hidden-text">Search</span>}>
              {(props) => <input {...props} className="input" type="search" placeholder="Caller, tool, agent" value={text} onChange={(change) => setText(change.target.value)} />}
            </Field>
          </div>
        </div>
        {audit.error && <ErrorNote error={audit.error} onRetry={() => void audit.refetch()} />}
        {audit.isPending && !audit.error && <Skeleton lines={5} />}
        {audit.data && audit.data.length === 0 && <Empty title="Nothing fits">Calls, changes and logins are kept here.</Empty>}
        {audit.data && audit.data.length > 0 && <AuditTable rows={audit.data} />}
      </section>
    </>
  );
}
