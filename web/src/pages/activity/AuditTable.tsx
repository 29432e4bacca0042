import type { AuditRow } from "../../api/types";
import { milliseconds, outcomeName, sentence, stamp } from "../../api/text";
import { Badge } from "../../ui/parts";

const KINDS: Record<string, string> = { tool: "Tool call", rpc: "Change", secrets_given: "Secrets given" };

export function AuditTable({ rows }: { rows: AuditRow[] }) {
  return (
    <div className="table-wrap audit" tabIndex={0} role="group" aria-label="Audit log">
      <table>
        <thead>
          <tr>
            <th>Time</th>
            <th>Kind</th>
            <th>What</th>
            <th>On</th>
            <th>Caller</th>
            <th>Outcome</th>
            <th className="number">Took</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            <tr key={`${row.auditId}${index}`}>
              <td className="nowrap soft">{stamp(row.at)}</td>
              <td className="nowrap">{KINDS[row.event] ?? sentence(row.event.replaceAll("_", " "))}</td>
              <td className="mono">{row.what}</td>
              <td className="mono soft">{row.target || "–"}</td>
              <td className="soft">{row.caller || "–"}</td>
              <td>
                <Badge tone={row.outcome === "ok" ? "good" : "bad"}>{outcomeName(row.outcome)}</Badge>
              </td>
              <td className="number nowrap">{row.ms ? milliseconds(row.ms) : "–"}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
