import { useCall } from "../../api/hooks";
import type { Finding, Gateway } from "../../api/types";
import { plural } from "../../api/text";
import { Badge, Button, ErrorNote, Note, Skeleton, type Tone } from "../../ui/parts";

const TONES: Record<Finding["status"], Tone> = { ok: "good", warning: "warn", problem: "bad" };

/** What `ploinky doctor` says. */
export function Health() {
  const doctor = useCall<{ findings: Finding[]; problems: number }>("gateway.doctor");
  const gateway = useCall<Gateway>("gateway.status");
  return (
    <section className="card flush" aria-labelledby="health-title">
      <div className="card-head">
        <div>
          <h2 id="health-title">Health of machine and workspace</h2>
          <p className="soft small mono">{gateway.data?.workspace}</p>
        </div>
        <Button size="small" busy={doctor.isFetching} onClick={() => void doctor.refetch()}>
          Look again
        </Button>
      </div>
      {doctor.error && <ErrorNote error={doctor.error} />}
      {doctor.isPending && !doctor.error && <Skeleton lines={5} />}
      {doctor.data && (
        <>
          <div className="health-sum">
            <Note kind={doctor.data.problems ? "bad" : "good"} title={doctor.data.problems ? `${plural(doctor.data.problems, "problem")}.` : "All is well."} />
          </div>
          <div className="table-wrap">
            <table>
              <tbody>
                {doctor.data.findings.map((finding, index) => (
                  <tr key={`${finding.check}${index}`}>
                    <td className="nowrap">{finding.check}</td>
                    <td>
                      <Badge tone={TONES[finding.status]}>{finding.status}</Badge>
                    </td>
                    <td>
                      <div className="breakable">{finding.message}</div>
                      {finding.hint && <div className="soft small">{finding.hint}</div>}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </>
      )}
    </section>
  );
}
