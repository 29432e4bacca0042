import { Link } from "wouter";
import { useCall } from "../../api/hooks";
import type { AuditRow } from "../../api/types";
import { clock, milliseconds, outcomeName, stamp } from "../../api/text";
import { Badge } from "../../ui/parts";

/** The last calls of anybody, as the audit log has them. */
export function History() {
  const rows = useCall<AuditRow[]>("audit.list", { event: "tool", limit: 12 });
  if (!rows.data?.length) return null;
  return (
    <section className="card flush" aria-labelledby="history-title">
      <div className="card-head">
        <h2 id="history-title">Last calls</h2>
        <Link href="/activity" className="small">
          All activity
        </Link>
      </div>
      <div className="table-wrap" tabIndex={0} role="group" aria-label="Last calls">
        <table>
          <thead>
            <tr>
              <th>Time</th>
              <th>Tool</th>
              <th>Caller</th>
              <th>Outcome</th>
              <th className="number">Took</th>
            </tr>
          </thead>
          <tbody>
            {rows.data.map((row, index) => (
              <tr key={`${row.at}${index}`}>
                <td className="nowrap" title={stamp(row.at)}>
                  {clock(row.at)}
                </td>
                <td className="mono">{row.what}</td>
                <td className="soft">{row.caller}</td>
                <td>
                  <Badge tone={row.outcome === "ok" ? "good" : "bad"}>{outcomeName(row.outcome)}</Badge>
                </td>
                <td className="number nowrap">{milliseconds(row.ms)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
