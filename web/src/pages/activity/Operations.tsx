import { X } from "lucide-react";
import { useChange } from "../../api/hooks";
import type { OperationRow } from "../../api/types";
import { ago } from "../../api/text";
import { Badge, Button } from "../../ui/parts";
import { useToast } from "../../ui/toast";

/** Starts, clones and installs that run, and the last that ended. */
export function Operations({ rows }: { rows: OperationRow[] }) {
  const toast = useToast();
  const cancel = useChange<{ operationId: string }>("operations.cancel", ["operations.list"]);
  const shown = [...rows].reverse().slice(0, 6);
  if (shown.length === 0) return null;
  return (
    <section className="card" aria-labelledby="operations-title">
      <div className="card-head">
        <h2 id="operations-title">Under way and just done</h2>
      </div>
      <ul className="plain stack tight">
        {shown.map((row) => (
          <li key={row.id} className="row tight">
            <Badge tone={row.outcome === "" ? "info" : row.outcome === "ok" ? "good" : "bad"} dot pulse={row.outcome === ""}>
              {row.outcome === "" ? "Running" : row.outcome === "ok" ? "Done" : "Failed"}
            </Badge>
            <span className="grow clip">
              {row.title}
              {row.message && <span className="soft small"> · {row.message}</span>}
            </span>
            <span className="faint small nowrap">{ago(row.startedAt)} ago</span>
            {row.outcome === "" && (
              <Button
                size="small"
                kind="quiet"
                icon={<X size={15} />}
                label={`Cancel ${row.title}`}
                onClick={() => cancel.mutate({ operationId: row.id }, { onError: toast.fail })}
              />
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}
