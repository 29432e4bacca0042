import { CircleCheck, CircleX, Loader2, Wrench } from "lucide-react";
import type { JsonMap } from "../../api/types";

export interface ToolCardProps {
  name: string;
  arguments: JsonMap | null;
  result: string | null;
  isError: boolean;
  progress?: string;
  fraction?: number | null;
}

function Arguments({ given }: { given: JsonMap }) {
  const entries = Object.entries(given);
  if (entries.length === 0) return <p className="faint small">no arguments</p>;
  return (
    <dl className="facts">
      {entries.map(([name, value]) => (
        <div key={name} style={{ display: "contents" }}>
          <dt className="mono">{name}</dt>
          <dd className="mono clamp">{typeof value === "string" ? value : JSON.stringify(value)}</dd>
        </div>
      ))}
    </dl>
  );
}

function brief(given: JsonMap | null): string {
  const first = Object.values(given ?? {}).find((value) => typeof value === "string" || typeof value === "number");
  return first === undefined ? "" : String(first).split("\n")[0] ?? "";
}

/** A call of a tool: what was given, what came back. */
export function ToolCard({ name, arguments: given, result, isError, progress, fraction }: ToolCardProps) {
  const running = result === null;
  const Icon = running ? Loader2 : isError ? CircleX : CircleCheck;
  return (
    <details className={`tool-card ${isError ? "failed" : ""}`}>
      <summary>
        <Wrench size={15} aria-hidden className="faint" />
        <span className="mono tool-card-name">{name}</span>
        <span className="faint small clip grow">{running && progress ? progress : brief(given)}</span>
        <Icon size={16} className={running ? "spin faint" : isError ? "bad-text" : "good-text"} aria-label={running ? "running" : isError ? "failed" : "done"} />
      </summary>
      <div className="tool-card-body stack tight">
        {given && <Arguments given={given} />}
        {running && typeof fraction === "number" && (
          <div className="progress">
            <i style={{ width: `${Math.round(fraction * 100)}%` }} />
          </div>
        )}
        {result !== null && (
          <pre className="code" tabIndex={0}>
            {result || "It answered nothing."}
          </pre>
        )}
      </div>
    </details>
  );
}
