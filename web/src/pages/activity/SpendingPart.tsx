// What assistants spent: tokens and cost by day, in sums.

import { lazy, Suspense, useState } from "react";
import { Coins } from "lucide-react";
import { useCall } from "../../api/hooks";
import { Empty, ErrorNote, Field, Skeleton } from "../../ui/parts";
import type { Profiles } from "../chat/types";
import type { SpentRow } from "./types";

const SpendingCharts = lazy(() => import("./SpendingCharts"));
const SPANS: [number, string][] = [
  [7, "Last week"],
  [14, "Last two weeks"],
  [31, "Last month"],
  [92, "Last three months"],
];

interface Total {
  profileId: string;
  calls: number;
  tokens: number;
  cost: number;
}

function totals(rows: SpentRow[]): Total[] {
  const sums = new Map<string, Total>();
  for (const row of rows) {
    const sum = sums.get(row.profileId) ?? { profileId: row.profileId, calls: 0, tokens: 0, cost: 0 };
    sums.set(row.profileId, { ...sum, calls: sum.calls + row.calls, tokens: sum.tokens + row.tokens, cost: sum.cost + row.cost });
  }
  return [...sums.values()].sort((one, other) => other.tokens - one.tokens);
}

export const money = (value: number): string => value.toLocaleString(undefined, { minimumFractionDigits: 2, maximumFractionDigits: value > 0 && value < 1 ? 4 : 2 });

function Sums({ rows, names }: { rows: Total[]; names: Map<string, string> }) {
  return (
    <section className="card flush" aria-labelledby="sums-title">
      <div className="card-head">
        <h2 id="sums-title">By assistant</h2>
      </div>
      <div className="table-wrap" tabIndex={0} role="group" aria-label="By assistant">
        <table>
          <thead>
            <tr>
              <th>Assistant</th>
              <th className="number">Calls of its model</th>
              <th className="number">Tokens</th>
              <th className="number">Cost</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.profileId}>
                <td>{names.get(row.profileId) ?? row.profileId}</td>
                <td className="number">{row.calls.toLocaleString()}</td>
                <td className="number">{row.tokens.toLocaleString()}</td>
                <td className="number">{money(row.cost)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

export function SpendingPart() {
  const [days, setDays] = useState(14);
  const spent = useCall<SpentRow[]>("usage.byDay", { days });
  const profiles = useCall<Profiles>("profile.list");
  const names = new Map((profiles.data?.profiles ?? []).map((profile) => [profile.profileId, profile.name]));
  const rows = spent.data ?? [];
  return (
    <>
      <div className="row wrap apart">
        <p className="soft">What the assistants' models read and wrote. The cost is by the prices of the models' entries.</p>
        <Field label={<span className="hidden-text">How far back</span>}>
          {(props) => (
            <select {...props} className="input" value={days} onChange={(change) => setDays(Number(change.target.value))}>
              {SPANS.map(([id, name]) => (
                <option key={id} value={id}>
                  {name}
                </option>
              ))}
            </select>
          )}
        </Field>
      </div>
      {spent.error && <ErrorNote error={spent.error} onRetry={() => void spent.refetch()} />}
      {spent.isPending && !spent.error && <div className="card"><Skeleton lines={6} /></div>}
      {spent.data && rows.length === 0 && (
        <div className="card">
          <Empty icon={<Coins size={32} strokeWidth={1.5} aria-hidden />} title="Nothing was spent in this time">Turns of assistants with a model are counted here.</Empty>
        </div>
      )}
      {rows.length > 0 && (
        <>
          <Suspense fallback={<div className="card"><Skeleton lines={6} /></div>}>
            <SpendingCharts rows={rows} days={days} names={names} />
          </Suspense>
          <Sums rows={totals(rows)} names={names} />
        </>
      )}
    </>
  );
}
